import type Database from 'better-sqlite3'
import type { Filter, Row } from '../audit/store.ts'
import { blockOfSeq, columns, frequent, rare, serialBlock } from './migrations.ts'
import type { Part, Range } from './summaries.ts'

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
    const where = [...names.map((name) => conditions[name]), ...listIndexWords(filter, from), place]
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

/**
 * A partial index is found only where its own condition stands in the query, word by word, and that of the
 * serials only by the block that the part lies in.
 */
const listIndexWords = ({ type, serial, policy }: Filter, from: number): readonly string[] => {
  if (serial !== undefined) return [`${blockOfSeq} = ${blockOf(from)}`]
  if (type === undefined || frequent.includes(type)) return []
  return type === 'policy' && policy !== undefined ? ["type = 'policy'"] : [rare]
}

const blockOf = (seq: number): number => Math.floor(seq / serialBlock)

/** The parts of a search for a serial: a range block by block. */
export function* listBlocks({ from, to }: Range, order: 'newest' | 'oldest'): Generator<Part> {
  const [low, high] = [blockOf(from), blockOf(to)]
  for (let n = 0; n <= high - low; n++) {
    const first = (order === 'newest' ? high - n : low + n) * serialBlock
    yield { from: Math.max(from, first), to: Math.min(to, first + serialBlock - 1) }
  }
}

/**
 * Whether a search goes by an index in one go, or asks for everything. With more to look for a rare
 * type does not: of what the index finds any number would be read in one go, and appends would wait.
 */
export const hasIndex = (filter: Filter, hasRare: boolean): boolean => {
  const { type, policy, ...others } = filter
  if (Object.values(others).some((value) => value !== undefined)) return false
  if (type === undefined) return policy === undefined
  return policy === undefined ? hasRare && !frequent.includes(type) : type === 'policy'
}
