import { createPublicKey, type KeyObject } from 'node:crypto'
import { isName, isRecord, type Unchecked } from '../values.ts'

/** Every algorithm an issuer may be configured with, and the keys it goes with (RFC 7518, 8037, 9864). */
const algorithms = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Record<string, { readonly kty: string; readonly crv?: string }>

export type Algorithm = keyof typeof algorithms

export const isAlgorithm = (name: string): name is Algorithm => Object.hasOwn(algorithms, name)

/** A public key of an issuer and what it may verify. */
export interface VerificationKey {
  readonly kid?: string
  readonly algorithms: readonly Algorithm[]
  readonly key: KeyObject
}

/** RSA, EC and OKP private members (RFC 7518 section 6, RFC 8037 section 2) and a symmetric key's. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** Reading a key takes tens of microseconds: a hostile set may not hold the event loop. */
const maxKeys = 100

/**
 * The usable keys of a key set (RFC 7517 section 5: others are passed over one by one, so that an
 * odd one does not take the rest with it). Undefined where it is no key set.
 */
export const parseKeySet = (
  document: unknown,
  allowed: readonly Algorithm[],
): readonly VerificationKey[] | undefined => {
  if (!isRecord(document) || !Array.isArray(document['keys'])) return undefined
  return document['keys'].slice(0, maxKeys).flatMap((jwk: unknown) => {
    const key = isRecord(jwk) ? parseKey(jwk, allowed) : undefined
    return key === undefined ? [] : [key]
  })
}

const parseKey = (jwk: Unchecked, allowed: readonly Algorithm[]): VerificationKey | undefined => {
  const { kid, use, alg, key_ops: operations } = jwk
  if (kid !== undefined && !isName(kid)) return undefined
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return undefined
  }
  if (privateMembers.some((name) => Object.hasOwn(jwk, name))) return undefined
  const fitting = allowed.filter((name) => {
    const row: { kty: string; crv?: string } = algorithms[name]
    return (alg === undefined || alg === name) && jwk['kty'] === row.kty && jwk['crv'] === row.crv
  })
  if (fitting.length === 0) return undefined
  const key = importKey(jwk)
  if (key === undefined || !isStrong(key)) return undefined
  return { ...(kid === undefined ? {} : { kid }), algorithms: fitting, key }
}

/** OpenSSL refuses a point off its curve and an Ed25519 key of another length than 32 bytes. */
const importKey = (jwk: Unchecked): KeyObject | undefined => {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** RSA of 2048 to 8192 bits with an odd exponent from 3 to 2^32 (1 signs anything, a huge one stalls us). */
const isStrong = (key: KeyObject): boolean => {
  if (key.asymmetricKeyType !== 'rsa') return true
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  const isSound = publicExponent % 2n === 1n && publicExponent >= 3n && publicExponent < 2n ** 32n
  return modulusLength >= 2048 && modulusLength <= 8192 && isSound
}
