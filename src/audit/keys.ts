import { formatTime } from '../lib/clock.ts'
import { findLongestLife, slackSeconds, walkCertificates } from './certificates.ts'
import { parseEntry } from './entry.ts'
import type { CaKeyEntry } from './index.ts'
import type { Store } from './store.ts'

/** An entry about a key of the CA, and its number. */
export interface KeyStep {
  readonly seq: number
  readonly entry: CaKeyEntry
}

const pageSize = 100

/** Every step that a key of the CA has taken, oldest first. Code: `log_corrupt` */
export const listKeySteps = async (
  store: Pick<Store, 'findAfter'>,
): Promise<readonly KeyStep[]> => {
  const steps: KeyStep[] = []
  for (;;) {
    const rows = await store.findAfter({ type: 'ca-key' }, pageSize, steps.at(-1)?.seq ?? 0)
    for (const { seq, entry } of rows.map(parseEntry)) {
      if (entry.type === 'ca-key') steps.push({ seq, entry })
    }
    if (rows.length < pageSize) return steps
  }
}

/** The certificates of a key that have not ended yet. */
export interface Alive {
  readonly count: number
  readonly people: number
  /** When the last of them ends: RFC 3339 UTC. */
  readonly until: string
}

/**
 * The certificates of each CA key (by its fingerprint) that are alive at `now`; a key that has none is
 * not there. Reads what was issued in the longest life a certificate can have. Code: `log_corrupt`
 */
export const findAlive = async (
  store: Pick<Store, 'find'>,
  now: Date,
): Promise<ReadonlyMap<string, Alive>> => {
  const at = formatTime(now)
  const longest = await findLongestLife(store, now)
  const oldest = new Date(now.getTime() - (longest + slackSeconds) * 1000)
  const found = new Map<string, { count: number; people: Set<string>; until: string }>()
  for await (const page of walkCertificates(store, { since: formatTime(oldest) })) {
    for (const { ca, validBefore, identity } of page) {
      if (validBefore <= at) continue
      const key = found.get(ca) ?? { count: 0, people: new Set<string>(), until: validBefore }
      key.count++
      key.people.add(JSON.stringify([identity.issuer, identity.subject]))
      if (validBefore > key.until) key.until = validBefore
      found.set(ca, key)
    }
  }
  return new Map(
    [...found].map(([ca, { count, people, until }]) => [ca, { count, people: people.size, until }]),
  )
}
