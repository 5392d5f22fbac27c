import { AppError } from '../errors.ts'
import { formatEntry, noHash } from './entry.ts'
import type { Entry, Log } from './index.ts'
import type { Head, Row, Store } from './store.ts'

/** Somebody who waits for an entry to be durable; without an entry, for the log to be writable. */
interface Waiting {
  readonly entry: Entry | undefined
  readonly resolve: (written: { readonly seq: number }) => void
  readonly reject: (error: unknown) => void
}

/**
 * The log as a chain, whose only writer this is. Entries that arrive while a commit is running go
 * out together as the next one, so that they share an fsync; nobody hears of success before their
 * row is durable. The order is that of arrival, whatever the entries' times say.
 *
 * After a failed commit the head is unknown, and is read again before the next one. Whoever waited
 * hears `audit_unavailable`, even where the rows turn out to be stored: a row may stand in the log
 * without its certificate having left, and never the reverse.
 *
 * At most `maxQueued` wait, each for about `deadlineMs` at the longest. `close` writes what waits and
 * closes the store. @throws AppError of the store, where it does not say its head.
 */
export const createLog = async (deps: {
  readonly store: Store
  readonly maxQueued?: number
  readonly maxBatch?: number
  readonly deadlineMs?: number
  /** Hears of rows once they are durable, in order and after those who waited; must not throw. */
  readonly onWritten?: (rows: readonly Row[]) => void
}): Promise<Log> => {
  const { store, onWritten, maxQueued = 4096, maxBatch = 256, deadlineMs = 5000 } = deps
  const queue: Waiting[] = []
  let known: { readonly head: Head | undefined } | undefined = { head: await store.head() }
  let writing: Promise<void> | undefined
  let checking: Promise<unknown> | undefined
  let closing: Promise<void> | undefined

  const write = async (batch: readonly Waiting[]): Promise<void> => {
    const deadline = createDeadline(deadlineMs)
    try {
      const { head } = known ?? { head: await deadline.before(store.head()) }
      const { rows, placed } = chainEntries(batch, head)
      known = undefined
      await deadline.before(store.append(rows, head))
      known = { head: rows.at(-1) ?? head }
      for (const { waiting, seq } of placed) waiting.resolve({ seq })
      if (rows.length > 0) onWritten?.(rows)
    } catch (error) {
      // A store that hangs would make those in the queue wait for one deadline after the other.
      const refused = deadline.hasPassed() ? [...batch, ...queue.splice(0)] : batch
      for (const { reject } of refused) reject(unavailable(error))
    } finally {
      deadline.clear()
    }
  }

  const drain = async (): Promise<void> => {
    while (queue.length > 0) await write(queue.splice(0, maxBatch))
    writing = undefined
  }

  const enqueue = (entry: Entry | undefined) =>
    new Promise<{ readonly seq: number }>((resolve, reject) => {
      if (closing !== undefined) return reject(unavailable('the log is closed'))
      if (queue.length >= maxQueued) return reject(unavailable(`${maxQueued} entries wait already`))
      queue.push({ entry, resolve, reject })
      writing ??= drain()
    })

  return Object.freeze({
    append: (entry: Entry) => enqueue(entry),

    check: async () => {
      // One commit answers everybody who asks within a second.
      if (checking === undefined) {
        checking = enqueue(undefined)
        setTimeout(() => {
          checking = undefined
        }, 1000).unref()
      }
      try {
        await checking
        return { ok: true } as const
      } catch (error) {
        return { ok: false, reason: (error as AppError).detail ?? 'unknown' } as const
      }
    },

    close: () => {
      closing ??= Promise.resolve(writing).then(() => store.close())
      return closing
    },
  })
}

/** Rows for the entries, one after another from the head. An entry that cannot be written is refused alone. */
const chainEntries = (batch: readonly Waiting[], head: Head | undefined) => {
  const rows: Row[] = []
  const placed: { readonly waiting: Waiting; readonly seq: number }[] = []
  let { seq, hash } = head ?? { seq: 0, hash: noHash }
  for (const waiting of batch) {
    try {
      if (waiting.entry !== undefined) {
        const row = formatEntry(waiting.entry, seq + 1, hash)
        rows.push(row)
        ;({ seq, hash } = row)
      }
      placed.push({ waiting, seq })
    } catch (error) {
      waiting.reject(error)
    }
  }
  return { rows, placed }
}

const createDeadline = (ms: number) => {
  let passed = false
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    passed = true
    reject(new Error(`the store has not answered within ${ms} ms`))
  }, ms)
  // Where nobody is waiting any more its passing is nobody's failure.
  promise.catch(() => {})
  return {
    before: <T>(work: Promise<T>): Promise<T> => Promise.race([work, promise]),
    hasPassed: () => passed,
    clear: () => clearTimeout(timer),
  }
}

const unavailable = (cause: unknown): AppError => {
  const { message, detail = message } =
    cause instanceof Error ? (cause as AppError) : { message: String(cause) }
  return new AppError(
    'audit_unavailable',
    'The log cannot be written now, so nothing was done: try again shortly.',
    { detail, retryAfter: 5, cause },
  )
}
