import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Algorithm, parseKeySet } from '../../src/identity/oidc/jwks.ts'
import { generateKey, type SigningKey } from '../fakes/jwt.ts'

const all: readonly Algorithm[] = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']
let good: SigningKey
let rsa: SigningKey
let small: SigningKey
beforeAll(async () => {
  good = await generateKey('ES256', 'good')
  rsa = await generateKey('RS256', 'rsa')
  small = await generateKey('RS256', 'small', { modulusLength: 1024 })
})

const kids = (keys: readonly unknown[], allowed = all) =>
  parseKeySet({ keys }, allowed)?.map(({ kid }) => kid)

/** What makes a key unusable, laid over a good EC or RSA one. */
const odd: readonly [string, () => unknown][] = [
  // ATTACKS 108
  ['a symmetric key', () => ({ kty: 'oct', k: 'AAAA', kid: 'odd' })],
  ['a symmetric key that calls itself RS256', () => ({ kty: 'oct', k: 'AAAA', alg: 'RS256' })],
  ['a private key', () => ({ ...good.privateKey.export({ format: 'jwk' }), kid: 'odd' })],
  ['a private RSA key', () => ({ ...rsa.privateKey.export({ format: 'jwk' }), kid: 'odd' })],
  ['a key for encryption', () => ({ ...good.jwk, use: 'enc' })],
  ['a key for another operation', () => ({ ...good.jwk, key_ops: ['encrypt'] })],
  ['operations that are no list', () => ({ ...good.jwk, key_ops: 'verify' })],
  ['an algorithm of another curve', () => ({ ...good.jwk, alg: 'ES384' })],
  ['an algorithm of another kind of key', () => ({ ...rsa.jwk, alg: 'ES256' })],
  ['an algorithm we do not know', () => ({ ...good.jwk, alg: 'HS256' })],
  ['an algorithm that is no name', () => ({ ...good.jwk, alg: ['ES256'] })],
  ['a curve that does not fit the point', () => ({ ...good.jwk, crv: 'P-384', alg: 'ES384' })],
  ['a curve we do not know', () => ({ ...good.jwk, crv: 'secp256k1', alg: undefined })],
  ['a point off the curve', () => ({ ...good.jwk, y: good.jwk.x })],
  ['the point at infinity', () => ({ ...good.jwk, x: 'A'.repeat(43), y: 'A'.repeat(43) })],
  ['no point', () => ({ ...good.jwk, x: undefined })],
  ['an RSA key of 1024 bits', () => small.jwk],
  ['the exponent 1', () => ({ ...rsa.jwk, e: 'AQ' })],
  ['an even exponent', () => ({ ...rsa.jwk, e: 'AQAA' })],
  ['an exponent past 2^32', () => ({ ...rsa.jwk, e: 'AQAAAAE' })],
  ['no exponent', () => ({ ...rsa.jwk, e: '' })],
  [
    'a modulus of 16384 bits',
    () => ({ ...rsa.jwk, n: Buffer.alloc(2048, 0xff).toString('base64url') }),
  ],
  ['no modulus', () => ({ ...rsa.jwk, n: '' })],
  ['a modulus that is a number', () => ({ ...rsa.jwk, n: 5 })],
  ['an X25519 key', () => ({ kty: 'OKP', crv: 'X25519', x: 'BQ'.padEnd(43, 'A') })],
  [
    'an Ed25519 key of 31 bytes',
    () => ({ kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(31, 5).toString('base64url') }),
  ],
  ['a kind of key we do not know', () => ({ ...good.jwk, kty: 'AKP' })],
  ['a key id that is no name', () => ({ ...good.jwk, kid: 7 })],
  ['no object', () => 'key'],
  ['null', () => null],
  ['a list', () => [good.jwk]],
]

test.each(odd)('a key set with %s beside a good key has the good key alone', (_what, make) => {
  const key = make()
  expect(kids([key, good.jwk, key])).toEqual(['good'])
})

test('a key of an algorithm the issuer is not configured with is passed over', () => {
  expect(kids([rsa.jwk, good.jwk], ['ES256'])).toEqual(['good'])
})

test('a key that names no algorithm may verify each configured one of its kind', () => {
  const { alg: _, ...plain } = rsa.jwk
  expect(parseKeySet({ keys: [plain] }, all)?.[0]?.algorithms).toEqual(['RS256', 'PS256'])
  expect(parseKeySet({ keys: [rsa.jwk] }, all)?.[0]?.algorithms).toEqual(['RS256'])
})

test('a key is what its members say, and nothing beside', () => {
  const [found] = parseKeySet({ keys: [good.jwk] }, all) ?? []
  expect(found?.key.equals(createPublicKey({ key: good.jwk as JsonWebKey, format: 'jwk' }))).toBe(
    true,
  )
  expect(found?.key.type).toBe('public')
})

describe('a document that is no key set', () => {
  test.each([[{}], [{ keys: {} }], [{ keys: 'x' }], [[]], [null], ['keys'], [{ Keys: [] }]])(
    'is told apart from an empty one: %j',
    (document) => {
      expect(parseKeySet(document, all)).toBe(undefined)
    },
  )

  test('while an empty one is an answer', () => {
    expect(parseKeySet({ keys: [] }, all)).toEqual([])
  })
})

test('a key set of thousands is read no further than a hundred, so that it holds nobody up', () => {
  const keys = Array.from({ length: 5000 }, (_, at) => ({ ...good.jwk, kid: `k${at}` }))
  expect(kids(keys)?.length).toBe(100)
})
