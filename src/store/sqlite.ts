import type Database from 'better-sqlite3'
import type { Filter, Head, Row, Store } from '../audit/store.ts'
import type { ReportStore, StoredReport } from '../hosts/reports.ts'
import { openConnection } from './connection.ts'
import { storeError, toStoreError } from './failures.ts'
import { createReports } from './reports.ts'
import { createSearch, hasIndex } from './search.ts'
import { createSummaries, isThere, type Range } from './summaries.ts'

/** Everything the database holds: the log, and beside it the hosts' reports. */
export type WholeStore = Store & ReportStore

/**
 * The log in SQLite, in this thread: a commit holds the event loop for as long as its fsync takes,
 * so the service uses it in a worker (thread.ts). Makes the database where there is none.
 */
export const openSqlite = async (path: string): Promise<WholeStore> => {
  try {
    return createSqlite(await openConnection(path))
  } catch (error) {
    throw toStoreError(error)
  }
}

/** A Store over an open connection, which `close` closes. */
export const createSqlite = (connection: Database): WholeStore => {
  const selectHead = connection.prepare('SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1')
  const insert = connection.prepare('INSERT INTO entries (seq, body, hash) VALUES (?, ?, ?)')
  const selectFrom = connection.prepare(
    'SELECT seq, body, hash FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?',
  )
  const touch = connection.prepare('UPDATE migrations SET name = name WHERE version = 1')
  const summaries = createSummaries(connection)
  const reports = createReports(connection)
  const select = createSearch(connection)
  /** Not so in a log that no service has brought to this version yet, and only a reader meets. */
  const hasRare = isThere(connection, 'entries_rare')
  let isOpen = true

  const append = connection.transaction((rows: readonly Row[], expected: Head | undefined) => {
    const found = selectHead.get() as Head | undefined
    if (found?.seq !== expected?.seq || found?.hash !== expected?.hash) {
      throw storeError('log_conflict', `${format(expected)} was expected, ${format(found)} found`)
    }
    for (const { seq, body, hash } of rows) insert.run(seq, body, hash)
    if (rows.length === 0) touch.run()
    summaries.add(rows)
  })

  const checkOpen = () => {
    if (!isOpen) throw storeError('audit_unavailable', 'the store is closed')
  }
  const answer = async <T>(work: () => T | Promise<T>): Promise<T> => {
    checkOpen()
    try {
      return await work()
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Up to `limit` matching rows of the range; with no index to go by, only from where some may stand. */
  const search = async (
    filter: Filter,
    limit: number,
    range: Range,
    order: 'newest' | 'oldest',
  ): Promise<readonly Row[]> => {
    if (hasIndex(filter, hasRare)) return select(filter, range, limit, order)
    const rows: Row[] = []
    for await (const part of summaries.listParts(filter, range, order)) {
      checkOpen()
      rows.push(...select(filter, part, limit - rows.length, order))
      if (rows.length >= limit) break
    }
    return rows
  }
  const findLast = () => (selectHead.get() as Head | undefined)?.seq ?? 0

  return Object.freeze({
    append: (rows: readonly Row[], expected: Head | undefined) =>
      answer(() => {
        try {
          append.immediate(rows, expected)
        } catch (error) {
          summaries.forget()
          throw error
        }
      }),
    head: () => answer(() => selectHead.get() as Head | undefined),
    read: (from: number, limit: number) => answer(() => selectFrom.all(from, limit) as Row[]),
    find: (filter: Filter, limit: number, before?: number) =>
      answer(() => {
        const to = Math.min(findLast(), (before ?? Number.MAX_SAFE_INTEGER) - 1)
        return search(filter, limit, { from: 1, to }, 'newest')
      }),
    findAfter: (filter: Filter, limit: number, after: number) =>
      answer(() => search(filter, limit, { from: after + 1, to: findLast() }, 'oldest')),
    saveReports: (list: readonly StoredReport[]) => answer(() => reports.saveReports(list)),
    listReports: () => answer(() => reports.listReports()),
    close: async () => {
      if (isOpen) connection.close()
      isOpen = false
    },
  })
}

const format = (head: Head | undefined): string => (head === undefined ? 'no entry' : `${head.seq}`)
