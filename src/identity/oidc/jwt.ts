import { decodeUtf8 } from '../../lib/bytes.ts'
import { JsonError, parseJson } from '../../lib/json.ts'
import { maxTokenLength, tokenRefused } from '../index.ts'
import { isName, isRecord, type Unchecked } from '../values.ts'

/** A token and its two readable parts. Its signature has not been checked. Made by reading the text alone. */
export interface Jwt {
  readonly text: string
  readonly header: { readonly alg: string; readonly kid?: string }
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
  const jwt = readJwt(token)
  if (typeof jwt === 'string') throw tokenRefused(jwt)
  return jwt
}

/** The same; where it is none, in words why not. Never throws. */
export const readJwt = (token: string): Jwt | string => {
  if (!isCompact(token)) return 'not a compact JWS'
  const [first, second, signature] = token.split('.') as [string, string, string]
  if (!isCanonical(signature)) return 'the signature is not base64url'
  const members = readPart(first, 'header')
  const header = typeof members === 'string' ? members : readHeader(members)
  if (typeof header === 'string') return header
  const payload = readPart(second, 'payload')
  return typeof payload === 'string' ? payload : { text: token, header, payload }
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

/** The letters that may come last, where two or three make up the last one or two bytes. */
const lastLetters: Readonly<Record<number, string>> = { 2: 'AQgw', 3: 'AEIMQUYcgkosw048' }

/**
 * Whether a segment is the one text of its bytes: bits behind the last byte must be zero (RFC 4648
 * section 3.5), and Node would skip them. Its letters have been looked at.
 */
const isCanonical = (segment: string): boolean => {
  const over = segment.length % 4
  return over === 0 || lastLetters[over]?.includes(segment.at(-1) as string) === true
}

const readPart = (segment: string, part: 'header' | 'payload'): Unchecked | string => {
  const text = isCanonical(segment) ? decodeUtf8(Buffer.from(segment, 'base64url')) : undefined
  if (text === undefined) return `the ${part} is not base64url of UTF-8`
  try {
    const value = parseJson(text)
    return isRecord(value) ? value : `the ${part} is not a JSON object`
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    return `the ${part} ${error.message}`
  }
}

const readHeader = (header: Unchecked): Jwt['header'] | string => {
  const { alg, kid, typ } = header
  const refused = refusedMembers.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) return `the header has the member ${refused}`
  if (typeof alg !== 'string') return 'the header names no algorithm'
  if (typ !== undefined && !(typeof typ === 'string' && typePattern.test(typ))) {
    return 'the header names a type that is neither JWT nor at+jwt'
  }
  if (kid === undefined) return { alg }
  return isName(kid) ? { alg, kid } : 'the header has a key id that is no short string'
}
