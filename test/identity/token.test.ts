import { createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Provider } from '../../src/identity/index.ts'
import { findIssuer, parseJwt, readJwt } from '../../src/identity/oidc/jwt.ts'
import { encodeJwt, encodeSegment } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from './setup.ts'

const clock = createTestClock()
let fake: OidcIssuer
let provider: Provider
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
  provider = createTestProvider(fake, clock)
})
afterAll(() => fake.close())

const ask = (token: string) => refusalOf(provider.authenticate(token))

describe('the algorithm', () => {
  // ATTACKS 71
  test.each(['none', 'None', 'NONE', 'nOnE', '', 'HS256', 'es256', 'ES256 '])(
    'is not %j, signed by the right key or not',
    async (alg) => {
      const signed = await fake.mint({}, { header: { alg } })
      expect(await ask(signed)).toEqual(refused('alg is not in the list of the issuer'))
      const unsigned = signed.replace(/[^.]*$/, '')
      expect(await ask(unsigned)).toEqual(refused('not a compact JWS'))
    },
  )

  // ATTACKS 71
  test.each([[undefined], [null], [['ES256']], [{ alg: 'ES256' }], [1]])(
    'is not %j where a name belongs',
    async (alg) => {
      expect(await ask(await fake.mint({}, { header: { alg } }))).toEqual(
        refused('the header names no algorithm'),
      )
    },
  )

  // ATTACKS 73
  test.each(['EdDSA', 'Ed25519', 'ES384', 'ES256K', 'RS256', 'PS256'])(
    '%s is refused where the issuer is configured with ES256 alone, though its key is published',
    async (alg) => {
      expect(await ask(await fake.mint({}, { alg }))).toEqual(
        refused('alg is not in the list of the issuer'),
      )
    },
  )

  // ATTACKS 73
  test('must be the one the key is published for', async () => {
    const { privateKey, kid } = await fake.findKey('RS256')
    const both = createTestProvider(fake, clock, { algorithms: ['RS256', 'PS256'] })
    const token = await fake.mint({}, { alg: 'PS256', key: privateKey, header: { kid } })
    expect(await refusalOf(both.authenticate(token))).toEqual(
      refused('the issuer has no one key of this key id for this algorithm'),
    )
  })

  test.each(['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    '%s is accepted where it is configured',
    async (alg) => {
      const one = createTestProvider(fake, clock, { algorithms: [alg] })
      const { identity } = await one.authenticate(await fake.mint({}, { alg }))
      expect(identity.subject).toBe('u-1001')
    },
  )

  test.each(['RS384', 'RS512', 'PS256', 'PS384', 'PS512'])(
    '%s is accepted with a key that names no algorithm',
    async (alg) => {
      const { publicKey, privateKey } = await fake.findKey('RS256')
      fake.switches.oddKeys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'plain' }]
      const one = createTestProvider(fake, clock, { algorithms: [alg] })
      const token = await fake.mint({}, { alg, key: privateKey, header: { kid: 'plain' } })
      const { identity } = await one.authenticate(token)
      expect(identity.subject).toBe('u-1001')
      fake.switches.oddKeys = []
    },
  )
})

describe('the form', () => {
  const forms: readonly [string, (token: string) => string, string][] = [
    // ATTACKS 76
    ['two segments', (token) => token.replace(/\.[^.]*$/, ''), 'not a compact JWS'],
    ['four segments', (token) => `${token}.AAAA`, 'not a compact JWS'],
    ['five segments', (token) => `${token}.AAAA.AAAA`, 'not a compact JWS'],
    ['an empty signature', (token) => token.replace(/[^.]*$/, ''), 'not a compact JWS'],
    ['an empty header', (token) => token.replace(/^[^.]*/, ''), 'not a compact JWS'],
    ['an empty payload', (token) => token.replace(/\.[^.]*\./, '..'), 'not a compact JWS'],
    ['a trailing dot', (token) => `${token}.`, 'not a compact JWS'],
    [
      'the flattened JSON form',
      (token) => {
        const [head, payload, signature] = token.split('.')
        return JSON.stringify({ protected: head, payload, signature, header: { alg: 'ES256' } })
      },
      'not a compact JWS',
    ],
    // ATTACKS 77
    ['a space in front', (token) => ` ${token}`, 'not a compact JWS'],
    ['a newline behind', (token) => `${token}\n`, 'not a compact JWS'],
    ['a space inside', (token) => token.replace(/(.{20})/, '$1 '), 'not a compact JWS'],
    ['padding of the header', (token) => token.replace('.', '=.'), 'not a compact JWS'],
    ['padding of the signature', (token) => `${token}==`, 'not a compact JWS'],
    ['the other alphabet', (token) => `${token.slice(0, -4)}+/+/`, 'not a compact JWS'],
    ['a NUL', (token) => token.replace('.', '\u0000.'), 'not a compact JWS'],
    ['a letter that is not ASCII', (token) => `${token}é`, 'not a compact JWS'],
    [
      'bits behind the end of the signature',
      // 64 bytes leave four bits over in the last letter: they must be zero.
      (token) => `${token.slice(0, -1)}${token.at(-1) === 'A' ? 'B' : 'h'}`,
      'the signature is not base64url',
    ],
    [
      'a header of one letter',
      (token) => token.replace(/^[^.]*/, 'e'),
      'the header is not base64url of UTF-8',
    ],
  ]

  test.each(forms)('is refused with %s', async (_what, change, detail) => {
    expect(await ask(change(await fake.mint()))).toEqual(refused(detail))
  })

  const texts: readonly [string, string, string, string][] = [
    // ATTACKS 78
    [
      'a header with alg twice',
      '{"alg":"none","alg":"ES256"}',
      '{}',
      'the header has the member "alg" twice',
    ],
    [
      'a payload with iss twice',
      '{"alg":"ES256"}',
      '{"iss":"a","iss":"b"}',
      'the payload has the member "iss" twice',
    ],
    [
      'a payload with sub twice, once in escapes',
      '{"alg":"ES256"}',
      '{"sub":"a","\\u0073ub":"b"}',
      'the payload has the member "sub" twice',
    ],
    [
      'a payload with __proto__',
      '{"alg":"ES256"}',
      '{"__proto__":{"sub":"a"}}',
      'the payload has a member named "__proto__"',
    ],
    ['a payload that is a list', '{"alg":"ES256"}', '[]', 'the payload is not a JSON object'],
    ['a payload that is null', '{"alg":"ES256"}', 'null', 'the payload is not a JSON object'],
    ['a header that is a text', '"ES256"', '{}', 'the header is not a JSON object'],
    ['a payload that is no JSON', '{"alg":"ES256"}', 'sub=1', 'the payload is not JSON'],
    [
      'a payload behind a byte order mark',
      '{"alg":"ES256"}',
      '\ufeff{}',
      'the payload is not JSON',
    ],
    [
      'a payload nested without end',
      '{"alg":"ES256"}',
      '['.repeat(5000),
      'the payload is nested deeper than 32 levels',
    ],
    [
      'a payload with a lone surrogate',
      '{"alg":"ES256"}',
      '{"sub":"\\ud800"}',
      'the payload has a string that is not well-formed Unicode',
    ],
  ]

  test.each(texts)('is refused with %s', async (_what, header, payload, detail) => {
    const { privateKey } = await fake.findKey('ES256')
    expect(await ask(encodeJwt(header, payload, 'ES256', privateKey))).toEqual(refused(detail))
  })

  test('is refused with a payload that is not UTF-8', async () => {
    const [header, , signature] = (await fake.mint()).split('.')
    const payload = encodeSegment(Uint8Array.of(0x7b, 0xff, 0x7d))
    expect(await ask(`${header}.${payload}.${signature}`)).toEqual(
      refused('the payload is not base64url of UTF-8'),
    )
  })

  test('is one text of its bytes in every segment, and no other', async () => {
    const [head, payload] = (await fake.mint()).split('.')
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const judge = (parts: readonly (string | undefined)[]): string => {
      const read = readJwt(parts.join('.'))
      return typeof read === 'string' ? read : 'read'
    }
    for (const start of ['', 'A', 'AA', 'AAA', 'A-_z']) {
      for (const letter of letters) {
        const segment = start + letter
        const isOne = Buffer.from(segment, 'base64url').toString('base64url') === segment
        expect(judge([head, payload, segment])).toBe(
          isOne ? 'read' : 'the signature is not base64url',
        )
      }
    }
    // `{}` and a space, or two: of the letters that stand for them only the first is the text.
    for (const text of ['{} ', '{}  ', '{}']) {
      const segment = encodeSegment(text)
      const next = letters[letters.indexOf(segment.at(-1) as string) + 1]
      const other = `${segment.slice(0, -1)}${next}`
      expect(judge([head, segment, 'AAAA'])).toBe('read')
      if (segment.length % 4 === 0) continue
      expect(Buffer.from(other, 'base64url').toString()).toBe(text)
      expect(judge([head, other, 'AAAA'])).toBe('the payload is not base64url of UTF-8')
      expect(judge([other, payload, 'AAAA'])).toBe('the header is not base64url of UTF-8')
    }
  })

  test('never makes the readers fail otherwise than by refusing', () => {
    const part = fc.oneof(fc.json().map(encodeSegment), fc.string().map(encodeSegment), fc.string())
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        const token = `${a}.${b}.${c}`
        const issuer = findIssuer(token)
        expect(issuer === undefined || typeof issuer === 'string').toBe(true)
        try {
          expect(typeof parseJwt(token).header.alg).toBe('string')
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_token' })
        }
      }),
    )
  })
})

describe('the header', () => {
  // ATTACKS 80, 81
  const members: readonly [string, unknown][] = [
    ['jku', 'http://127.0.0.1:1/keys'],
    ['x5u', 'http://127.0.0.1:1/chain'],
    ['jwk', { kty: 'oct', k: 'AAAA' }],
    ['x5c', ['AAAA']],
    ['crit', ['exp']],
    ['crit', []],
    ['b64', false],
    ['b64', true],
  ]
  test.each(members)('is refused with %s %j', async (name, value) => {
    expect(await ask(await fake.mint({}, { header: { [name]: value } }))).toEqual(
      refused(`the header has the member ${name}`),
    )
  })

  // ATTACKS 79
  test.each([
    [['es256-1']],
    [{ kid: 'es256-1' }],
    [1],
    [null],
    [''],
    [' '],
    ['a\nb'],
    ['k'.repeat(256)],
  ])('is refused with the key id %j, which is no short string', async (kid) => {
    expect(await ask(await fake.mint({}, { header: { kid } }))).toEqual(
      refused('the header has a key id that is no short string'),
    )
  })

  // ATTACKS 79
  test.each(['../../etc/passwd', '__proto__', 'constructor', "' OR 1=1 --", 'ES256-1', 'es256-1 '])(
    'is refused with the key id %j, which no key has',
    async (kid) => {
      expect(await ask(await fake.mint({}, { header: { kid } }))).toEqual(
        refused('the issuer has no one key of this key id for this algorithm'),
      )
    },
  )

  test('may leave out the key id where one key alone fits', async () => {
    const token = await fake.mint({}, { header: { kid: undefined } })
    expect((await provider.authenticate(token)).identity.subject).toBe('u-1001')
  })

  test.each(['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined])(
    'may name the type %j',
    async (typ) => {
      const token = await fake.mint({}, { header: { typ } })
      expect((await provider.authenticate(token)).identity.subject).toBe('u-1001')
    },
  )

  test.each(['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', '', 1, null])(
    'is refused with the type %j',
    async (typ) => {
      expect(await ask(await fake.mint({}, { header: { typ } }))).toEqual(
        refused('the header names a type that is neither JWT nor at+jwt'),
      )
    },
  )
})

describe('the signature', () => {
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const bytesOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
  const splice = async (signature: Uint8Array) =>
    (await fake.mint()).replace(/[^.]*$/, encodeSegment(signature))
  const signatures: readonly [string, () => Uint8Array][] = [
    ['zeros', () => Buffer.alloc(64)],
    ['r = s = 1', () => Buffer.concat([bytesOf(1n), bytesOf(1n)])],
    ['r = n', () => Buffer.concat([bytesOf(order), bytesOf(1n)])],
    ['s = n', () => Buffer.concat([bytesOf(1n), bytesOf(order)])],
    ['all ones', () => Buffer.alloc(64, 0xff)],
    ['63 bytes', () => Buffer.alloc(63, 1)],
    ['65 bytes', () => Buffer.alloc(65, 1)],
    ['one byte', () => Buffer.alloc(1, 1)],
    ['a DER sequence', () => Buffer.from('3006020101020101', 'hex')],
    ['10 kB', () => Buffer.alloc(10_000, 1)],
  ]

  // ATTACKS 74
  test.each(signatures)('is refused: %s', async (_what, make) => {
    expect(await ask(await splice(make()))).toEqual(
      refused('jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED'),
    )
  })

  // ATTACKS 74
  test('is refused in any other form of a true one', async () => {
    const token = await fake.mint()
    const signature = Buffer.from(token.split('.')[2] as string, 'base64url')
    const s = BigInt(`0x${signature.subarray(32).toString('hex')}`)
    const forms = [
      Buffer.concat([
        Buffer.alloc(1),
        signature.subarray(0, 32),
        Buffer.alloc(1),
        signature.subarray(32),
      ]),
      Buffer.concat([signature, signature]),
      Buffer.concat([signature.subarray(32), signature.subarray(0, 32)]),
      Buffer.concat([signature.subarray(0, 32), bytesOf((s + order) % 2n ** 256n)]),
    ]
    for (const form of forms) {
      expect(await ask(token.replace(/[^.]*$/, encodeSegment(form)))).toEqual(
        refused('jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED'),
      )
    }
  })

  // ATTACKS 72
  test('is refused where the public key served as the secret of an HMAC', async () => {
    const { publicKey, kid, jwk } = await fake.findKey('RS256')
    const secrets = [
      publicKey.export({ format: 'pem', type: 'spki' }) as string,
      JSON.stringify(jwk),
    ]
    const rsa = createTestProvider(fake, clock, { algorithms: ['RS256'] })
    for (const secret of secrets) {
      const key = createSecretKey(Buffer.from(secret))
      const confused = await fake.mint({}, { alg: 'HS256', key, header: { kid } })
      expect(await refusalOf(rsa.authenticate(confused))).toEqual(
        refused('alg is not in the list of the issuer'),
      )
      const disguised = await fake.mint({}, { alg: 'HS256', key, header: { kid, alg: 'RS256' } })
      expect(await refusalOf(rsa.authenticate(disguised))).toEqual(
        refused('jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED'),
      )
    }
  })
})
