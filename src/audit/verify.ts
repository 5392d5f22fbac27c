import { AppError } from '../errors.ts'
import { hashBody, noHash, readBody } from './entry.ts'
import type { Head, Row, Store } from './store.ts'

/** Every entry fits the one before it, up to `head`; or the first that does not, and why. */
export type Verdict =
  | { readonly ok: true; readonly head: Head | undefined; readonly count: number }
  | { readonly ok: false; readonly seq: number; readonly reason: string }

/** Up to `limit` rows, oldest first, from `from` on: as `Store.read` gives them. */
export type ReadRows = (from: number, limit: number) => Promise<readonly Row[]>

const chunk = 500

/**
 * Checks the log entry by entry: numbers without a gap from 1 (or after `from`), canonical text,
 * the hash over it, the link to the entry before, and a known shape.
 *
 * What it cannot see, since it reads nothing but the log: that the newest entries were cut off, or
 * that everything from some entry on was written anew with fresh hashes. That takes a statement kept
 * elsewhere (against.ts).
 *
 * @throws AppError `audit_unavailable` where the log cannot be read. A damaged file is a verdict.
 */
export const verifyLog = async (
  read: ReadRows,
  options: {
    readonly from?: Head
    readonly onProgress?: (seq: number) => void
    /** Hears of each row once it is known to follow from the one before it. */
    readonly onRow?: (row: Row) => void
  } = {},
): Promise<Verdict> => {
  let head = options.from
  let count = 0
  for (;;) {
    const next: number = (head?.seq ?? 0) + 1
    const rows = await readUndamaged(read, next)
    if (typeof rows === 'string') return { ok: false, seq: next, reason: rows }
    if (rows.length === 0) return { ok: true, head, count }
    for (const row of rows) {
      const fault = findFault(row, head)
      if (fault !== undefined) return { ok: false, seq: (head?.seq ?? 0) + 1, reason: fault }
      head = { seq: row.seq, hash: row.hash }
      count++
      options.onRow?.(row)
    }
    options.onProgress?.(rows.at(-1)?.seq ?? 0)
  }
}

/**
 * Checks the newest `count` entries, as the service does at every start: against the hash that the
 * entry before them has now.
 */
export const verifyTail = async (
  store: Pick<Store, 'head' | 'read'>,
  count: number,
): Promise<Verdict> => {
  const head = await store.head()
  const before = (head?.seq ?? 0) - count
  if (before < 1) return verifyLog(store.read)
  const rows = await readUndamaged(store.read, before, [1])
  if (typeof rows === 'string') return { ok: false, seq: before, reason: rows }
  const [anchor] = rows
  if (anchor?.seq !== before) return { ok: false, seq: before, reason: 'it is missing' }
  return verifyLog(store.read, { from: anchor })
}

/** Why the row is not the entry after `head`. */
const findFault = (row: Row, head: Head | undefined): string | undefined => {
  const { seq, hash } = head ?? { seq: 0, hash: noHash }
  if (row.seq !== seq + 1) return `it is missing: entry ${row.seq} stands in its place`
  const found = readBody(row)
  if (typeof found === 'string') return found
  if (found.prev !== hash) return 'it does not follow from the entry before it'
  if (row.hash !== hashBody(row.body)) return 'its hash is not the hash of its text'
  return undefined
}

/** Rows, or in words why the next one cannot be read: then one by one, so that the first is named. */
const readUndamaged = async (
  read: ReadRows,
  from: number,
  limits: readonly number[] = [chunk, 1],
): Promise<readonly Row[] | string> => {
  for (const limit of limits) {
    try {
      return await read(from, limit)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'log_corrupt') throw error
    }
  }
  return 'the file is damaged where it stands'
}
