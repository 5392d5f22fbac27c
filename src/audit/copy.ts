import { formatLine } from './export.ts'
import type { Row, Store } from './store.ts'

/** Where the lines of a copy go: lines.ts beside this for a file, the service's stdout. */
export interface Lines {
  /** The number of the newest entry that is there already; undefined where there is none. */
  readonly newest: number | undefined
  /** Resolves once the text has been taken. What a failed write has left of it must not spoil the next. */
  write(text: string): Promise<void>
  close(): Promise<void>
}

/** Every entry once more, as a line of JSON, for the shippers people already run. */
export interface Copy {
  /** Hears of rows once they are durable, in order. Never throws, and never waits. */
  onWritten(rows: readonly Row[]): void
  check(): { readonly ok: true } | { readonly ok: false; readonly reason: string }
  /** Gives what is still to be copied a moment, and closes the lines. */
  close(): Promise<void>
}

/** Of rows that were not copied yet so many are kept here; the others are read from the log again. */
const maxKept = 1000
const pageSize = 500

/**
 * Follows the log with a copy: each entry once and in order, however slow the lines are, and whatever
 * they fail at meanwhile. Nothing else waits for them. It goes on after the newest entry that the
 * lines hold; where they hold none, with the next that is written.
 */
export const openCopy = async (deps: {
  readonly store: Pick<Store, 'head' | 'read'>
  readonly lines: Lines
  /** Hears of a failure when it begins, and undefined when it is over. */
  readonly tell: (failure: string | undefined) => void
  readonly retryMs?: number
  /** A write that takes longer is told of as a failure; it is still waited for. */
  readonly stallMs?: number
  readonly closeMs?: number
}): Promise<Copy> => {
  const { store, lines, tell, retryMs = 1000, stallMs = 5000, closeMs = 2000 } = deps
  let last = (await store.head())?.seq ?? 0
  // An entry that is not in the log yet: the lines are of another one.
  const isForeign = lines.newest !== undefined && lines.newest > last
  let next = (isForeign ? last : (lines.newest ?? last)) + 1
  let kept: readonly Row[] = []
  let failure: string | undefined
  let copying: Promise<void> | undefined
  let wake: (() => void) | undefined
  let isClosing = false

  const report = (reason: string | undefined): void => {
    if (failure !== reason) tell(reason)
    failure = reason
  }

  const takeRows = async (): Promise<readonly Row[]> => {
    if (kept[0] === undefined || kept[0].seq > next) return store.read(next, pageSize)
    const rows = kept.slice(next - kept[0].seq, next - kept[0].seq + pageSize)
    return rows.length > 0 ? rows : store.read(next, pageSize)
  }

  const writeRows = async (rows: readonly Row[]): Promise<void> => {
    const stalled = setTimeout(() => report('nobody takes the entries'), stallMs)
    try {
      await lines.write(rows.map((row) => `${formatLine(row)}\n`).join(''))
    } finally {
      clearTimeout(stalled)
    }
  }

  const copy = async (): Promise<void> => {
    while (next <= last) {
      try {
        const rows = await takeRows()
        await writeRows(rows)
        next = (rows.at(-1)?.seq ?? last) + 1
        kept = kept.filter(({ seq }) => seq >= next)
        report(undefined)
      } catch (error) {
        report(describe(error))
        if (isClosing) break
        await new Promise<void>((resolve) => {
          wake = resolve
          setTimeout(resolve, retryMs).unref()
        })
      }
    }
    copying = undefined
  }
  if (isForeign) tell(`the newest line is entry ${lines.newest}, and the log ends at ${last}`)
  if (next <= last) copying = copy()

  return Object.freeze({
    onWritten(rows: readonly Row[]) {
      last = rows.at(-1)?.seq ?? last
      // Where one is left out those after it are of no use: they are read again, with it.
      const isNext = kept.length === 0 || kept.at(-1)?.seq === (rows[0]?.seq ?? 0) - 1
      if (isNext && kept.length + rows.length <= maxKept) kept = [...kept, ...rows]
      copying ??= copy()
    },
    check: () =>
      failure === undefined ? ({ ok: true } as const) : ({ ok: false, reason: failure } as const),
    async close() {
      isClosing = true
      wake?.()
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, closeMs)
      await Promise.race([copying, promise])
      clearTimeout(timer)
      if (next <= last) tell(`entries ${next} to ${last} are not in the copy`)
      await lines.close()
    },
  })
}

/** The reason in a word, without a path: the admin knows where the copy goes. */
const describe = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
