import type Database from 'better-sqlite3'
import type { Filter, Row } from '../audit/store.ts'
import { columns, frequent, rare } from './migrations.ts'
import type { Part } from './summaries.ts'

/** Up to `most` rows of a part that match, newest first or oldest first. */
export type Search = (
  filter: Filter,
  part: Part,
  most: number,
  order: 'newest' | 'oldest',
) => readonly Row[]

/** Searches for any number of things at once. The words are all ours; what is looked for is bound. */
export const createSearch =
  (connection: Database): Search =>
  (filter, { from, to, seqs }, most, order) => {
    const names = (Object.keys(conditions) as (keyof Filter)[]).filter(
      (name) => filter[name] !== undefined,
    )
    const place = seqs === undefined ? 'seq BETWEEN ? AND ?' : `seq IN (${seqs.map(() => '?')})`
    const where = [...names.map((name) => conditions[name]), ...listIndexWords(filter), place]
    const direction = order === 'newest' ? 'DESC' : 'ASC'
    return connection
      .prepare(
        `SELECT seq, body, hash FROM entries
          WHERE ${where.join(' AND ')} ORDER BY seq ${direction} LIMIT ?`,
      )
      .all(...names.map((name) => filter[name]), ...(seqs ?? [from, to]), most) as Row[]
  }

const read = (name: keyof typeof columns) => `json_extract(body, '${columns[name]}')`

/** One bound value each. */
const conditions = {
  type: 'type = ?',
  issuer: `${read('issuer')} = ?`,
  subject: `${read('subject')} = ?`,
  name: `${read('name')} = ?`,
  host: `${read('host')} = ?`,
  login: `${read('login')} = ?`,
  rule: `${read('rule')} = ?`,
  serial: 'serial = ?',
  requestId: `${read('request_id')} = ?`,
  policy: 'policy = ?',
  since: `${read('time')} >= ?`,
  until: `${read('time')} < ?`,
} as const satisfies Record<keyof Filter, string>

/** A partial index is found only where its own condition stands in the query, word by word. */
const listIndexWords = ({ type, policy }: Filter): readonly string[] => {
  if (type === undefined || frequent.includes(type)) return []
  return type === 'policy' && policy !== undefined ? ["type = 'policy'"] : [rare]
}

/**
 * Whether a search goes by an index of the table, or asks for everything. With more to look for a rare
 * type does not: of what the index finds any number would be read in one go, and appends would wait.
 */
export const hasIndex = (filter: Filter, hasRare: boolean): boolean => {
  const { type, serial, policy, ...others } = filter
  if (serial !== undefined) return true
  if (Object.values(others).some((value) => value !== undefined)) return false
  if (type === undefined) return policy === undefined
  return policy === undefined ? hasRare && !frequent.includes(type) : type === 'policy'
}
