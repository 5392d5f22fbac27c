import { concat, decodeUtf8, toPlain } from '../lib/bytes.ts'

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
export const createReader = (bytes: Uint8Array): Reader => new ByteReader(bytes)

/** A class, not nine closures a reader: one certificate takes eight of them. */
class ByteReader implements Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Moves past `length` bytes and says where they began. */
  #take(length: number): number {
    const start = this.#at
    if (length > this.#bytes.length - start) throw new WireError('the data ends early')
    this.#at = start + length
    return start
  }

  readByte(): number {
    return this.#bytes[this.#take(1)] as number
  }

  readUint32(): number {
    const start = this.#take(4)
    let value = 0
    for (let at = start; at < start + 4; at++) value = value * 256 + (this.#bytes[at] as number)
    return value
  }

  readUint64(): bigint {
    const high = BigInt(this.readUint32())
    return (high << 32n) | BigInt(this.readUint32())
  }

  readString(): Uint8Array {
    const length = this.readUint32()
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  readText(): string {
    const text = decodeUtf8(this.readString())
    if (text === undefined) throw new WireError('a text is not UTF-8')
    return text
  }

  readMpint(): Uint8Array {
    const value = this.readString()
    const first = value[0] ?? 0
    const second = value[1] ?? 0
    if (value.length === 0 || first >= 0x80) throw new WireError('a number is not positive')
    if (first !== 0) return value
    // A zero byte in front may only keep the sign bit clear (RFC 4251 section 5).
    if (second < 0x80) throw new WireError('a number is not in its shortest form')
    return value.subarray(1)
  }

  offset(): number {
    return this.#at
  }

  isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  checkEnd(): void {
    if (!this.isAtEnd()) throw new WireError('bytes are left over')
  }
}

/** `uint32`, RFC 4251 section 5. */
export const encodeUint32 = (value: number): Uint8Array => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return toPlain(bytes)
}

/** `uint64`, RFC 4251 section 5. @throws RangeError outside 0 to 2^64-1, which would wrap around. */
export const encodeUint64 = (value: bigint): Uint8Array => {
  if (BigInt.asUintN(64, value) !== value) throw new RangeError('not an unsigned 64-bit number')
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(value)
  return toPlain(bytes)
}

/** `string`, RFC 4251 section 5: a length, then the bytes (a text's UTF-8 bytes). */
export const encodeString = (value: Uint8Array | string): Uint8Array => encodeStrings(value)

/** Several `string`s in a row. */
export const encodeStrings = (...values: readonly (Uint8Array | string)[]): Uint8Array => {
  const parts = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value))
  let length = 0
  for (const part of parts) length += 4 + part.length
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) {
    at = bytes.writeUInt32BE(part.length, at)
    bytes.set(part, at)
    at += part.length
  }
  return toPlain(bytes)
}

/** `mpint`, RFC 4251 section 5, of a big-endian magnitude with or without leading zeros. */
export const encodeMpint = (magnitude: Uint8Array): Uint8Array => {
  const start = magnitude.findIndex((byte) => byte !== 0)
  if (start === -1) return encodeUint32(0)
  const shortest = magnitude.subarray(start)
  return encodeString(
    (shortest[0] as number) < 0x80 ? shortest : concat(Uint8Array.of(0), shortest),
  )
}
