import type { EntryIdentity, EntryRequest, FreezeEntry, Log, Store } from './audit/index.ts'
import { listEntries } from './audit/read.ts'
import { AppError } from './errors.ts'
import { type Clock, formatTime } from './lib/clock.ts'

/** That issuing is stopped: by whom, since when, and why. */
export interface Frozen {
  readonly by: string
  /** RFC 3339 UTC. */
  readonly since: string
  readonly reason: string
}

/** Who wants issuing stopped, or let go on. */
export interface Order {
  readonly identity: EntryIdentity
  readonly request: EntryRequest
}

export interface Freeze {
  find(): Frozen | undefined
  /** @throws AppError `frozen` while issuing is stopped, saying who stopped it. */
  checkFrozen(): void
  /**
   * Stops issuing from this call on, and resolves once that is an entry. Where it is stopped already,
   * answers by whom and changes nothing. @throws AppError `audit_unavailable`: stopped all the same,
   * but not beyond a restart.
   */
  freeze(order: Order & { readonly reason: string }): Promise<Frozen>
  /**
   * Lets issuing go on once that is an entry; answers what is over now, or undefined where nothing was
   * stopped. @throws AppError `audit_unavailable`: it stays stopped.
   */
  unfreeze(order: Order): Promise<Frozen | undefined>
}

/**
 * The use case. The log is the only memory: what it says last holds, also after a restart. Both
 * orders take effect one after another, and as `issue.ts` asks again right before it appends, no
 * `allow` stands between a `freeze` and the next `unfreeze`.
 * @throws AppError of the store
 */
export const openFreeze = async (deps: {
  readonly log: Log
  readonly store: Pick<Store, 'find'>
  readonly clock: Clock
}): Promise<Freeze> => {
  const { log, store, clock } = deps
  let frozen = await readFrozen(store)
  /** Whether a restart would find it frozen too. */
  let isRecorded = frozen !== undefined
  let last: Promise<unknown> = Promise.resolve()

  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  return Object.freeze({
    find: () => frozen,

    checkFrozen() {
      if (frozen === undefined) return
      throw new AppError(
        'frozen',
        `All issuing is frozen by ${frozen.by} since ${frozen.since}: ask an administrator when it goes on.`,
      )
    },

    freeze({ identity, request, reason }: Order & { readonly reason: string }) {
      const entry: FreezeEntry = {
        type: 'freeze',
        time: formatTime(clock()),
        request,
        identity,
        reason,
      }
      // Before the entry and its fsync, not after: at once.
      frozen ??= toFrozen(entry)
      return queue(async () => {
        if (frozen !== undefined && isRecorded) return frozen
        // An unfreeze that went first has ended the one before.
        frozen = toFrozen(entry)
        await log.append(entry)
        isRecorded = true
        return frozen
      })
    },

    unfreeze({ identity, request }: Order) {
      return queue(async () => {
        const over = frozen
        if (over === undefined) return undefined
        // Where the append fails, the log may say all the same that it is over.
        isRecorded = false
        await log.append({ type: 'unfreeze', time: formatTime(clock()), request, identity })
        frozen = undefined
        return over
      })
    },
  })
}

/** What the newest entry that speaks of it says. */
const readFrozen = async (store: Pick<Store, 'find'>): Promise<Frozen | undefined> => {
  const [[frozen], [lifted]] = await Promise.all([
    listEntries(store, { type: 'freeze' }, 1),
    listEntries(store, { type: 'unfreeze' }, 1),
  ])
  if (frozen?.entry.type !== 'freeze' || (lifted !== undefined && lifted.seq > frozen.seq)) {
    return undefined
  }
  return toFrozen(frozen.entry)
}

const toFrozen = ({ identity, time, reason }: FreezeEntry): Frozen =>
  Object.freeze({
    by: identity.kind === 'local' ? `local:${identity.name}` : identity.name,
    since: time,
    reason,
  })
