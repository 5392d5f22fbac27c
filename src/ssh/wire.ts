import { concat, decodeUtf8, encodeUtf8 } from '../lib/bytes.ts'

/** Bytes that are not what the SSH wire format says. The message is fixed text, never the bytes. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

/** Reads RFC 4251 section 5 values one after another. Every byte string is a view of the input. */
export interface Reader {
  readByte(): number
  readUint32(): number
  readUint64(): bigint
  /** A `string` as its bytes. */
  readString(): Uint8Array
  /** A `string` that must be UTF-8. */
  readText(): string
  /** An `mpint` that must be positive and in its shortest form, as its big-endian magnitude. */
  readMpint(): Uint8Array
  /** How many bytes have been read. */
  offset(): number
  isAtEnd(): boolean
  /** @throws WireError where bytes are left over. */
  checkEnd(): void
}

/**
 * A reader over `bytes`. A length is compared with what is there before anything else happens, so
 * an untrusted one never allocates. @throws WireError from every method where the bytes end early.
 */
export const createReader = (bytes: Uint8Array): Reader => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  /** Moves past `length` bytes and says where they began. */
  const take = (length: number): number => {
    if (length > bytes.length - at) throw new WireError('the data ends early')
    const start = at
    at += length
    return start
  }
  const readString = (): Uint8Array => {
    const length = view.getUint32(take(4))
    const start = take(length)
    return bytes.subarray(start, start + length)
  }
  return Object.freeze({
    readByte: () => view.getUint8(take(1)),
    readUint32: () => view.getUint32(take(4)),
    readUint64: () => view.getBigUint64(take(8)),
    readString,
    readText: () => {
      const text = decodeUtf8(readString())
      if (text === undefined) throw new WireError('a text is not UTF-8')
      return text
    },
    readMpint: () => {
      const value = readString()
      const [first = 0, second = 0] = value
      if (value.length === 0 || first >= 0x80) throw new WireError('a number is not positive')
      if (first !== 0) return value
      // A zero byte in front may only keep the sign bit clear (RFC 4251 section 5).
      if (second < 0x80) throw new WireError('a number is not in its shortest form')
      return value.subarray(1)
    },
    offset: () => at,
    isAtEnd: () => at === bytes.length,
    checkEnd: () => {
      if (at !== bytes.length) throw new WireError('bytes are left over')
    },
  })
}

/** `uint32`, RFC 4251 section 5. */
export const encodeUint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

/** `uint64`, RFC 4251 section 5. @throws RangeError outside 0 to 2^64-1, which would wrap around. */
export const encodeUint64 = (value: bigint): Uint8Array => {
  if (BigInt.asUintN(64, value) !== value) throw new RangeError('not an unsigned 64-bit number')
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}

/** `string`, RFC 4251 section 5: a length, then the bytes (a text's UTF-8 bytes). */
export const encodeString = (value: Uint8Array | string): Uint8Array => {
  const bytes = typeof value === 'string' ? encodeUtf8(value) : value
  const encoded = new Uint8Array(4 + bytes.length)
  new DataView(encoded.buffer).setUint32(0, bytes.length)
  encoded.set(bytes, 4)
  return encoded
}

/** Several `string`s in a row. */
export const encodeStrings = (...values: readonly (Uint8Array | string)[]): Uint8Array =>
  concat(...values.map(encodeString))

/** `mpint`, RFC 4251 section 5, of a big-endian magnitude with or without leading zeros. */
export const encodeMpint = (magnitude: Uint8Array): Uint8Array => {
  const start = magnitude.findIndex((byte) => byte !== 0)
  if (start === -1) return encodeUint32(0)
  const shortest = magnitude.subarray(start)
  return encodeString(
    (shortest[0] as number) < 0x80 ? shortest : concat(Uint8Array.of(0), shortest),
  )
}
