import { AppError } from '../errors.ts'
import { escapeJson } from '../lib/json.ts'
import { describeEntry } from './describe.ts'
import { hashBody, parseEntry } from './entry.ts'
import type { Row } from './store.ts'

/**
 * A row as one line of JSON: the entry's own members with its hash before them. Without the hash, and
 * in canonical form, it is the text that the hash is over. @throws AppError `log_corrupt` where it is not
 */
export const formatLine = ({ seq, body, hash }: Row): string => {
  if (hashBody(body) !== hash) {
    throw new AppError(
      'log_corrupt',
      `Entry ${seq} of the log is not as it was written: run \`postern audit verify\`.`,
      { detail: 'its hash is not the hash of its text' },
    )
  }
  return escapeJson(`{"hash":"${hash}",${body.slice(1)}`)
}

/** The columns of a table of entries, and the path of each in an entry. */
const columns = {
  seq: 'seq',
  time: 'time',
  type: 'type',
  code: 'code',
  issuer: 'identity.issuer',
  subject: 'identity.subject',
  name: 'identity.name',
  email: 'identity.email',
  address: 'request.address',
  host: 'ask.host',
  login: 'ask.login',
  command: 'ask.command',
  asked_reason: 'ask.reason',
  rule: 'rule.name',
  serial: 'certificate.serial',
  principals: 'certificate.principals',
  valid_after: 'certificate.validAfter',
  valid_before: 'certificate.validBefore',
  key: 'ask.fingerprint',
  reason: 'reason',
  detail: 'detail',
  request: 'request.id',
  policy: 'policy',
  hash: 'hash',
  what: 'what',
} as const

/** The first line of a CSV file of entries. */
export const csvTitles = Object.keys(columns).join(',')

/** An entry as a line of CSV (RFC 4180), without its end. @throws AppError `log_corrupt` */
export const formatCsv = (row: Row): string => {
  const { entry, ...place } = parseEntry(row)
  const members = { ...place, ...entry, what: describeEntry(entry) }
  return formatCells(Object.values(columns).map((path) => pick(members, path)))
}

/** Cells as a line of CSV, without its end. */
export const formatCells = (cells: readonly string[]): string => cells.map(formatCell).join(',')

const pick = (members: unknown, path: string): string => {
  const value = path
    .split('.')
    .reduce<unknown>(
      (found, name) => (found as Readonly<Record<string, unknown>> | undefined)?.[name],
      members,
    )
  return Array.isArray(value) ? value.join(' ') : String(value ?? '')
}

/**
 * A spreadsheet runs a cell that begins like a formula, also behind white space and in the full-width
 * forms of East Asian keyboards; an apostrophe makes it text. Quotes keep a cell from beginning another.
 */
const formatCell = (text: string): string => {
  const isFormula = /^[\s\p{Cc}\p{Cf}]*[=+\-@|%＝＋－＠]/u.test(text)
  return `"${isFormula ? "'" : ''}${text.replaceAll('"', '""')}"`
}
