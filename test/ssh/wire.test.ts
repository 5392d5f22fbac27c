import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../../src/lib/bytes.ts'
import {
  createReader,
  encodeMpint,
  encodeString,
  encodeStrings,
  encodeUint32,
  encodeUint64,
  type Reader,
  WireError,
} from '../../src/ssh/wire.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

describe('writing the wire', () => {
  test.each([
    ['a uint32', encodeUint32(699_921_578), '29b7f4aa'],
    ['a uint64', encodeUint64(2n ** 63n), '8000000000000000'],
    ['a text', encodeString('testing'), '00000007 74657374696e67'],
    ['the mpint zero', encodeMpint(hex('0000')), '00000000'],
    ['an mpint', encodeMpint(hex('09a378f9b2e332a7')), '00000008 09a378f9b2e332a7'],
    ['an mpint with its high bit set', encodeMpint(hex('80')), '00000002 0080'],
    ['an mpint with zeros in front', encodeMpint(hex('000080')), '00000002 0080'],
  ])('gives %s as RFC 4251 section 5 shows it', (_what, bytes, expected) => {
    expect(bytes).toEqual(hex(expected))
  })

  test.each([-1n, 2n ** 64n])('has no uint64 of %s', (value) => {
    expect(() => encodeUint64(value)).toThrow(new RangeError('not an unsigned 64-bit number'))
  })
})

describe('reading the wire', () => {
  test('gives back what was written', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.string({ unit: 'grapheme', maxLength: 32 }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.nat(),
        (bytes, text, long, short) => {
          const reader = createReader(
            concat(encodeStrings(bytes, text), encodeUint64(long), encodeUint32(short)),
          )
          expect(reader.readString()).toEqual(bytes)
          expect(reader.readText()).toBe(text)
          expect(reader.readUint64()).toBe(long)
          expect(reader.readUint32()).toBe(short)
          expect(reader.isAtEnd()).toBe(true)
          reader.checkEnd()
        },
      ),
    )
  })

  test.each<[string, string, (reader: Reader) => unknown, string]>([
    ['an empty input', '', (r) => r.readByte(), 'the data ends early'],
    ['half a uint32', '0000', (r) => r.readUint32(), 'the data ends early'],
    ['half a uint64', '00000000', (r) => r.readUint64(), 'the data ends early'],
    ['a text cut short', '00000002 61', (r) => r.readString(), 'the data ends early'],
    ['the length 2^32-1', 'ffffffff 61', (r) => r.readString(), 'the data ends early'],
    ['a text of wrong bytes', '00000001 ff', (r) => r.readText(), 'a text is not UTF-8'],
    ['the mpint zero', '00000000', (r) => r.readMpint(), 'a number is not positive'],
    ['a negative mpint', '00000001 80', (r) => r.readMpint(), 'a number is not positive'],
    ['a long mpint', '00000002 0001', (r) => r.readMpint(), 'a number is not in its shortest form'],
    ['the long zero', '00000001 00', (r) => r.readMpint(), 'a number is not in its shortest form'],
    ['bytes left over', '00', (r) => r.checkEnd(), 'bytes are left over'],
  ])('refuses %s', (_what, bytes, read, message) => {
    expect(() => read(createReader(hex(bytes)))).toThrow(new WireError(message))
  })

  test('allocates nothing for a length it was told, ATTACKS 5', () => {
    const input = hex('fffffff0 00')
    const before = process.memoryUsage().arrayBuffers
    for (let round = 0; round < 1000; round++) {
      expect(() => createReader(input).readString()).toThrow(WireError)
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })

  test('hands out views of its input, not copies', () => {
    const input = encodeString('abc')
    expect(createReader(input).readString().buffer).toBe(input.buffer)
  })
})
