import { expect, test } from 'vitest'
import { createId, createSerial, systemRandom } from '../../src/lib/ids.ts'

test('the system gives no byte of its randomness twice, in pieces of any length', () => {
  const pieces = Array.from({ length: 4000 }, (_, at) => systemRandom(12 + (at % 29)))
  expect(new Set(pieces.map((piece) => Buffer.from(piece).toString('hex'))).size).toBe(4000)
  const [first] = pieces
  const before = Buffer.from(first as Uint8Array).toString('hex')
  for (let at = 0; at < 1000; at++) systemRandom(32)
  expect(Buffer.from(first as Uint8Array).toString('hex')).toBe(before)
})

test.each([0, 1, 32, 4095, 4096, 4097, 10_000])(
  'it gives %i bytes where so many are asked for',
  (length) => {
    const bytes = systemRandom(length)
    expect(bytes.length).toBe(length)
    if (length >= 32) expect(new Set(bytes).size).toBeGreaterThan(8)
  },
)

test('an id is its prefix and 96 bits', () => {
  expect(createId('req', (length) => new Uint8Array(length).fill(0xa5))).toBe(
    `req_${'a5'.repeat(12)}`,
  )
})

test('a serial is never 0 and never past 63 bits', () => {
  const draws = [
    new Uint8Array(8),
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1),
    new Uint8Array(8).fill(255),
  ]
  expect(createSerial(() => draws.shift() as Uint8Array)).toBe(2n ** 63n - 1n)
})
