import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  concat,
  decodeBase64,
  decodeUtf8,
  encodeBase64,
  encodeHex,
  encodeUtf8,
  formatSha256,
  isEqual,
  sha256,
  toBuffer,
} from '../../src/lib/bytes.ts'

const bytes = (...values: readonly number[]) => new Uint8Array(values)

describe('base64', () => {
  test('comes back as it went, for any bytes, also of a part of a buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (value) => {
        expect(decodeBase64(encodeBase64(value))).toEqual(value)
        expect(encodeBase64(concat(bytes(1, 2), value).subarray(2))).toBe(encodeBase64(value))
      }),
    )
  })

  test.each([
    'YQ',
    'YQ=',
    'YQ===',
    'YR==',
    'Y Q==',
    'YQ==\n',
    ' YQ==',
    'YQ==YQ==',
    '-_==',
    'YQ=='.repeat(2),
    '!',
    '=',
    'ａ',
  ])('%j is none', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })

  test.each([
    ['', bytes()],
    ['YQ==', bytes(0x61)],
    ['+/8=', bytes(0xfb, 0xff)],
  ])('%j is its bytes', (text, value) => {
    expect(decodeBase64(text)).toEqual(value)
  })
})

describe('UTF-8', () => {
  test.each([
    [bytes(0xff)],
    [bytes(0xc0, 0xaf)],
    [bytes(0xed, 0xa0, 0x80)],
    [bytes(0xe2, 0x82)],
    [bytes(0xf4, 0x90, 0x80, 0x80)],
  ])('%o is none', (value) => {
    expect(decodeUtf8(value)).toBeUndefined()
  })

  test('keeps a byte order mark, and any text', () => {
    expect(decodeUtf8(bytes(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa')
    expect(decodeUtf8(encodeUtf8('ａ€😀'))).toBe('ａ€😀')
  })
})

test('hex, equality and SHA-256 are what they are elsewhere', () => {
  expect(encodeHex(bytes(0, 1, 0xab))).toBe('0001ab')
  expect(isEqual(bytes(1, 2), bytes(1, 2))).toBe(true)
  expect(isEqual(bytes(1, 2), bytes(1, 3))).toBe(false)
  expect(isEqual(bytes(1, 2), bytes(1, 2, 0))).toBe(false)
  // FIPS 180-2, appendix B.1
  const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  expect(encodeHex(sha256(encodeUtf8('abc')))).toBe(digest)
  expect(encodeHex(sha256(encodeUtf8('a'), encodeUtf8('bc')))).toBe(digest)
})

test.each([
  ['text', encodeUtf8('abcd')],
  ['base64', decodeBase64('YWJjZA==') as Uint8Array],
  ['two parts', concat(encodeUtf8('ab'), encodeUtf8('cd'))],
])('the bytes of %s are no Buffer: a slice of them is a copy', (_what, made) => {
  expect(made.constructor).toBe(Uint8Array)
  made.slice(1).fill(0)
  expect(decodeUtf8(made)).toBe('abcd')
  expect(toBuffer(made).toString()).toBe('abcd')
})

test('a SHA-256 is the same as bytes and as text', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (value) => {
      expect(formatSha256(value, 'hex')).toBe(encodeHex(sha256(value)))
      expect(formatSha256(value, 'base64')).toBe(encodeBase64(sha256(value)))
    }),
  )
})
