import { createHash, hash } from 'node:crypto'

// Everything here that makes bytes takes them from Buffer's pool: an array with memory of its own
// costs ten times as much to make, and again when it is collected.

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The same bytes as a plain Uint8Array, whose `slice` copies; a Buffer's would not. */
export const toPlain = ({ buffer, byteOffset, byteLength }: Buffer): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** The same bytes as a Buffer: nothing is copied. */
export const toBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

/** UTF-8 bytes of a string. */
export const encodeUtf8 = (text: string): Uint8Array => toPlain(Buffer.from(text))

/** The string of UTF-8 bytes; undefined where they are not UTF-8. A byte order mark is kept. */
export const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

export const encodeBase64 = (bytes: Uint8Array): string => toBuffer(bytes).toString('base64')

/**
 * Bytes of canonical base64 (RFC 4648 section 4, padded); undefined for anything else.
 * `Buffer.from` skips what it does not know, so the result is encoded again and compared.
 */
export const decodeBase64 = (text: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? toPlain(bytes) : undefined
}

export const encodeHex = (bytes: Uint8Array): string => toBuffer(bytes).toString('hex')

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => toPlain(Buffer.concat(parts))

/** Whether two byte strings are the same. Not constant-time: compare hashes of secrets with it. */
export const isEqual = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const [only] = parts
  // In one call, without an object to be collected, and by way of a string: the hash as a Buffer is
  // an array of its own. Four times as fast for what is short.
  if (only !== undefined && parts.length === 1) {
    return toPlain(Buffer.from(hash('sha256', only, 'binary'), 'binary'))
  }
  const state = createHash('sha256')
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}

/** The same hash as it is written: 64 hex digits, or base64 with its padding. */
export const formatSha256 = (bytes: Uint8Array, encoding: 'hex' | 'base64'): string =>
  hash('sha256', bytes, encoding)
