import { encodeHex, encodeUtf8, sha256 } from '../lib/bytes.ts'
import { toSeconds } from '../lib/clock.ts'
import type { Grant, RuleRef } from '../policy/index.ts'
import type { PublicKey } from '../ssh/keys.ts'
import type { CertificateIntent } from './index.ts'

/** Whom a certificate names in its key id. */
export interface Holder {
  readonly kind: 'github' | 'oidc'
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly expiresAt?: Date
}

/**
 * Turns a grant into the certificate that will be signed. It ends `ttl` after now, or with the
 * holder's token where that is sooner and the rule does not let it outlive the token.
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
}): { readonly intent: CertificateIntent; readonly shortenedBy?: 'token' } => {
  const { grant, holder } = given
  const now = toSeconds(given.at)
  const wanted = now + grant.ttlSeconds
  const tokenEnd = holder.expiresAt === undefined ? undefined : toSeconds(holder.expiresAt)
  const isShortened = !grant.outliveToken && tokenEnd !== undefined && tokenEnd < wanted
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
  return isShortened ? { intent, shortenedBy: 'token' } : { intent }
}

const maxKeyId = 256
/** Neither separator of the key id, so that no subject or name can pose as another part. */
const keyIdPart = /^[A-Za-z0-9._@=-]+$/

/**
 * The key id sshd writes to its log: `github:583231:maya/runner-setup/req_…`, or
 * `oidc:idp.example.com:u-1:maya/…`. A name that does not fit is left out; a subject that does not fit
 * stands as the first 32 hex digits of its SHA-256. Always `[A-Za-z0-9._:/@=-]{1,256}`: a newline in
 * a key id would forge whole lines of sshd's log.
 */
export const formatKeyId = (holder: Holder, rule: string, requestId: string): string => {
  const { host } = new URL(holder.issuer)
  const source =
    holder.kind === 'github' && host === 'github.com' ? 'github' : `${holder.kind}:${host}`
  const hashed = `sha256=${encodeHex(sha256(encodeUtf8(holder.subject))).slice(0, 32)}`
  const subject = keyIdPart.test(holder.subject) ? holder.subject : hashed
  const tail = `/${rule}/${requestId}`
  const candidates = [
    ...(keyIdPart.test(holder.name) ? [`${source}:${subject}:${holder.name}${tail}`] : []),
    `${source}:${subject}${tail}`,
    `${source}:${hashed}${tail}`,
  ]
  return candidates.find((text) => text.length <= maxKeyId) ?? `${holder.kind}:${hashed}${tail}`
}
