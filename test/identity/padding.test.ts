import { constants, createHash, privateEncrypt } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Provider } from '../../src/identity/index.ts'
import { encodeSegment, generateKey, type SigningKey } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from './setup.ts'

const clock = createTestClock()
let fake: OidcIssuer
let key: SigningKey
let provider: Provider
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
  key = await generateKey('RS256', 'padding')
  fake.switches.oddKeys = [key.jwk]
  provider = createTestProvider(fake, clock, { algorithms: ['RS256'] })
})
afterAll(() => fake.close())

const size = 256
const sha256Info = '3031300d060960864801650304020105000420'
const withoutNull = '302f300b0609608648016503040201' + '0420'
const sha1Info = '3021300906052b0e03021a05000414'
const bytes = (hex: string) => Buffer.from(hex, 'hex')
const fill = (length: number, value = 0xff) => Buffer.alloc(length, value)

/** EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), with each part open to change. */
const encode = (
  digest: Buffer,
  change: { head?: string; pad?: (length: number) => Buffer; info?: string; tail?: Buffer } = {},
): Buffer => {
  const content = Buffer.concat([bytes(change.info ?? sha256Info), digest])
  const head = bytes(change.head ?? '0001')
  const tail = change.tail ?? Buffer.alloc(0)
  const length = size - head.length - 1 - content.length - tail.length
  return Buffer.concat([head, (change.pad ?? fill)(length), bytes('00'), content, tail])
}

/** The token with the signature a signer of this encoding would have made. */
const forge = async (make: (digest: Buffer, input: string) => Buffer): Promise<string> => {
  const token = await fake.mint(
    {},
    { alg: 'RS256', key: key.privateKey, header: { kid: 'padding' } },
  )
  const input = token.slice(0, token.lastIndexOf('.'))
  const message = make(createHash('sha256').update(input).digest(), input)
  const raw = privateEncrypt({ key: key.privateKey, padding: constants.RSA_NO_PADDING }, message)
  return `${input}.${encodeSegment(raw)}`
}

test('the encoding of the standard is accepted', async () => {
  const { identity } = await provider.authenticate(await forge((digest) => encode(digest)))
  expect(identity.subject).toBe('u-1001')
})

const mutations: readonly [string, (digest: Buffer, input: string) => Buffer][] = [
  ['block type 0', (digest) => encode(digest, { head: '0000' })],
  ['block type 2', (digest) => encode(digest, { head: '0002' })],
  ['padding of zeros', (digest) => encode(digest, { pad: (length) => fill(length, 0) })],
  [
    'one byte of the padding changed',
    (digest) => encode(digest, { pad: (length) => Buffer.concat([fill(length - 1), bytes('fe')]) }),
  ],
  // Bleichenbacher's forgery of 2006: the digest early, the rest whatever makes a cube.
  [
    'eight bytes of padding and something behind the digest',
    (digest) => encode(digest, { tail: Buffer.alloc(size - 3 - 8 - 51, 7) }),
  ],
  ['one byte behind the digest', (digest) => encode(digest, { tail: bytes('00') })],
  ['no digest algorithm', (digest) => encode(digest, { info: '' })],
  ['the parameters NULL left out', (digest) => encode(digest, { info: withoutNull })],
  [
    'another digest algorithm',
    (_digest, input) => encode(createHash('sha1').update(input).digest(), { info: sha1Info }),
  ],
  ['SHA-1 named over a digest of SHA-256', (digest) => encode(digest, { info: sha1Info })],
  [
    'a length in the long form',
    (digest) => encode(digest, { info: `308131${sha256Info.slice(4)}` }),
  ],
  ['a digest cut by one byte', (digest) => encode(digest.subarray(0, 31))],
  [
    'a digest with one bit changed',
    (digest) =>
      encode(Buffer.concat([digest.subarray(0, 31), Buffer.of((digest[31] as number) ^ 1)])),
  ],
  ['the digest alone', (digest) => Buffer.concat([Buffer.alloc(size - 32), digest])],
  ['the number 1', () => Buffer.concat([Buffer.alloc(size - 1), bytes('01')])],
  ['the number 0', () => Buffer.alloc(size)],
]

// ATTACKS 75
test.each(mutations)('a signature over another encoding is refused: %s', async (_what, make) => {
  expect(await refusalOf(provider.authenticate(await forge(make)))).toEqual(
    refused('jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED'),
  )
})
