import { createPublicKey, ECDH, type KeyObject } from 'node:crypto'
import { concat } from '../lib/bytes.ts'
import { curves, isCurve, type KeyType, keyTypes } from './algorithms.ts'
import { createReader, encodeMpint, encodeString, encodeStrings, WireError } from './wire.ts'

interface EcdsaParts {
  readonly family: 'ecdsa'
  readonly curve: string
  readonly point: Uint8Array
}

/** The numbers of a public key, out of its wire blob; nothing about them has been checked. */
export type KeyParts =
  | { readonly family: 'ed25519'; readonly point: Uint8Array }
  | EcdsaParts
  | { readonly family: 'rsa'; readonly modulus: Uint8Array; readonly exponent: Uint8Array }

/** The parts of a blob of this type, and a FIDO key's application. @throws WireError */
export const decodeKeyParts = (
  type: KeyType,
  blob: Uint8Array,
): { readonly parts: KeyParts; readonly application?: string } => {
  const reader = createReader(blob)
  if (reader.readText() !== type) throw new WireError('the blob is of another key type')
  const read = (): { readonly parts: KeyParts; readonly application?: string } => {
    switch (keyTypes[type].family) {
      case 'ed25519':
        return { parts: { family: 'ed25519', point: reader.readString() } }
      case 'sk-ed25519':
        return {
          parts: { family: 'ed25519', point: reader.readString() },
          application: reader.readText(),
        }
      case 'ecdsa':
        return {
          parts: { family: 'ecdsa', curve: reader.readText(), point: reader.readString() },
        }
      case 'sk-ecdsa':
        return {
          parts: { family: 'ecdsa', curve: reader.readText(), point: reader.readString() },
          application: reader.readText(),
        }
      case 'rsa': {
        const exponent = reader.readMpint()
        return { parts: { family: 'rsa', modulus: reader.readMpint(), exponent } }
      }
    }
  }
  const found = read()
  reader.checkEnd()
  return found
}

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** What is known of the curve of a point, which must be uncompressed. @throws WireError */
const findCurve = ({ curve, point }: EcdsaParts) => {
  if (!isCurve(curve)) throw new WireError('the curve is not known')
  if (point.length !== 1 + 2 * curves[curve].bytes || point[0] !== 4) {
    throw new WireError('the point is not uncompressed, or has the wrong length')
  }
  return curves[curve]
}

/**
 * Checks that an ECDSA point is uncompressed and lies on its curve: all that `createKeyObject` checks,
 * in a quarter of the time. There OpenSSL also multiplies the point by the curve's order, which says
 * nothing new of a curve whose cofactor is 1. @throws where it is not so
 */
export const checkPoint = (parts: EcdsaParts): void => {
  ECDH.convertKey(parts.point, findCurve(parts).openssl)
}

/**
 * The parts as a node:crypto key. An ECDSA point must be uncompressed and lie on its curve.
 * @throws where node:crypto does not take it.
 */
export const createKeyObject = (parts: KeyParts): KeyObject => {
  switch (parts.family) {
    case 'ed25519':
      return createPublicKey({
        format: 'jwk',
        key: { kty: 'OKP', crv: 'Ed25519', x: encode(parts.point) },
      })
    case 'ecdsa': {
      const { jwk, bytes } = findCurve(parts)
      const { point } = parts
      const x = encode(point.subarray(1, 1 + bytes))
      const y = encode(point.subarray(1 + bytes))
      return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: jwk, x, y } })
    }
    case 'rsa':
      return createPublicKey({
        format: 'jwk',
        key: { kty: 'RSA', n: encode(parts.modulus), e: encode(parts.exponent) },
      })
  }
}

/**
 * The wire blob (RFC 4253 section 6.6) of a node:crypto public key, or of a private key's public
 * half; undefined for a kind of key SSH does not have.
 */
export const encodePublicKey = (key: KeyObject): Uint8Array | undefined => {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  const bytes = (name: 'x' | 'y' | 'n' | 'e') => Buffer.from(jwk[name] ?? '', 'base64url')
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return encodeStrings('ssh-ed25519', bytes('x'))
  if (jwk.kty === 'RSA') {
    return concat(encodeString('ssh-rsa'), encodeMpint(bytes('e')), encodeMpint(bytes('n')))
  }
  const curve = Object.entries(curves).find(([, row]) => row.jwk === jwk.crv)?.[0]
  if (jwk.kty !== 'EC' || curve === undefined) return undefined
  const point = concat(Uint8Array.of(4), bytes('x'), bytes('y'))
  return encodeStrings(`ecdsa-sha2-${curve}`, curve, point)
}
