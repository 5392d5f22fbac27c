import { AppError } from '../errors.ts'
import { encodeHex, encodeUtf8, sha256 } from '../lib/bytes.ts'
import { toSeconds } from '../lib/clock.ts'
import type { Grant, RuleRef } from '../policy/index.ts'
import type { PublicKey } from '../ssh/keys.ts'
import type { CertificateIntent } from './index.ts'

/** Whom a certificate names in its key id. */
export interface Holder {
  readonly kind: 'github' | 'oidc' | 'enrolment'
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly expiresAt?: Date
}

/** The shortest certificate that a rule's time may leave. */
const leastSeconds = 5

/**
 * Turns a grant into the certificate that will be signed. It ends `ttl` after now (the grant's is cut
 * to the end of the rule's `when` already), or with the holder's token where that is sooner and the
 * rule does not let it outlive the token.
 * Code: `token_expired` where the token has ended already.
 */
export const createIntent = (given: {
  readonly grant: Grant
  readonly rule: RuleRef
  readonly holder: Holder
  readonly publicKey: PublicKey
  readonly requestId: string
  readonly serial: bigint
  readonly at: Date
  readonly backdateSeconds: number
}): { readonly intent: CertificateIntent; readonly shortenedBy?: 'token' | 'when' } => {
  const { grant, holder } = given
  const now = toSeconds(given.at)
  const wanted = now + grant.ttlSeconds
  const tokenEnd = holder.expiresAt === undefined ? undefined : toSeconds(holder.expiresAt)
  const isShortened = !grant.outliveToken && tokenEnd !== undefined && tokenEnd < wanted
  // A token is taken for a minute past its end (clocks differ), but leaves no time for a certificate.
  if (isShortened && tokenEnd <= now) {
    throw new AppError(
      'token_expired',
      'The certificate may not outlive your token, and the token has expired: send a fresh one.',
      { detail: 'the token ended within the leeway, and the rule does not say outliveToken' },
    )
  }
  // Deciding and signing take their time too: a certificate must not be over before it is made.
  if (grant.shortenedBy === 'when' && grant.ttlSeconds < leastSeconds) {
    throw new AppError(
      'policy_denied',
      'The time in which this is allowed ends in a moment: ask again when it is back.',
      { detail: `the time of rule ${given.rule.name} ends in under ${leastSeconds} s` },
    )
  }
  const intent: CertificateIntent = Object.freeze({
    publicKey: given.publicKey,
    serial: given.serial,
    keyId: formatKeyId(holder, given.rule.name, given.requestId),
    principals: grant.principals,
    validAfter: now - given.backdateSeconds,
    validBefore: isShortened ? tokenEnd : wanted,
    criticalOptions: grant.criticalOptions,
    extensions: grant.extensions,
  })
  const shortenedBy = isShortened ? 'token' : grant.shortenedBy
  return shortenedBy === undefined ? { intent } : { intent, shortenedBy }
}

const maxKeyId = 256
/** Neither separator of the key id nor a hash, so that no subject or name can pose as another part. */
const keyIdPart = /^(?!sha256=)[A-Za-z0-9._@=-]+$/

/**
 * The key id sshd writes to its log: `github:583231:maya/runner-setup/req_…`, or
 * `oidc:idp.example.com:u-1:maya/…`. A name that does not fit is left out; a subject that does not fit
 * stands as the first 32 hex digits of its SHA-256. Always `[A-Za-z0-9._:/@=-]{1,256}`: a newline in
 * a key id would forge whole lines of sshd's log.
 */
export const formatKeyId = (holder: Holder, rule: string, requestId: string): string => {
  const host = findHost(holder.issuer)
  const source =
    holder.kind === 'github' && host === 'github.com' ? 'github' : `${holder.kind}:${host}`
  const tail = `/${rule}/${requestId}`
  const isFit = (text: string) => text.length <= maxKeyId
  const subject = keyIdPart.test(holder.subject) ? holder.subject : hashSubject(holder)
  const whole = `${source}:${subject}:${holder.name}${tail}`
  if (keyIdPart.test(holder.name) && isFit(whole)) return whole
  const nameless = `${source}:${subject}${tail}`
  if (isFit(nameless)) return nameless
  const hashed = hashSubject(holder)
  const least = `${source}:${hashed}${tail}`
  return isFit(least) ? least : `${holder.kind}:${hashed}${tail}`
}

/** By issuer: they are as many as the configuration has, and parsing one takes as long as all the rest. */
const hosts = new Map<string, string>()

const findHost = (issuer: string): string => {
  const known = hosts.get(issuer)
  if (known !== undefined) return known
  // An IPv6 issuer, as in a test on loopback, without its brackets.
  const host = new URL(issuer).host.replace(/[[\]]/g, '')
  hosts.set(issuer, host)
  return host
}

const hashSubject = ({ subject }: Holder): string =>
  `sha256=${encodeHex(sha256(encodeUtf8(subject))).slice(0, 32)}`
