import { verify } from 'node:crypto'
import { concat, encodeUtf8, sha256 } from '../lib/bytes.ts'
import { decodePublicKey } from './keys.ts'
import { createKeyObject, decodeKeyParts } from './native.ts'
import { decodeSignature } from './signature.ts'
import { createReader, encodeStrings, encodeUint32 } from './wire.ts'

/** Somebody touched the authenticator (PROTOCOL.u2f, "flags"). */
const userPresent = 0x01

/** What a FIDO key signs with, beside the name of its own type. */
const algorithms = {
  'sk-ssh-ed25519@openssh.com': 'ssh-ed25519',
  'sk-ecdsa-sha2-nistp256@openssh.com': 'ecdsa-sha2-nistp256',
} as const

/**
 * Whether a FIDO key's signature blob over `data` verifies, and somebody touched the key for it
 * (PROTOCOL.u2f, "SSH U2F Signatures"): a signature without a touch could be had by any program that
 * runs on the machine. Never throws.
 */
export const verifyFidoSignature = (
  publicKey: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean => {
  try {
    const { type } = decodePublicKey(publicKey)
    const { parts, application } = decodeKeyParts(type, publicKey)
    if (!Object.hasOwn(algorithms, type) || application === undefined) return false
    const algorithm = algorithms[type as keyof typeof algorithms]

    const reader = createReader(signature)
    if (reader.readText() !== type) return false
    const value = reader.readString()
    const flags = reader.readByte()
    const counter = reader.readUint32()
    reader.checkEnd()
    if ((flags & userPresent) === 0) return false

    const { raw } = decodeSignature(encodeStrings(algorithm, value))
    const signed = concat(
      sha256(encodeUtf8(application)),
      Uint8Array.of(flags),
      encodeUint32(counter),
      sha256(data),
    )
    const key = { key: createKeyObject(parts), dsaEncoding: 'ieee-p1363' } as const
    return verify(algorithm === 'ssh-ed25519' ? null : 'sha256', signed, key, raw) === true
  } catch {
    return false
  }
}
