import type Database from 'better-sqlite3'
import type { Kysely, SelectQueryBuilder } from 'kysely'
import { sql } from 'kysely'
import type { Filter, Head, Row, Store } from '../audit/store.ts'
import type { ReportStore, StoredReport } from '../hosts/reports.ts'
import { createBuilder, openConnection } from './connection.ts'
import { storeError, toStoreError } from './failures.ts'
import { columns, frequent, rare, type Tables } from './migrations.ts'
import { createReports } from './reports.ts'
import { createSummaries, isThere, type Part, type Range } from './summaries.ts'

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
  const builder = createBuilder(connection)
  const selectHead = connection.prepare('SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1')
  const insert = connection.prepare('INSERT INTO entries (seq, body, hash) VALUES (?, ?, ?)')
  const touch = connection.prepare('UPDATE migrations SET name = name WHERE version = 1')
  const summaries = createSummaries(connection)
  const reports = createReports(connection)
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
    const select = ({ from, to, seqs }: Part, most: number) =>
      (seqs === undefined
        ? narrow(selectRows(builder), filter).where('seq', '>=', from).where('seq', '<=', to)
        : narrow(selectRows(builder).where('seq', 'in', seqs), filter)
      )
        .orderBy('seq', order === 'newest' ? 'desc' : 'asc')
        .limit(most)
        .execute()
    if (hasIndex(filter, hasRare)) return select(range, limit)
    const rows: Row[] = []
    for await (const part of summaries.listParts(filter, range, order)) {
      checkOpen()
      rows.push(...(await select(part, limit - rows.length)))
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
    read: (from: number, limit: number) =>
      answer(() =>
        selectRows(builder).where('seq', '>=', from).orderBy('seq').limit(limit).execute(),
      ),
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

const selectRows = (builder: Kysely<Tables>) =>
  builder.selectFrom('entries').select(['seq', 'body', 'hash'])

type Rows = SelectQueryBuilder<Tables, 'entries', Row>

const is =
  (name: keyof typeof columns) =>
  (rows: Rows, value: string): Rows =>
    rows.where(read(name), '=', value)

const read = (name: keyof typeof columns) =>
  sql<string>`json_extract(body, ${sql.lit(columns[name])})`

/**
 * Whether a search goes by an index of the table, or asks for everything. With more to look for a rare
 * type does not: of what the index finds any number would be read in one go, and appends would wait.
 */
const hasIndex = (filter: Filter, hasRare: boolean): boolean => {
  const { type, serial, policy, ...others } = filter
  if (serial !== undefined) return true
  if (Object.values(others).some((value) => value !== undefined)) return false
  if (type === undefined) return policy === undefined
  return policy === undefined ? hasRare && !frequent.includes(type) : type === 'policy'
}

const conditions = {
  // In the words of a partial index, without which it is not found.
  type: (rows, value, { policy }) => {
    if (frequent.includes(value)) return rows.where('type', '=', value)
    if (value === 'policy' && policy !== undefined) return rows.where('type', '=', sql.lit(value))
    return rows.where(sql<boolean>`${sql.raw(rare)}`).where('type', '=', value)
  },
  issuer: is('issuer'),
  subject: is('subject'),
  name: is('name'),
  host: is('host'),
  login: is('login'),
  rule: is('rule'),
  serial: (rows, value) => rows.where('serial', '=', value),
  requestId: is('request_id'),
  policy: (rows, value) => rows.where('policy', '=', value),
  since: (rows, value) => rows.where(read('time'), '>=', value),
  until: (rows, value) => rows.where(read('time'), '<', value),
} as const satisfies Record<keyof Filter, (rows: Rows, value: string, filter: Filter) => Rows>

const narrow = (rows: Rows, filter: Filter): Rows =>
  (Object.entries(filter) as [keyof Filter, string | undefined][]).reduce(
    (narrowed, [name, value]) =>
      value === undefined ? narrowed : conditions[name](narrowed, value, filter),
    rows,
  )
