import { AppError } from '../errors.ts'
import { decodeBase64, encodeBase64, encodeHex, formatSha256 } from '../lib/bytes.ts'
import { isKeyType, type KeyType, keyTypes } from './algorithms.ts'
import { checkPoint, decodeKeyParts, type KeyParts } from './native.ts'
import { findRsaWeakness } from './rsa.ts'
import { createReader, WireError } from './wire.ts'

export type { KeyType } from './algorithms.ts'

/** A public key that has passed every check of `parsePublicKey`. */
export interface PublicKey {
  readonly type: KeyType
  /** The SSH wire blob (RFC 4253 section 6.6). */
  readonly blob: Uint8Array
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

/** Room for the longest RSA key we take and a long comment; a longer text is not looked at. */
const maxLength = 16 * 1024
const linePattern = /^([A-Za-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n\0]*)?\n?$/
const privatePattern = /BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-|b3BlbnNzaC1rZXktdjE/
/** OpenSSH's `-cert-v01@openssh.com` and the plain `-cert` of the IETF drafts. */
const certificatePattern = /-cert(?:-v[0-9]+)?(?:@|$)/

const invalid = (detail: string, cause?: unknown): AppError =>
  new AppError(
    'invalid_public_key',
    'The public key must be one line, "TYPE BASE64", as ssh-keygen writes it to a .pub file.',
    { detail, ...(cause === undefined ? {} : { cause }) },
  )

const unsupported = (name: string): AppError =>
  certificatePattern.test(name)
    ? new AppError(
        'unsupported_key_type',
        'This is a certificate: send the plain public key it was made for.',
      )
    : new AppError(
        'unsupported_key_type',
        'Keys of this type are not certified: use ed25519, ECDSA, RSA, or a FIDO key (ed25519-sk, ecdsa-sk).',
      )

const weak = (detail: string): AppError =>
  new AppError(
    'weak_key',
    'The key is too weak to be certified: make a new one with "ssh-keygen -t ed25519".',
    { detail },
  )

/**
 * Reads the one line of a `.pub` file: `TYPE BASE64`, and a comment, which is dropped.
 * Codes: `private_key_submitted`, `invalid_public_key`, `unsupported_key_type`, `weak_key`. No message
 * or detail holds any of the text. Work is bounded: far under 50 ms, whatever the input.
 */
export const parsePublicKey = (text: string): PublicKey => {
  if (privatePattern.test(text)) {
    throw new AppError(
      'private_key_submitted',
      'This is a private key: send the public one (the .pub file), and replace this key, for it has left your hands.',
    )
  }
  if (text.length > maxLength) throw invalid('the text is longer than 16 KiB')
  const [, type, base64] = linePattern.exec(text) ?? []
  if (type === undefined || base64 === undefined) throw invalid('not one line of type and base64')
  if (!isKeyType(type)) throw unsupported(type)
  const blob = decodeBase64(base64)
  if (blob === undefined) throw invalid('the base64 is not canonical')
  const key = decodePublicKey(blob)
  if (key.type !== type) throw invalid('the line names another type than the blob')
  return key
}

/** Reads a public key's wire blob, with the same checks and codes as `parsePublicKey`. */
export const decodePublicKey = (blob: Uint8Array): PublicKey => new CheckedKey(blob)

/**
 * A key that passed, for there is no making one that did not. A class for the sake of its private
 * field, which no copy of it has and nothing made elsewhere: whoever is handed a key can tell. A
 * WeakSet tells the same, for 3 µs more a certificate.
 */
class CheckedKey implements PublicKey {
  readonly #passed = true
  readonly type: KeyType
  readonly blob: Uint8Array
  readonly fingerprint: string

  constructor(blob: Uint8Array) {
    this.type = checkBlob(blob)
    this.blob = blob
    this.fingerprint = formatFingerprint(blob)
    Object.freeze(this)
  }

  static has(key: PublicKey): boolean {
    return #passed in key
  }
}

/** The type of the key in a blob that passes every check. */
const checkBlob = (blob: Uint8Array): KeyType => {
  const type = findType(blob)
  if (!isKeyType(type)) throw unsupported(type)
  try {
    const { parts, application } = decodeKeyParts(type, blob)
    checkParts(type, parts)
    if (application !== undefined && !applicationPattern.test(application)) {
      throw invalid('the FIDO application is not printable ASCII')
    }
  } catch (error) {
    if (error instanceof AppError) throw error
    throw invalid(error instanceof WireError ? error.message : 'not a key of its type', error)
  }
  return type
}

/**
 * Checks a PublicKey wherever it comes from: free for one made here, and as thorough for any other.
 * Codes: those of `parsePublicKey`.
 */
export const checkPublicKey = (key: PublicKey): void => {
  if (CheckedKey.has(key)) return
  const { type, fingerprint } = decodePublicKey(key.blob)
  if (type !== key.type || fingerprint !== key.fingerprint) {
    throw invalid('the key says another type or fingerprint than its blob')
  }
}

/** Of 32 bytes: the base64 has one more character, its padding. */
const fingerprintLength = 43

/** `SHA256:` and the unpadded base64 of the blob's hash, as `ssh-keygen -l` prints it. */
export const formatFingerprint = (blob: Uint8Array): string =>
  `SHA256:${formatSha256(blob, 'base64').slice(0, fingerprintLength)}`

/** `TYPE BASE64`, as it stands in `authorized_keys` and `TrustedUserCAKeys`, without a comment. */
export const formatPublicKey = ({ type, blob }: Pick<PublicKey, 'type' | 'blob'>): string =>
  `${type} ${encodeBase64(blob)}`

const applicationPattern = /^[\x21-\x7e]{1,256}$/

const findType = (blob: Uint8Array): string => {
  try {
    return createReader(blob).readText()
  } catch (error) {
    throw invalid('the blob holds no key type', error)
  }
}

const checkParts = (type: KeyType, parts: KeyParts): void => {
  switch (parts.family) {
    case 'ed25519':
      checkEdwardsPoint(parts.point)
      return
    case 'ecdsa': {
      const row = keyTypes[type]
      if (!('curve' in row) || row.curve !== parts.curve)
        throw invalid('the curve is not the type’s')
      checkPoint(parts)
      return
    }
    case 'rsa': {
      const weakness = findRsaWeakness(parts.modulus, parts.exponent)
      if (weakness !== undefined) throw weak(weakness)
      return
    }
  }
}

/**
 * The points of order 1, 2, 4 and 8 of edwards25519, in their canonical encoding: without the sign,
 * the highest bit of the last byte, and with it.
 */
const smallOrder: ReadonlySet<string> = new Set(
  [
    ['00000000000000000000000000000000000000000000000000000000000000', '00', '80'],
    ['01000000000000000000000000000000000000000000000000000000000000', '00', '80'],
    ['ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', '7f', 'ff'],
    ['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc', '05', '85'],
    ['c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03', '7a', 'fa'],
  ].flatMap(([start, plain, signed]) => [`${start}${plain}`, `${start}${signed}`]),
)

/**
 * 32 bytes whose y is below p (RFC 8032 section 5.1.3), and no point of small order, under which
 * one signature verifies for many messages.
 */
const checkEdwardsPoint = (point: Uint8Array): void => {
  if (point.length !== 32) throw invalid('an ed25519 key has 32 bytes')
  const first = point[0] as number
  const last = (point[31] as number) & 0x7f
  if (first >= 0xed && last === 0x7f && point.subarray(1, 31).every((byte) => byte === 0xff)) {
    throw invalid('the ed25519 point is not in its canonical form')
  }
  if (smallOrder.has(encodeHex(point))) throw weak('the ed25519 point has a small order')
}
