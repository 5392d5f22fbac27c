import { fromSeconds, toSeconds } from '../lib/clock.ts'
import { parseDuration } from '../lib/duration.ts'
import { type Certificate, type Option, parseCertificate } from '../ssh/certificate.ts'
import { verifySignature } from '../ssh/signature.ts'
import { WireError } from '../ssh/wire.ts'
import type { Answer } from './answer.ts'
import type { Ask } from './ask.ts'
import { certificateMismatch } from './errors.ts'
import type { MemoryKey } from './key.ts'
import { isOneHost } from './known-hosts.ts'

/** How far our clock and the service's may lie apart, in seconds, and how long a request may take. */
const leeway = 60
/** The longest life a service can be configured to give (`ca.maxTtl`), in seconds. */
const longestLife = 7 * 86_400

/**
 * Refuses a certificate that is not what was asked for, so that a service that is wrong, or lies, never
 * has us log in by something else. Whether the CA is the right one is the host's to say. Answers its
 * wire blob. Code: `certificate_mismatch`, with what is wrong.
 */
export const verifyCertificate = (given: {
  readonly answer: Answer
  readonly ask: Ask
  readonly key: MemoryKey
  readonly principals?: Principals | undefined
  /** The lines that say which names are one host: the caller's own where there are some. */
  readonly knownHosts?: string | undefined
  readonly at: Date
}): Certificate => {
  const certificate = parse(given.answer.certificate)
  for (const [isSo, what, hint] of listChecks({ ...given, certificate })) {
    if (isSo !== true) throw certificateMismatch(what, hint)
  }
  return certificate
}

/**
 * What a certificate may name: exactly `login@host` where nothing is said, exactly these, or `rule`: whatever the
 * rule names, but no other login or host.
 */
export type Principals = readonly string[] | 'rule'

const parse = (text: string): Certificate => {
  try {
    return parseCertificate(text)
  } catch (error) {
    if (error instanceof WireError) throw certificateMismatch('it cannot be read')
    throw error
  }
}

/** Each thing that must be so, and what is said where it is not. The first that fails is told. */
const listChecks = (given: {
  readonly certificate: Certificate
  readonly answer: Answer
  readonly ask: Ask
  readonly key: MemoryKey
  readonly principals?: Principals | undefined
  readonly knownHosts?: string | undefined
  readonly at: Date
}): readonly (readonly [isSo: boolean, what: string, hint?: string])[] => {
  const {
    certificate,
    answer,
    ask,
    key,
    principals,
    at,
    knownHosts = answer.host.knownHosts,
  } = given
  const { name } = answer.host
  // A host is asked for by an alias as well, and certified by its name.
  const isHost = name === ask.host || isOneHost(knownHosts ?? '', [ask.host, name])
  const { authority, signed, signature, validAfter, validBefore } = certificate
  const now = BigInt(toSeconds(at))
  const asked = ask.ttl === undefined ? longestLife : (parseDuration(ask.ttl) ?? 0)
  const critical = toMap(certificate.criticalOptions)
  const isForced = critical.has('force-command')
  return [
    [isHost, `it is for the host ${formatName(name)}`, otherHostHint],
    [certificate.kind === 'user', 'it is a host’s'],
    [Buffer.compare(certificate.publicKey, key.blob) === 0, 'it is for another key'],
    [verifySignature(authority, signed, signature), 'it is not signed by the CA it names'],
    [certificate.principals.length > 0, 'it names no principals'],
    [
      principals === 'rule'
        ? certificate.principals.every((principal) => isBound(principal, ask.login, name))
        : isSame(certificate.principals, principals ?? [`${ask.login}@${name}`]),
      'it names other principals',
    ],
    [validAfter <= now + BigInt(leeway), 'it is not valid yet; compare the clocks'],
    [validBefore > now, 'it has ended already; compare the clocks'],
    [validBefore <= now + BigInt(asked + leeway), 'it lives longer'],
    // Any other critical option would change what a login can do, in ways nobody here knows.
    [[...critical.keys()].every((name) => knownOptions.has(name)), 'it has an unknown restriction'],
    [isForced || ask.command === undefined, 'it is not bound to the command'],
    [!isForced || ask.command !== undefined, 'it runs one command, and none was asked for'],
    // What the answer says beside it is what callers read and log.
    [isSame(answer.principals, certificate.principals), 'the answer names other principals'],
    [answer.serial === certificate.serial.toString(), 'the answer names another serial'],
    [answer.keyId === certificate.keyId, 'the answer names another key id'],
    [isTime(answer.validAfter, validAfter), 'the answer names another beginning'],
    [isTime(answer.validBefore, validBefore), 'the answer names another end'],
    [isSameMap(answer.criticalOptions, critical), 'the answer names other critical options'],
    [
      isSameMap(answer.extensions, toMap(certificate.extensions)),
      'the answer names other extensions',
    ],
  ]
}

/**
 * Whether a principal of a rule's own fits a login of a host: `deploy@web-1` and what has a prefix before that
 * (`app:deploy@web-1`), or a word for many hosts (`web-admins`), but `root` only for root: an sshd
 * without a file of principals would let that in as root.
 */
const isBound = (principal: string, login: string, host: string): boolean => {
  if (!principal.includes('@')) return principal !== 'root' || login === 'root'
  const own = `${login}@${host}`
  return principal === own || principal.endsWith(`:${own}`)
}

const otherHostHint =
  'if that is the host you mean, ask for it by this name; nothing was sent to it'

const knownOptions: ReadonlySet<string> = new Set(['force-command', 'source-address'])

const toMap = (options: readonly Option[]): ReadonlyMap<string, string> =>
  new Map(options.map(({ name, value }) => [name, value]))

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, at) => text === b[at])

const isSameMap = (
  said: Readonly<Record<string, string>>,
  found: ReadonlyMap<string, string>,
): boolean => {
  const entries = Object.entries(said)
  return (
    entries.length === found.size && entries.every(([name, value]) => found.get(name) === value)
  )
}

const isTime = (text: string, seconds: bigint): boolean =>
  Date.parse(text) === fromSeconds(Number(seconds)).getTime()

/** A name that is none is not repeated: whoever reads the message may print it. */
const formatName = (name: string): string =>
  /^[a-z0-9.-]{1,253}$/.test(name) ? name : 'of no name'
