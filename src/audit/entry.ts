import { hash } from 'node:crypto'
import { AppError } from '../errors.ts'
import { formatCanonical, JsonError, parseJson } from '../lib/json.ts'
import type { Entry } from './index.ts'
import type { Row } from './store.ts'

/** An entry as it stands in the log. */
export interface LoggedEntry {
  readonly seq: number
  /** The hash of the entry before it; 64 zeros for the first. */
  readonly prev: string
  readonly hash: string
  readonly entry: Entry
}

/** What stands in the first entry for the hash of the one before. */
export const noHash = '0'.repeat(64)

/** The version of the body's shape. */
const version = 1

/** The hash of a row: RFC 6962 section 2.1, the leaf of a Merkle tree, in lower-case hex. */
export const hashBody = (body: string): string => hash('sha256', `\0${body}`, 'hex')

/**
 * The row of an entry: its canonical JSON with its place in the log inside, and the hash over it.
 * @throws TypeError for what has no canonical form (lib/json.ts).
 */
export const formatEntry = (entry: Entry, seq: number, prev: string): Row => {
  const body = formatCanonical({ ...entry, v: version, seq, prev })
  return { seq, body, hash: hashBody(body) }
}

/** Reads a row; its place in the chain is for verify.ts. @throws AppError `log_corrupt` */
export const parseEntry = (row: Row): LoggedEntry => {
  const found = readBody(row)
  if (typeof found === 'string') {
    throw new AppError(
      'log_corrupt',
      `Entry ${row.seq} of the log is not readable: run \`postern audit verify\`.`,
      { detail: found },
    )
  }
  return found
}

/** What a row says, or in words why it is no entry of that number. */
export const readBody = ({ seq, body, hash: rowHash }: Row): LoggedEntry | string => {
  let members: unknown
  try {
    members = JSON.parse(body)
    // A name with an escape, as the `\\` of a Windows account, may have been misread (lib/json.ts).
    if (formatCanonical(members) !== body) members = parseJson(body)
    if (formatCanonical(members) !== body) return 'its text is not canonical JSON'
  } catch (error) {
    return `its text is not ${error instanceof JsonError ? 'canonical ' : ''}JSON`
  }
  if (!isRecord(members)) return 'its text is no JSON object'
  const { v, seq: number, prev, ...entry } = members
  if (v !== version) return `its version is not ${version}`
  if (number !== seq) return 'it names another number than its own'
  if (typeof prev !== 'string') return 'it names no entry before it'
  if (!isEntry(entry)) return 'it has no known shape'
  return { seq, prev, hash: rowHash, entry }
}

interface Shape {
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

const refusal: Shape = {
  required: ['request', 'code', 'reason', 'detail'],
  optional: ['policy', 'identity', 'lookUps', 'ask', 'rule', 'proof', 'quota'],
}

/** The members of each type of entry, beside `type` and `time`. */
const shapes: Readonly<Record<string, Shape>> = {
  allow: {
    required: ['request', 'identity', 'lookUps', 'ask', 'rule', 'certificate'],
    optional: ['policy', 'shortenedBy', 'proof', 'quota', 'alert'],
  },
  deny: refusal,
  error: refusal,
  start: { required: ['version', 'ca'], optional: ['policy', 'maxTtlSeconds', 'setAside'] },
  refusals: { required: ['since', 'count', 'codes', 'people', 'addresses'], optional: ['policy'] },
  policy: { required: ['policy', 'rules'], optional: ['files'] },
  'policy-error': { required: ['policy', 'problems', 'count'], optional: [] },
  freeze: { required: ['request', 'identity', 'reason'], optional: ['policy'] },
  unfreeze: { required: ['request', 'identity'], optional: ['policy'] },
  read: { required: ['request', 'identity', 'query'], optional: ['policy', 'what'] },
  'host-invite': { required: ['request', 'identity', 'invitation'], optional: ['policy'] },
  'host-enrol': { required: ['request', 'identity', 'host'], optional: ['policy'] },
  'host-remove': { required: ['request', 'identity', 'host'], optional: ['policy'] },
  'ca-key': {
    required: ['state', 'fingerprint', 'publicKey', 'place'],
    optional: ['policy', 'request', 'identity', 'force'],
  },
  rollback: { required: ['checkpoint', 'lost', 'expiredBy'], optional: ['policy'] },
  revoke: { required: ['request', 'identity', 'reason', 'target'], optional: ['policy'] },
  unrevoke: { required: ['request', 'identity', 'reason', 'target'], optional: ['policy'] },
} satisfies Record<Entry['type'], Shape>

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isEntry = (members: Readonly<Record<string, unknown>>): members is Entry & typeof members => {
  const { type, time, ...rest } = members
  if (typeof type !== 'string' || typeof time !== 'string' || !Object.hasOwn(shapes, type)) {
    return false
  }
  const { required, optional } = shapes[type] as Shape
  return (
    required.every((name) => Object.hasOwn(rest, name)) &&
    Object.keys(rest).every((name) => required.includes(name) || optional.includes(name))
  )
}
