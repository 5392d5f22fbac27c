import { decodeUtf8 } from '../../lib/bytes.ts'
import { JsonError, parseJson } from '../../lib/json.ts'
import { maxTokenLength, tokenRefused } from '../index.ts'
import { isName, isRecord, type Unchecked } from '../values.ts'

/** The two readable parts of a token. Its signature has not been checked. */
export interface Jwt {
  readonly header: Unchecked & { readonly alg: string; readonly kid?: string }
  readonly payload: Unchecked
}

/** Compact serialisation and nothing else (RFC 7515 section 3.1): no JSON forms, no JWE, no padding. */
const compactPattern = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}$/

/**
 * Header members that ask for what we do not do: extensions we would have to understand (RFC 7515
 * section 4.1.11), and keys of the token's own choosing (RFC 8725 section 3.10).
 */
const refusedMembers = ['crit', 'b64', 'jku', 'x5u', 'jwk', 'x5c'] as const

/** Explicit types that are ours to read; other ones (logout tokens, proofs) are other protocols' (RFC 8725 section 3.11). */
const typePattern = /^(?:application\/)?(?:jwt|at\+jwt)$/i

/**
 * Reads a token strictly, before any library and any network.
 * @throws AppError `invalid_token`
 */
export const parseJwt = (token: string): Jwt => {
  if (!isCompact(token)) throw tokenRefused('not a compact JWS')
  const [header, payload, signature] = token.split('.') as [string, string, string]
  if (decodeSegment(signature) === undefined) throw tokenRefused('the signature is not base64url')
  return {
    header: checkHeader(parsePart(header, 'header')),
    payload: parsePart(payload, 'payload'),
  }
}

/** The issuer an unverified token names, to find who is to verify it; undefined for anything else. Never throws. */
export const findIssuer = (token: string): string | undefined => {
  if (!isCompact(token)) return undefined
  try {
    const payload = Buffer.from(token.split('.')[1] as string, 'base64url').toString('utf8')
    const value = JSON.parse(payload) as { readonly iss?: unknown } | null
    return typeof value?.iss === 'string' ? value.iss : undefined
  } catch {
    return undefined
  }
}

const isCompact = (token: string): boolean =>
  token.length <= maxTokenLength && compactPattern.test(token)

/** Undefined unless canonical: Node skips trailing bits that would make two texts of one value. */
const decodeSegment = (segment: string): Uint8Array | undefined => {
  const bytes = Buffer.from(segment, 'base64url')
  return bytes.toString('base64url') === segment ? bytes : undefined
}

const parsePart = (segment: string, part: 'header' | 'payload'): Unchecked => {
  const bytes = decodeSegment(segment)
  const text = bytes === undefined ? undefined : decodeUtf8(bytes)
  if (text === undefined) throw tokenRefused(`the ${part} is not base64url of UTF-8`)
  try {
    const value = parseJson(text)
    if (isRecord(value)) return value
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw tokenRefused(`the ${part} ${error.message}`)
  }
  throw tokenRefused(`the ${part} is not a JSON object`)
}

const checkHeader = (header: Unchecked): Jwt['header'] => {
  const { alg, kid, typ } = header
  const refused = refusedMembers.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) throw tokenRefused(`the header has the member ${refused}`)
  if (typeof alg !== 'string') throw tokenRefused('the header names no algorithm')
  if (typ !== undefined && !(typeof typ === 'string' && typePattern.test(typ))) {
    throw tokenRefused('the header names a type that is neither JWT nor at+jwt')
  }
  if (kid === undefined) return { alg }
  if (!isName(kid)) throw tokenRefused('the header has a key id that is no short string')
  return { alg, kid }
}
