import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { concat } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { createPrivate, formatLine, line } from '../ca/keys.ts'
import { expectRefused } from './refusals.ts'

describe('an ECDSA key', () => {
  const blob = parsePublicKey(formatLine(createPrivate('ecdsa-sha2-nistp256'))).blob
  const point = blob.subarray(-65)
  const compressed = concat(Uint8Array.of(2), point.subarray(1, 33))
  const shifted = point.map((byte, at) => (at === 64 ? byte ^ 1 : byte))
  const p384 = parsePublicKey(formatLine(createPrivate('ecdsa-sha2-nistp384'))).blob.subarray(-97)

  test.each([
    ['a point off its curve', 'nistp256', shifted],
    ['the point 0, 0', 'nistp256', Uint8Array.of(4, ...new Uint8Array(64))],
    ['a coordinate over the field', 'nistp256', Uint8Array.of(4, ...new Uint8Array(64).fill(255))],
    ['the point at infinity', 'nistp256', Uint8Array.of(0)],
    ['no point', 'nistp256', new Uint8Array()],
    ['a compressed point', 'nistp256', compressed],
    ['a hybrid point', 'nistp256', concat(Uint8Array.of(6), point.subarray(1))],
    ['a cut point', 'nistp256', point.subarray(0, 64)],
    ['a longer point', 'nistp256', concat(point, Uint8Array.of(0))],
    ['another curve’s name', 'nistp384', point],
    ['another curve’s name and point', 'nistp384', p384],
    ['another curve’s point', 'nistp256', p384],
    ['a curve of no name', 'constructor', point],
  ])('with %s is refused, ATTACKS 10', (_what, curve, bytes) => {
    expectRefused(line('ecdsa-sha2-nistp256', curve, bytes), 'invalid_public_key')
    const fido = line('sk-ecdsa-sha2-nistp256@openssh.com', curve, bytes, 'ssh:')
    expectRefused(fido, 'invalid_public_key')
  })

  test('has no second form: with the field’s prime added to a coordinate it is refused', () => {
    // P-521 (FIPS 186-4 section D.1.2.5): y² = b at x = 0, and 66 bytes have room for more than the prime.
    const prime = 2n ** 521n - 1n
    const b = BigInt(
      '0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00',
    )
    let y = b
    for (let power = 0; power < 519; power++) y = (y * y) % prime
    const write = (number: bigint) => Buffer.from(number.toString(16).padStart(132, '0'), 'hex')
    const lineOf = (...numbers: readonly bigint[]) =>
      line('ecdsa-sha2-nistp521', 'nistp521', concat(Uint8Array.of(4), ...numbers.map(write)))
    expect(parsePublicKey(lineOf(0n, y)).type).toBe('ecdsa-sha2-nistp521')
    expectRefused(lineOf(prime, y), 'invalid_public_key')
    expectRefused(lineOf(0n, y + prime), 'invalid_public_key')
  })

  test('of a curve SSH does not have is refused', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const bytes = Buffer.concat([
      Buffer.of(4),
      Buffer.from(x, 'base64url'),
      Buffer.from(y, 'base64url'),
    ])
    expectRefused(line('ecdsa-sha2-secp256k1', 'secp256k1', bytes), 'unsupported_key_type')
    expectRefused(line('ecdsa-sha2-nistp256', 'nistp256', bytes), 'invalid_public_key')
  })
})

describe('an ed25519 key', () => {
  const order = 2n ** 255n - 19n
  /** 32 bytes, little-endian, with the sign of x on top (RFC 8032 section 5.1.2). */
  const encodePoint = (y: bigint, sign = 0) => {
    const bytes = Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
    bytes[31] = (bytes[31] as number) | (sign << 7)
    return Uint8Array.from(bytes)
  }
  const orderEight = [
    2707385501144840649318225287225658788936804267575313519463743609750303402022n,
    55188659117513257062467267217118295137698188065244968500265048394206261417927n,
  ]
  const each = (type: string, bytes: Uint8Array) =>
    type === 'ssh-ed25519' ? line(type, bytes) : line(type, bytes, 'ssh:')

  describe.each(['ssh-ed25519', 'sk-ssh-ed25519@openssh.com'])('of type %s', (type) => {
    test.each([0, 31, 33, 64])('with %i bytes is refused, ATTACKS 11', (length) => {
      const bytes = new Uint8Array(length).fill(7)
      expectRefused(each(type, bytes), 'invalid_public_key', 'an ed25519 key has 32 bytes')
    })

    test.each([0n, 1n, order - 1n, ...orderEight])(
      'at the small-order point y=%s is refused, ATTACKS 11',
      (y) => {
        for (const sign of [0, 1]) {
          const detail = 'the ed25519 point has a small order'
          expectRefused(each(type, encodePoint(y, sign)), 'weak_key', detail)
        }
      },
    )

    test.each([order, order + 1n, 2n ** 255n - 1n])(
      'with the y %s, which is not below p, is refused, ATTACKS 11',
      (y) => {
        for (const sign of [0, 1]) {
          const detail = 'the ed25519 point is not in its canonical form'
          expectRefused(each(type, encodePoint(y, sign)), 'invalid_public_key', detail)
        }
      },
    )

    test('just below p is not refused for its form', () => {
      expect(parsePublicKey(each(type, encodePoint(order - 2n))).type).toBe(type)
    })
  })

  test('of order eight has one of the two y for which d·y^4 + 2·y^2 = 1', () => {
    // Doubled, such a point has y = 0, so that x^2 = -y^2 (RFC 8032 section 5.1.4); that goes into
    // the curve, -x^2 + y^2 = 1 + d·x^2·y^2, whose d is -121665/121666.
    for (const y of orderEight) {
      const square = (y * y) % order
      const left = -121665n * square * square + 121666n * (2n * square - 1n)
      expect(left % order).toBe(0n)
    }
  })
})
