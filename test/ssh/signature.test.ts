import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { concat } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { decodeSignature, encodeSignature, verifySignature } from '../../src/ssh/signature.ts'
import { encodeString, encodeStrings } from '../../src/ssh/wire.ts'
import { authorityTypes, createPrivate, formatLine } from '../ca/keys.ts'

describe('a signature', () => {
  const data = Buffer.from('what was signed')
  const keys = Object.fromEntries(
    authorityTypes.map((type) => {
      const key = createPrivate(type)
      return [type, { key, blob: parsePublicKey(formatLine(key)).blob }]
    }),
  ) as Record<
    (typeof authorityTypes)[number],
    { key: ReturnType<typeof createPrivate>; blob: Uint8Array }
  >
  const raw = (type: keyof typeof keys, hash: string | null) =>
    sign(hash, data, { key: keys[type].key, dsaEncoding: 'ieee-p1363' })

  test.each([
    ['ssh-ed25519', 'ssh-ed25519', null],
    ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', 'sha256'],
    ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384', 'sha384'],
    ['ecdsa-sha2-nistp521', 'ecdsa-sha2-nistp521', 'sha512'],
    ['ssh-rsa', 'rsa-sha2-512', 'sha512'],
    ['ssh-rsa', 'rsa-sha2-256', 'sha256'],
  ] as const)('by %s as %s verifies over its data alone', (type, algorithm, hash) => {
    const blob = encodeSignature(algorithm, raw(type, hash))
    expect(verifySignature(keys[type].blob, data, blob)).toBe(true)
    expect(verifySignature(keys[type].blob, Buffer.from('other'), blob)).toBe(false)
    for (const other of authorityTypes.filter((name) => name !== type)) {
      expect(verifySignature(keys[other].blob, data, blob)).toBe(false)
    }
    const again = formatLine(createPrivate('ssh-ed25519'))
    expect(verifySignature(parsePublicKey(again).blob, data, blob)).toBe(false)
  })

  test('of an ECDSA number with zeros in front survives the way there and back', () => {
    const value = new Uint8Array(132)
    value[65] = 0x80
    value[131] = 1
    const { raw: back } = decodeSignature(encodeSignature('ecdsa-sha2-nistp521', value))
    expect(back).toEqual(value)
  })

  const ed25519 = raw('ssh-ed25519', null)
  const sha1 = sign('sha1', data, keys['ssh-rsa'].key)
  const p256 = raw('ecdsa-sha2-nistp256', 'sha256')
  const number = (bytes: Uint8Array) => encodeString(concat(Uint8Array.of(0), bytes))

  test.each<[string, keyof typeof keys, Uint8Array]>([
    ['RSA with SHA-1, ATTACKS 54', 'ssh-rsa', encodeStrings('ssh-rsa', sha1)],
    ['SHA-1 called SHA-512, ATTACKS 54', 'ssh-rsa', encodeStrings('rsa-sha2-512', sha1)],
    ['ed25519 called RSA', 'ssh-ed25519', encodeStrings('rsa-sha2-512', ed25519)],
    [
      'a certificate’s algorithm',
      'ssh-ed25519',
      encodeStrings('ssh-ed25519-cert-v01@openssh.com', ed25519),
    ],
    ['nothing', 'ssh-ed25519', new Uint8Array()],
    ['an empty value', 'ssh-ed25519', encodeStrings('ssh-ed25519', '')],
    ['63 bytes', 'ssh-ed25519', encodeStrings('ssh-ed25519', ed25519.subarray(1))],
    [
      'bytes after it',
      'ssh-ed25519',
      concat(encodeStrings('ssh-ed25519', ed25519), Uint8Array.of(0)),
    ],
    ['ECDSA in its raw form', 'ecdsa-sha2-nistp256', encodeStrings('ecdsa-sha2-nistp256', p256)],
    [
      'ECDSA with r and s zero',
      'ecdsa-sha2-nistp256',
      encodeStrings('ecdsa-sha2-nistp256', new Uint8Array(8)),
    ],
    [
      'ECDSA with numbers in a longer form',
      'ecdsa-sha2-nistp256',
      encodeStrings(
        'ecdsa-sha2-nistp256',
        concat(
          number(concat(Uint8Array.of(0), p256.subarray(0, 32))),
          number(concat(Uint8Array.of(0), p256.subarray(32))),
        ),
      ),
    ],
  ])('of %s does not verify', (_what, type, blob) => {
    expect(verifySignature(keys[type].blob, data, blob)).toBe(false)
  })

  test('by a key that is none does not verify', () => {
    const blob = encodeStrings('ssh-ed25519', ed25519)
    expect(verifySignature(new Uint8Array(), data, blob)).toBe(false)
    expect(verifySignature(encodeStrings('ssh-ed25519', new Uint8Array(32)), data, blob)).toBe(
      false,
    )
  })

  test('with s + L does not verify', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const little = Buffer.from(ed25519.subarray(32)).reverse().toString('hex')
    const shifted = (BigInt(`0x${little}`) + order).toString(16).padStart(64, '0')
    const value = concat(ed25519.subarray(0, 32), Buffer.from(shifted, 'hex').reverse())
    const { blob } = keys['ssh-ed25519']
    expect(verifySignature(blob, data, encodeStrings('ssh-ed25519', value))).toBe(false)
  })

  test('has no key of a kind SSH lacks', () => {
    expect(encodePublicKey(generateKeyPairSync('x25519').publicKey)).toBe(undefined)
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    expect(encodePublicKey(publicKey)).toBe(undefined)
  })
})
