import type Database from 'better-sqlite3'
import { Kysely, type SelectQueryBuilder, SqliteDialect, sql } from 'kysely'
import type { Filter, Row } from '../audit/store.ts'
import { columns, frequent, rare, type Tables } from './migrations.ts'
import type { Part } from './summaries.ts'

/** Up to `most` rows of a part that match, newest first or oldest first. */
export type Search = (
  filter: Filter,
  part: Part,
  most: number,
  order: 'newest' | 'oldest',
) => Promise<readonly Row[]>

/** Searches for any number of things at once, over a connection whose life is ours to end. */
export const createSearch = (connection: Database): Search => {
  const builder = new Kysely<Tables>({ dialect: new SqliteDialect({ database: connection }) })
  return (filter, { from, to, seqs }, most, order) => {
    const rows = builder.selectFrom('entries').select(['seq', 'body', 'hash'])
    const narrowed =
      seqs === undefined
        ? narrow(rows, filter).where('seq', '>=', from).where('seq', '<=', to)
        : narrow(rows.where('seq', 'in', seqs), filter)
    return narrowed
      .orderBy('seq', order === 'newest' ? 'desc' : 'asc')
      .limit(most)
      .execute()
  }
}

type Rows = SelectQueryBuilder<Tables, 'entries', Row>

const read = (name: keyof typeof columns) =>
  sql<string>`json_extract(body, ${sql.lit(columns[name])})`

const is =
  (name: keyof typeof columns) =>
  (rows: Rows, value: string): Rows =>
    rows.where(read(name), '=', value)

const conditions = {
  type: (rows, value) =>
    (frequent.includes(value) ? rows : rows.where(sql<boolean>`${sql.raw(rare)}`)).where(
      'type',
      '=',
      value,
    ),
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
} as const satisfies Record<keyof Filter, (rows: Rows, value: string) => Rows>

const narrow = (rows: Rows, filter: Filter): Rows =>
  (Object.entries(filter) as [keyof Filter, string | undefined][]).reduce(
    (narrowed, [name, value]) =>
      value === undefined ? narrowed : conditions[name](narrowed, value),
    rows,
  )
