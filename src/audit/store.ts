/** One row of the log: the canonical JSON of an entry, and its RFC 6962 leaf hash. */
export interface Row {
  /** From 1, without a gap. */
  readonly seq: number
  /** Canonical JSON (RFC 8785), with the `seq` and the `prev` hash inside. */
  readonly body: string
  /** SHA-256 over 0x00 and the body's UTF-8 bytes, as lower-case hex. */
  readonly hash: string
}

/** Where the log ends: the number of its newest row and that row's hash. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

/** The exact values `find` can search by; every one is read out of the body by the store itself. */
export interface Filter {
  readonly type?: string
  readonly issuer?: string
  readonly subject?: string
  /** The identity's display name, as it was when the entry was written. */
  readonly name?: string
  readonly host?: string
  readonly login?: string
  readonly rule?: string
  readonly serial?: string
  readonly requestId?: string
  readonly policy?: string
  /** RFC 3339, inclusive. */
  readonly since?: string
  /** RFC 3339, exclusive. */
  readonly until?: string
}

/**
 * The memory itself. What every implementation promises (test/contracts/audit-store.ts):
 *
 * - `append` is all or nothing, and durable when it resolves: the rows outlive a power cut.
 * - `append` compares `expected` with the head it finds (undefined for an empty log) and swaps on
 *   it: where they differ nothing is written and it rejects with `log_conflict`. Two writers can
 *   therefore never fork the chain.
 * - Rows follow the head without a gap; a row is never changed, replaced or removed afterwards,
 *   and a serial never stands in two rows (`log_conflict`).
 * - An `append` of no rows leaves the log as it is, but fails where rows would: it proves that the
 *   log can be written.
 * - A store that finds itself damaged says `log_corrupt`.
 * - Any other failure (disk full, I/O error, busy too long) is `audit_unavailable`. The rows may
 *   then be stored or not: ask `head()` again before the next append.
 * - `head`, `read`, `find` and `findAfter` see every row whose append has resolved.
 * - Calls may overlap; appends take effect one after another, and do not wait for a long search.
 * - After `close` every call rejects with `audit_unavailable`.
 */
export interface Store {
  append(rows: readonly Row[], expected: Head | undefined): Promise<void>
  /** The newest row's number and hash; undefined where the log is empty. */
  head(): Promise<Head | undefined>
  /** Up to `limit` rows, oldest first, from `seq` on. */
  read(from: number, limit: number): Promise<readonly Row[]>
  /** Up to `limit` matching rows, newest first, below `before` where it is given. */
  find(filter: Filter, limit: number, before?: number): Promise<readonly Row[]>
  /** Up to `limit` matching rows, oldest first, above `after`; 0 begins with the first. */
  findAfter(filter: Filter, limit: number, after: number): Promise<readonly Row[]>
  close(): Promise<void>
}
