import { findCertificate, type IssuedCertificate } from './certificates.ts'
import type { FindRevoked } from './inventory.ts'
import { listEntries } from './read.ts'
import type { CertificateLogin } from './sshd-log.ts'
import type { Store } from './store.ts'

/** What can be wrong with a login that a host's log tells of. */
export const findingKinds = {
  'never-issued':
    'no certificate with this serial was issued: whoever made it holds the CA key, or the log has lost its entry',
  unreadable: 'the line does not end as sshd ends it: its key id is none of ours',
  'key-id': 'the key id is not the one that was issued',
  'public-key': 'the key is not the one that was certified',
  login: 'the certificate was not for this login',
  host: 'the certificate was not for this host',
  revoked: 'it was used after it had been revoked',
  expired: 'it was used after its end',
  'not-yet-valid': 'it was used before its beginning',
} as const satisfies Record<string, string>

export type FindingKind = keyof typeof findingKinds

/** One thing that is wrong with one login. */
export interface LoginFinding {
  readonly kind: FindingKind
  /** What the log of certificates says instead. */
  readonly expected?: string
}

/** A login as it was judged; `foreign` where another CA signed, of which we know nothing. */
export type Judgement =
  | { readonly kind: 'foreign' }
  | { readonly kind: 'judged'; readonly findings: readonly LoginFinding[] }

export interface Reconciler {
  /** Codes: `audit_unavailable`, `log_corrupt` */
  judge(login: CertificateLogin): Promise<Judgement>
}

/** Certificates that are kept in mind: one is used often, and seldom long after it was issued. */
const mostKept = 5000

/**
 * Joins logins to the certificates that were issued. `ours` are the fingerprints of the CA keys that
 * this log's certificates may be signed by.
 */
export const createReconciler = (deps: {
  readonly store: Pick<Store, 'find'>
  readonly ours: ReadonlySet<string>
  readonly findRevoked: FindRevoked
  /** How far a host's clock may be from ours, and how long a revocation may take to reach it. */
  readonly toleranceSeconds: number
}): Reconciler => {
  const { store, ours, findRevoked } = deps
  const slack = deps.toleranceSeconds * 1000
  const known = new Map<string, IssuedCertificate | undefined>()

  const find = async (serial: string): Promise<IssuedCertificate | undefined> => {
    if (known.has(serial)) return known.get(serial)
    const found = await findCertificate(store, serial)
    if (known.size >= mostKept) known.clear()
    known.set(serial, found)
    return found
  }

  /** Each check answers what was expected, where that is not what was found. */
  const checks = {
    'key-id': ({ keyId }, one) => (keyId === one.keyId ? undefined : one.keyId),
    'public-key': ({ fingerprint }, { ask }) =>
      fingerprint === ask.fingerprint ? undefined : ask.fingerprint,
    login: ({ login }, { ask, principals }) =>
      login === ask.login || principals.some((one) => one.split('@')[0] === login)
        ? undefined
        : ask.login,
    host: ({ host }, { ask }) =>
      host === undefined || isSameHost(host, ask.host) ? undefined : ask.host,
    revoked: ({ time }, one) => {
      const revoked = time === undefined ? undefined : findRevoked(one)
      const isBefore = revoked === undefined || (time ?? 0) <= Date.parse(revoked.time) + slack
      return isBefore ? undefined : `revoked at ${revoked.time} by ${revoked.by}`
    },
    expired: ({ time }, { validBefore }) =>
      time === undefined || time < Date.parse(validBefore) + slack ? undefined : validBefore,
    'not-yet-valid': ({ time }, { validAfter }) =>
      time === undefined || time >= Date.parse(validAfter) - slack ? undefined : validAfter,
  } as const satisfies Record<
    Exclude<FindingKind, 'never-issued' | 'unreadable'>,
    (login: CertificateLogin, certificate: IssuedCertificate) => string | undefined
  >

  return Object.freeze({
    async judge(login: CertificateLogin) {
      if (!ours.has(login.ca)) return { kind: 'foreign' }
      const certificate = await find(normalise(login.serial))
      if (certificate === undefined || certificate.ca !== login.ca) {
        return { kind: 'judged', findings: [{ kind: 'never-issued' }] }
      }
      const findings = Object.entries(checks).flatMap(([kind, check]) => {
        const expected = check(login, certificate)
        return expected === undefined ? [] : [{ kind: kind as FindingKind, expected }]
      })
      return { kind: 'judged', findings }
    },
  } satisfies Reconciler)
}

/** sshd prints a 64-bit number without zeros in front; a line need not be sshd's. */
const normalise = (serial: string): string => BigInt(serial).toString()

/** Logs name a host by its first label as often as by all of it; an address names none. */
const isSameHost = (logged: string, host: string): boolean => {
  const name = logged.toLowerCase().replace(/\.$/, '')
  if (/^[0-9.]+$|:/.test(name) || name === 'localhost') return true
  return name === host || host.startsWith(`${name}.`) || name.startsWith(`${host}.`)
}

/** The fingerprints of the CA keys that the log names: of the newest starts, and of every key of the ring. */
export const listCaKeys = async (store: Pick<Store, 'find'>): Promise<ReadonlySet<string>> => {
  const [starts, steps] = await Promise.all([
    listEntries(store, { type: 'start' }, 10_000),
    listEntries(store, { type: 'ca-key' }, 10_000),
  ])
  return new Set([
    ...starts.flatMap(({ entry }) => (entry.type === 'start' ? [entry.ca] : [])),
    ...steps.flatMap(({ entry }) => (entry.type === 'ca-key' ? [entry.fingerprint] : [])),
  ])
}
