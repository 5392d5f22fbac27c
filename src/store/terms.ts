import type { Filter } from '../audit/store.ts'

/** What a search may ask for exactly; a serial has an index of its own. */
const fields = [
  'type',
  'issuer',
  'subject',
  'name',
  'host',
  'login',
  'rule',
  'requestId',
  'policy',
] as const satisfies readonly (keyof Filter)[]

/** The same of an entry, in the same order, from where `columns` has them (migrations.ts). */
const readValues = ({ type, identity, ask, rule, request, policy }: Body): readonly unknown[] => [
  type,
  identity?.['issuer'],
  identity?.['subject'],
  identity?.['name'],
  ask?.['host'],
  ask?.['login'],
  rule?.['name'],
  request?.['id'],
  policy,
]

type Member = 'type' | 'identity' | 'ask' | 'rule' | 'request' | 'policy' | 'time'
type Body = Readonly<Partial<Record<Member, Readonly<Record<string, unknown>>>>>

/** The terms of some entries, and the values of the last of them: the next one has most of them too. */
export interface Terms {
  readonly all: Set<string>
  readonly last: unknown[]
}

export const createTerms = (): Terms => ({ all: new Set(), last: [] })

/**
 * Adds the terms of an entry, like `host=web-1.example.com`, and answers its time and whose it is. Runs
 * for every certificate. @throws SyntaxError for no JSON
 */
export const addTerms = (
  body: string,
  { all, last }: Terms,
): { readonly time: unknown; readonly subject: unknown } => {
  const entry = JSON.parse(body) as Body
  const values = readValues(entry)
  for (let at = 0; at < fields.length; at++) {
    const value = values[at]
    if (value === undefined || value === last[at]) continue
    last[at] = value
    all.add(`${fields[at]}=${value}`)
  }
  return { time: entry.time, subject: entry.identity?.['subject'] }
}

/** The terms that every entry has which a filter finds. */
export const listWanted = (filter: Filter): readonly string[] =>
  fields.flatMap((field) => (filter[field] === undefined ? [] : [`${field}=${filter[field]}`]))

const bitsPerTerm = 10
const hashCount = 7

/**
 * A Bloom filter over the terms: a power of two of bits, at least ten a term. It says of a term that
 * is in it always that it is, and of another in less than one case of a hundred.
 */
export const encodeTerms = (terms: ReadonlySet<string>): Uint8Array => {
  const size = 2 ** Math.ceil(Math.log2(Math.max(64, terms.size * bitsPerTerm)))
  const bytes = new Uint8Array(size / 8)
  for (const term of terms) {
    const { start, step } = hashTerm(term)
    for (let n = 0, bit = start; n < hashCount; n++, bit += step) {
      const at = (bit >>> 0) % size
      bytes[at >> 3] = (bytes[at >> 3] as number) | (1 << (at & 7))
    }
  }
  return bytes
}

/** Whether the term may be among those that were encoded. */
export const mayHold = (bytes: Uint8Array, term: string): boolean => {
  const size = bytes.length * 8
  const { start, step } = hashTerm(term)
  for (let n = 0, bit = start; n < hashCount; n++, bit += step) {
    const at = (bit >>> 0) % size
    if (((bytes[at >> 3] as number) & (1 << (at & 7))) === 0) return false
  }
  return true
}

/** Two hashes stand for all (Kirsch and Mitzenmacher 2008); FNV-1a makes one, a variant of it the other. */
const hashTerm = (term: string): { readonly start: number; readonly step: number } => {
  let start = 0x811c9dc5
  let step = 0x5bd1e995
  for (let at = 0; at < term.length; at++) {
    const code = term.charCodeAt(at)
    start = Math.imul(start ^ code, 0x01000193)
    step = Math.imul(step ^ code, 0x01000193) ^ (step >>> 15)
  }
  return { start: start ^ (start >>> 13), step: step | 1 }
}
