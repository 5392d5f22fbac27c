import { AppError, type Code } from '../errors.ts'

const messages = {
  log_corrupt: 'The log is damaged: run `postern audit verify`, and restore it from a backup.',
  log_conflict: 'The log has moved on: read its head again before the next append.',
  audit_unavailable: 'The log does not answer now: try again shortly.',
} as const satisfies Partial<Record<Code, string>>

/** SQLite's result codes by prefix (sqlite.org/rescode.html); all others are `audit_unavailable`. */
const meanings: readonly (readonly [prefix: string, code: keyof typeof messages])[] = [
  ['SQLITE_CORRUPT', 'log_corrupt'],
  ['SQLITE_NOTADB', 'log_corrupt'],
  ['SQLITE_CONSTRAINT', 'log_conflict'],
]

/** What json_extract says of a body that is no JSON; none such is ever taken. */
const malformed = 'malformed JSON'

/**
 * What went wrong in the store, in the words of the contract (audit/store.ts): a damaged file is
 * `log_corrupt`, a broken rule of the table `log_conflict`, everything else `audit_unavailable`.
 * SQLite's own code and text are for the log alone.
 */
export const toStoreError = (error: unknown): AppError => {
  if (error instanceof AppError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const text = error instanceof Error ? error.message : String(error)
  const meaning =
    text === malformed ? 'log_corrupt' : meanings.find(([prefix]) => code.startsWith(prefix))?.[1]
  return storeError(meaning ?? 'audit_unavailable', code === '' ? text : `${code}: ${text}`, error)
}

/** An error of the store with its one sentence for the caller. */
export const storeError = (
  code: keyof typeof messages,
  detail: string,
  cause?: unknown,
): AppError =>
  new AppError(code, messages[code], { detail, ...(cause === undefined ? {} : { cause }) })
