import { AppError } from '../errors.ts'
import { isAddress, isPort } from './ask.ts'
import { certificateMismatch } from './errors.ts'

/** What the service answers with a certificate, by the API's names. Read for its shape, not yet for its truth. */
export interface Answer {
  /** One line, as in a `-cert.pub` file. */
  readonly certificate: string
  /** Decimal, up to 2^63 - 1. */
  readonly serial: string
  readonly keyId: string
  readonly principals: readonly string[]
  /** RFC 3339 in UTC. */
  readonly validAfter: string
  readonly validBefore: string
  /** The name of the rule that allowed it. */
  readonly rule: string
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
  readonly host: {
    readonly name: string
    /** These three where the service has a host list that says them. */
    readonly address?: string
    readonly port?: number
    /** Lines as in a known_hosts file. */
    readonly knownHosts?: string
  }
  readonly shortenedBy?: string
}

/** Members of later versions are let through unread. Codes: `not_running`, `certificate_mismatch`. */
export const checkAnswer = (value: unknown): Answer => {
  const record = toRecord(value)
  const { certificate, serial, keyId, principals, validAfter, validBefore, rule } = record
  const { criticalOptions, extensions, shortenedBy } = record
  if (
    isText(certificate) &&
    isText(serial) &&
    isText(keyId) &&
    isTexts(principals) &&
    isText(validAfter) &&
    isText(validBefore) &&
    isText(rule) &&
    isMap(criticalOptions) &&
    isMap(extensions)
  ) {
    const contents = { certificate, serial, keyId, principals, validAfter, validBefore, rule }
    const shortened = isText(shortenedBy) ? { shortenedBy } : {}
    const host = checkHost(toRecord(record['host']))
    return Object.freeze({ ...contents, criticalOptions, extensions, host, ...shortened })
  }
  throw new AppError('not_running', 'What answers there is no postern, or a newer one.', {
    hint: 'set `url` to the origin of the service itself, and take the SDK of its version',
  })
}

const checkHost = (host: Readonly<Record<string, unknown>>): Answer['host'] => {
  const { name, address, port } = host
  const knownHosts = isTexts(host['knownHosts'])
    ? host['knownHosts'].join('\n')
    : host['knownHosts']
  if (!isText(name)) throw certificateMismatch('the answer names no host')
  if (address !== undefined && !isAddress(address)) {
    throw certificateMismatch('the answer’s address is neither a host name nor an IP address')
  }
  if (port !== undefined && !isPort(port)) throw certificateMismatch('the answer’s port is none')
  return {
    name,
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
    ...(isText(knownHosts) ? { knownHosts } : {}),
  }
}

const toRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const isText = (value: unknown): value is string => typeof value === 'string'

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(isText)

const isMap = (value: unknown): value is Readonly<Record<string, string>> =>
  typeof value === 'object' && value !== null && Object.values(value).every(isText)
