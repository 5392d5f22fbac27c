import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { AppError } from '../errors.ts'
import {
  concat,
  decodeBase64,
  encodeBase64,
  encodeHex,
  encodeUtf8,
  isEqual,
  sha256,
} from '../lib/bytes.ts'
import type { TreeHash } from './tree.ts'

/** What a log said of itself at one moment. */
export interface Checkpoint {
  /** Names the log; it is also the name its key signs under. */
  readonly origin: string
  /** How many entries there were. */
  readonly size: number
  readonly root: TreeHash
}

/** The key a log signs its checkpoints with; never the CA's. */
export interface LogKey {
  readonly origin: string
  /** What others verify with: `ORIGIN+KEYID+BASE64`, C2SP signed-note's verifier key. */
  readonly verifierKey: string
  sign(text: string): Uint8Array
}

/** Verifies what one key has signed. */
export interface Verifier {
  readonly origin: string
  readonly keyId: Uint8Array
  verify(text: string, signature: Uint8Array): boolean
}

/** C2SP signed-note: the signature type of Ed25519. */
const ed25519Type = Uint8Array.of(1)
/** DER around a raw ed25519 seed and a raw public key (RFC 8410 sections 7 and 4). */
const seedHeader = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicHeader = Buffer.from('302a300506032b6570032100', 'hex')
const rawBytes = 32

const refuse = (message: string): AppError => new AppError('invalid_checkpoint', message)

/** C2SP signed-note: the first four bytes of SHA-256(name, newline, type, public key). */
const createKeyId = (name: string, publicKey: Uint8Array): Uint8Array =>
  sha256(encodeUtf8(`${name}\n`), ed25519Type, publicKey).subarray(0, 4)

const formatKey = (name: string, keyId: Uint8Array, key: Uint8Array): string =>
  `${name}+${encodeHex(keyId)}+${encodeBase64(concat(ed25519Type, key))}`

/** A name as signed-note allows it: no white space, no plus. */
const keyForm = /^([^\s+]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/

const decodeKey = (text: string) => {
  const [, name = '', id = '', data = ''] = keyForm.exec(text) ?? []
  const bytes = decodeBase64(data)
  return bytes?.length === rawBytes + 1 && bytes[0] === ed25519Type[0]
    ? { name, id, key: bytes.subarray(1) }
    : undefined
}

/** A new key for the log of that name, as `log.key` holds it: one line. */
export const createLogKey = (origin: string): string => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-rawBytes)
  const id = createKeyId(
    origin,
    publicKey.export({ format: 'der', type: 'spki' }).subarray(-rawBytes),
  )
  return `PRIVATE+KEY+${formatKey(origin, id, seed)}`
}

/** Reads what `createLogKey` wrote; undefined for anything else. */
export const parseLogKey = (text: string): LogKey | undefined => {
  const decoded = text.startsWith('PRIVATE+KEY+') ? decodeKey(text.slice(12)) : undefined
  if (decoded === undefined) return undefined
  const { name, id, key: seed } = decoded
  const key = createPrivateKey({
    key: Buffer.concat([seedHeader, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-rawBytes)
  const keyId = createKeyId(name, raw)
  if (encodeHex(keyId) !== id) return undefined
  return Object.freeze({
    origin: name,
    verifierKey: formatKey(name, keyId, raw),
    sign: (signed: string) => concat(keyId, sign(null, encodeUtf8(signed), key)),
  })
}

/** Code: `invalid_checkpoint` for a text that is no verifier key, as `postern audit key` prints it. */
export const parseVerifierKey = (text: string): Verifier => {
  const decoded = decodeKey(text.trim())
  const keyId = decoded && createKeyId(decoded.name, decoded.key)
  if (decoded === undefined || keyId === undefined || encodeHex(keyId) !== decoded.id) {
    throw refuse('This is no verifier key: give the line that `postern audit key` prints.')
  }
  const key = createPublicKey({
    key: Buffer.concat([publicHeader, decoded.key]),
    format: 'der',
    type: 'spki',
  })
  return Object.freeze({
    origin: decoded.name,
    keyId,
    verify: (signed: string, signature: Uint8Array) =>
      verify(null, encodeUtf8(signed), key, signature) === true,
  })
}

/** A signed checkpoint: C2SP tlog-checkpoint in a C2SP signed note, without extension lines. */
export const signCheckpoint = (
  key: LogKey,
  { size, root }: Pick<Checkpoint, 'size' | 'root'>,
): string => {
  const text = `${key.origin}\n${size}\n${encodeBase64(root)}\n`
  return `${text}\n— ${key.origin} ${encodeBase64(key.sign(text))}\n`
}

/** A note: lines, an empty one, and the lines of signatures. Others may sign beside the log. */
const noteForm = /^((?:[^\n]+\n){3,16})\n((?:— [^\s+]+ [A-Za-z0-9+/=]+\n){1,16})$/

/**
 * What a note says, once the verifier's own signature on it holds; those of others are passed over,
 * as signed-note demands. Code: `invalid_checkpoint`.
 */
export const openCheckpoint = (note: string, verifier: Verifier): Checkpoint => {
  const [, text, signatures] = noteForm.exec(note) ?? []
  if (text === undefined || signatures === undefined) {
    throw refuse('This is no signed checkpoint: give the text of GET /v1/audit/checkpoint, whole.')
  }
  const own = signatures.split('\n').filter((line) => {
    const [, name, data = ''] = line.split(' ')
    const bytes = decodeBase64(data) ?? new Uint8Array()
    return name === verifier.origin && isEqual(bytes.subarray(0, 4), verifier.keyId)
  })
  const [origin = '', count = '', root = ''] = text.split('\n')
  const isSigned = own.some((line) => {
    const signature = decodeBase64(line.split(' ')[2] as string)
    return signature !== undefined && verifier.verify(text, signature.subarray(4))
  })
  if (!isSigned || origin !== verifier.origin) {
    throw refuse('The checkpoint is not signed by the key of this log.')
  }
  const hash = decodeBase64(root)
  if (!/^(0|[1-9][0-9]{0,12})$/.test(count) || hash?.length !== rawBytes) {
    throw refuse('The checkpoint names no size and root.')
  }
  return { origin, size: Number(count), root: hash }
}

/** An em dash in UTF-8, read byte by byte. */
const dash = '\u00e2\u0080\u0094'
/** Where a line begins, or a file that is none would be tried from each of its bytes. */
const noteInBytes = new RegExp(
  `(?<![^\\n])(?:[^\\n]+\\n){3,16}\\n(?:${dash} [^\\n]+\\n){1,16}`,
  'g',
)

/** The notes in a file that holds one after another, and the byte at which each of them ends. */
export const splitNotes = (
  bytes: Uint8Array,
): readonly { readonly note: string; readonly end: number }[] =>
  [...Buffer.from(bytes).toString('latin1').matchAll(noteInBytes)].map((match) => ({
    note: Buffer.from(match[0], 'latin1').toString('utf8'),
    end: match.index + match[0].length,
  }))
