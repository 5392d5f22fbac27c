import { verify } from 'node:crypto'
import { concat } from '../lib/bytes.ts'
import {
  curves,
  isVerifiableAlgorithm,
  keyTypes,
  signatureAlgorithms,
  type VerifiableAlgorithm,
} from './algorithms.ts'
import { decodePublicKey } from './keys.ts'
import { createKeyObject, decodeKeyParts } from './native.ts'
import { createReader, encodeMpint, encodeStrings, WireError } from './wire.ts'

/** The bytes of a coordinate of the algorithm's curve; undefined where it has none. */
const findCoordinateBytes = (algorithm: VerifiableAlgorithm): number | undefined => {
  const row = keyTypes[signatureAlgorithms[algorithm].keyType]
  return 'curve' in row ? curves[row.curve].bytes : undefined
}

/**
 * The SSH signature blob (RFC 4253 section 6.6) of a signature as node:crypto makes it; ECDSA's as
 * `ieee-p1363`, which becomes two mpints (RFC 5656 section 3.1.2).
 */
export const encodeSignature = (algorithm: VerifiableAlgorithm, raw: Uint8Array): Uint8Array => {
  const bytes = findCoordinateBytes(algorithm)
  if (bytes === undefined) return encodeStrings(algorithm, raw)
  const numbers = concat(encodeMpint(raw.subarray(0, bytes)), encodeMpint(raw.subarray(bytes)))
  return encodeStrings(algorithm, numbers)
}

/** A signature blob taken apart, its value as node:crypto reads it. @throws WireError */
export const decodeSignature = (
  blob: Uint8Array,
): { readonly algorithm: VerifiableAlgorithm; readonly raw: Uint8Array } => {
  const reader = createReader(blob)
  const algorithm = reader.readText()
  const value = reader.readString()
  reader.checkEnd()
  if (!isVerifiableAlgorithm(algorithm)) throw new WireError('the algorithm is not one of ours')
  const bytes = findCoordinateBytes(algorithm)
  if (bytes === undefined) return { algorithm, raw: value }
  const numbers = createReader(value)
  const r = numbers.readMpint()
  const s = numbers.readMpint()
  numbers.checkEnd()
  if (r.length > bytes || s.length > bytes) throw new WireError('a number is longer than the curve')
  const raw = new Uint8Array(2 * bytes)
  raw.set(r, bytes - r.length)
  raw.set(s, 2 * bytes - s.length)
  return { algorithm, raw }
}

/** Whether a signature blob over `data` verifies. Never throws. */
export type Verifier = (data: Uint8Array, signature: Uint8Array) => boolean

/**
 * A verifier for one public key, which is read once. The algorithm in a signature must belong to
 * the key's type; RSA is SHA-2 only. A FIDO key verifies nothing here.
 * Codes: those of `parsePublicKey` for a key that is none.
 */
export const createVerifier = (publicKey: Uint8Array): Verifier => {
  const { type } = decodePublicKey(publicKey)
  const { parts } = decodeKeyParts(type, publicKey)
  const key = createKeyObject(parts)
  return (data, signature) => {
    try {
      const { algorithm, raw } = decodeSignature(signature)
      const { keyType, hash } = signatureAlgorithms[algorithm]
      if (keyType !== type) return false
      return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, raw) === true
    } catch {
      return false
    }
  }
}

/** One verification by a key's wire blob; false for whatever is not a true signature. Never throws. */
export const verifySignature = (
  publicKey: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean => {
  try {
    return createVerifier(publicKey)(data, signature)
  } catch {
    return false
  }
}
