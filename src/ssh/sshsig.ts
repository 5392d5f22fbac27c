import { hash } from 'node:crypto'
import { concat, decodeBase64, encodeBase64, encodeUtf8, isEqual } from '../lib/bytes.ts'
import { isKeyType, keyTypes } from './algorithms.ts'
import { verifyFidoSignature } from './fido.ts'
import { verifySignature } from './signature.ts'
import {
  createReader,
  encodeString,
  encodeStrings,
  encodeUint32,
  type Reader,
  WireError,
} from './wire.ts'

// Signatures over files and messages as `ssh-keygen -Y sign` makes them (OpenSSH PROTOCOL.sshsig).

const magic = encodeUtf8('SSHSIG')
const version = 1
const hashes = ['sha512', 'sha256'] as const

/** Longer than any signature by a key we take: RSA of 16384 bits, twice, in base64. */
const maxLength = 16 * 1024
const armor =
  /^-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END SSH SIGNATURE-----(?:\r?\n)?$/

/**
 * An armored signature over `message`, as `ssh-keygen -Y sign` writes it. `sign` makes the signature
 * blob (signature.ts) over the bytes it is given.
 */
export const formatSshsig = (given: {
  readonly publicKey: Uint8Array
  readonly namespace: string
  readonly message: Uint8Array
  readonly sign: (data: Uint8Array) => Uint8Array
}): string => {
  const { publicKey, namespace, message, sign } = given
  const algorithm = hashes[0]
  const blob = concat(
    magic,
    encodeUint32(version),
    encodeString(publicKey),
    encodeStrings(namespace, '', algorithm),
    encodeString(sign(encodeSigned(namespace, algorithm, message))),
  )
  const lines = encodeBase64(blob).match(/.{1,70}/g) ?? []
  return `-----BEGIN SSH SIGNATURE-----\n${lines.join('\n')}\n-----END SSH SIGNATURE-----\n`
}

/** What is really signed: the message's hash, and what the signature is for. */
const encodeSigned = (
  namespace: string,
  algorithm: (typeof hashes)[number],
  message: Uint8Array,
): Uint8Array =>
  concat(
    magic,
    encodeStrings(namespace, '', algorithm),
    encodeString(new Uint8Array(hash(algorithm, message, 'buffer'))),
  )

/**
 * What is wrong with an armored signature over `message` by the key with this wire blob, in words for
 * a log and never its text; undefined where it verifies. A FIDO key must have been touched for it.
 * Never throws.
 */
export const findSshsigFault = (
  text: string,
  wanted: {
    readonly publicKey: Uint8Array
    readonly namespace: string
    readonly message: Uint8Array
  },
): string | undefined => {
  try {
    return findFault(decodeArmor(text), wanted)
  } catch (error) {
    return error instanceof WireError ? error.message : 'it cannot be read'
  }
}

const decodeArmor = (text: string): Uint8Array => {
  const base64 = text.length > maxLength ? undefined : armor.exec(text)?.[1]
  const blob = base64 === undefined ? undefined : decodeBase64(base64.replace(/[\r\n]/g, ''))
  if (blob === undefined) throw new WireError('it is no armored SSH signature')
  return blob
}

const findFault = (
  blob: Uint8Array,
  wanted: Parameters<typeof findSshsigFault>[1],
): string | undefined => {
  if (!isEqual(blob.subarray(0, magic.length), magic)) return 'it does not begin with SSHSIG'
  const reader = createReader(blob.subarray(magic.length))
  if (reader.readUint32() !== version) return 'its version is not 1'
  const publicKey = reader.readString()
  const { namespace, reserved, algorithm } = readPreamble(reader)
  const signature = reader.readString()
  reader.checkEnd()

  if (!isEqual(publicKey, wanted.publicKey)) return 'it is by another key'
  if (namespace !== wanted.namespace) return 'its namespace is another'
  // Nothing is defined to stand there, so whatever does would be signed and not understood.
  if (reserved.length > 0) return 'its reserved field is not empty'
  const name = hashes.find((known) => known === algorithm)
  if (name === undefined) return 'its hash is neither sha512 nor sha256'

  return verify(publicKey, encodeSigned(namespace, name, wanted.message), signature)
}

const readPreamble = (reader: Reader) => ({
  namespace: reader.readText(),
  reserved: reader.readString(),
  algorithm: reader.readText(),
})

const verify = (
  publicKey: Uint8Array,
  signed: Uint8Array,
  signature: Uint8Array,
): string | undefined => {
  const type = createReader(publicKey).readText()
  if (!isKeyType(type)) return 'its key is of an unknown type'
  const { family } = keyTypes[type]
  if (family === 'sk-ed25519' || family === 'sk-ecdsa') {
    return verifyFidoSignature(publicKey, signed, signature) === true
      ? undefined
      : 'the signature does not verify, or the key was not touched'
  }
  return verifySignature(publicKey, signed, signature) === true
    ? undefined
    : 'the signature does not verify'
}
