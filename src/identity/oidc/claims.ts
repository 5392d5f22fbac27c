import { fromSeconds } from '../../lib/clock.ts'
import { isHostName } from '../../lib/names.ts'
import { type ClaimValue, type Identity, tokenRefused } from '../index.ts'
import { isName, isRecord, isStringList, type Unchecked } from '../values.ts'

/** How an issuer shows that a second factor was used: methods, a context class, or always. */
export type MfaEvidence =
  | { readonly amr: readonly string[] }
  | { readonly acr: readonly string[] }
  | 'enforced'

/** What is expected of an issuer's claims, and how they are read. */
export interface ClaimRules {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly groupsClaim: string
  readonly nameClaim?: string
  readonly mfa?: MfaEvidence
  readonly maxTokenAgeSeconds: number
}

/** How far the issuer's clock and ours may differ, in seconds. */
export const leewaySeconds = 60

/** The last second RFC 3339 can write; a time in milliseconds lies far beyond it. */
const maxTime = 253_402_300_799

/**
 * The registered claims (RFC 7519 section 4.1, OpenID Connect Core section 3.1.3.7), each of
 * exactly the type it should have.
 *
 * `exp`, `nbf` and `iat` have 60 seconds of leeway. A certificate still ends with its token, so that one
 * whose end has come buys nothing but from a rule with `outliveToken`. The age limit has no leeway.
 * @throws AppError `invalid_token`
 */
export const checkClaims = (payload: Unchecked, rules: ClaimRules, now: number): void => {
  if (payload['iss'] !== rules.issuer) throw tokenRefused('iss is not the issuer')
  checkAudience(payload, rules.audience)
  if (!isName(payload['sub'])) throw tokenRefused('sub is no name')

  const exp = parseTime(payload, 'exp')
  const iat = parseTime(payload, 'iat')
  const nbf = parseTime(payload, 'nbf')
  if (exp === undefined) throw tokenRefused('exp is missing')
  if (iat === undefined) throw tokenRefused('iat is missing')
  if (now >= exp + leewaySeconds) throw tokenRefused('exp has passed')
  if (iat > now + leewaySeconds) throw tokenRefused('iat lies in the future')
  if (nbf !== undefined && nbf > now + leewaySeconds) throw tokenRefused('nbf lies in the future')
  if (now - iat > rules.maxTokenAgeSeconds)
    throw tokenRefused('the token is older than maxTokenAge')

  // RFC 7800: a token bound to a key is nothing without the proof, which we do not take.
  if (payload['cnf'] !== undefined) throw tokenRefused('the token is bound to a key (cnf)')
}

/**
 * One of our audiences must be named. Where others are named too, the token was made for them as
 * well: then `azp`, the client that obtained it, must itself be one of ours.
 */
const checkAudience = (payload: Unchecked, ours: readonly string[]): void => {
  const { aud, azp, client_id: clientId } = payload
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!named.every((name) => typeof name === 'string'))
    throw tokenRefused('aud is no list of names')
  if (!named.some((name) => ours.includes(name))) throw tokenRefused('aud names none of ours')
  for (const client of [azp, clientId]) {
    if (client !== undefined && !isName(client)) throw tokenRefused('azp or client_id is no name')
  }
  if (named.length > 1 && !(typeof azp === 'string' && ours.includes(azp))) {
    throw tokenRefused('aud names several and azp is none of ours')
  }
}

const parseTime = (payload: Unchecked, name: 'exp' | 'iat' | 'nbf'): number | undefined => {
  const value = payload[name]
  if (value === undefined) return undefined
  if (!isTime(value)) throw tokenRefused(`${name} is no time in whole seconds`)
  return value
}

const isTime = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxTime

/** The Identity of a verified payload that `checkClaims` has passed. */
export const createIdentity = (payload: Unchecked, rules: ClaimRules): Identity => {
  const { sub, azp, client_id: clientId, auth_time: authTime } = payload
  const subject = sub as string
  const claims = copyClaims(payload)
  const client = (azp ?? clientId) as string | undefined
  const email = findEmail(payload)
  const names =
    rules.nameClaim === undefined
      ? [payload['preferred_username'], email]
      : [payload[rules.nameClaim]]
  // In the order of canonical JSON, in which it goes into the log.
  return Object.freeze({
    ...(isTime(authTime) ? { authenticatedAt: fromSeconds(authTime) } : {}),
    claims,
    ...(client === undefined ? {} : { client }),
    ...(email === undefined ? {} : { email }),
    expiresAt: fromSeconds(payload['exp'] as number),
    ...readGroups(payload, rules.groupsClaim, claims),
    issuedAt: fromSeconds(payload['iat'] as number),
    issuer: rules.issuer,
    kind: 'oidc',
    mfa: isMultiFactor(payload, rules.mfa),
    name: names.find(isName) ?? subject,
    subject,
  })
}

/**
 * The address, only where the issuer says it has verified it: the boolean, as others have read
 * `"false"` as true. One `@`, ASCII, no quoting; the domain in lower case.
 */
const findEmail = ({ email, email_verified: isVerified }: Unchecked): string | undefined => {
  if (isVerified !== true || typeof email !== 'string' || email.length > 254) return undefined
  const match = /^([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})@([A-Za-z0-9.-]+)$/.exec(email)
  const domain = match?.[2]?.toLowerCase()
  return domain !== undefined && isHostName(domain) ? `${match?.[1]}@${domain}` : undefined
}

/**
 * A list of strings, or none: a single string could be a comma-joined list, and groups the issuer
 * keeps elsewhere (OpenID Connect Core section 5.6.2, Entra's overage) are unknown, not absent.
 */
const readGroups = (
  payload: Unchecked,
  claim: string,
  claims: Identity['claims'],
): Pick<Identity, 'groups' | 'groupsProblem'> => {
  const elsewhere = payload['_claim_names']
  if (isRecord(elsewhere) && Object.hasOwn(elsewhere, claim)) {
    return { groups: noGroups, groupsProblem: 'held_elsewhere' }
  }
  if (payload[claim] === undefined) return { groups: noGroups }
  const groups = claims[claim]
  return typeof groups === 'object'
    ? { groups }
    : { groups: noGroups, groupsProblem: 'not_a_list_of_strings' }
}

const noGroups: readonly string[] = Object.freeze([])

/**
 * Without a prototype, so that no rule can name an inherited member (and not by `Object.create`, which
 * makes a slow table of it); sorted, as the log has them; bounded by the token's own length.
 */
const copyClaims = (payload: Unchecked): Identity['claims'] => {
  const claims: Record<string, ClaimValue> = Object.setPrototypeOf({}, null)
  for (const name of Object.keys(payload).sort()) {
    const value = payload[name]
    if (isStringList(value)) claims[name] = Object.freeze([...value])
    else if (isScalar(value)) claims[name] = value
  }
  return Object.freeze(claims)
}

/** A whole number past 2^53 was rounded when it was read, so it may be another's id: left out. */
const isScalar = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' ||
  typeof value === 'boolean' ||
  (typeof value === 'number' && (Number.isSafeInteger(value) || !Number.isInteger(value)))

const isMultiFactor = ({ amr, acr }: Unchecked, evidence: MfaEvidence | undefined): boolean => {
  if (evidence === undefined) return false
  if (evidence === 'enforced') return true
  if ('amr' in evidence) return isStringList(amr) && amr.some((name) => evidence.amr.includes(name))
  return typeof acr === 'string' && evidence.acr.includes(acr)
}
