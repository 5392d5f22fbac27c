import { type Clock, formatTime } from '../lib/clock.ts'
import { formatLine } from './export.ts'
import type { History, Log } from './index.ts'
import type { Store } from './store.ts'

/** The log for those who may read it: what they read, and that they did, is on the record first. */
export const createHistory = (deps: {
  readonly store: Pick<Store, 'find'>
  readonly log: Log
  readonly clock: Clock
}): History => {
  const { store, log, clock } = deps
  return Object.freeze({
    async read({ filter, limit, before, query, identity, request }) {
      const rows = await store.find(filter, limit + 1, before)
      const lines = rows.slice(0, limit).map(formatLine)
      await log.append({ type: 'read', time: formatTime(clock()), request, identity, query })
      const last = rows[limit - 1]?.seq
      return { lines, ...(rows.length > limit && last !== undefined ? { next: last } : {}) }
    },
  } satisfies History)
}
