import { createSecretKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPool, type Pool } from '../../src/identity/index.ts'
import { encodeSegment, generateKey } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import {
  createTestClock,
  createTestProvider,
  refusalOf,
  refusedMessage,
} from '../identity/setup.ts'

/**
 * Mallory knows everything that is public: the issuer, its keys, the audience, Maya's subject. She
 * makes tokens of her own. None may be Maya's.
 */
const clock = createTestClock()
let fake: OidcIssuer
let pool: Pool
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
  await fake.findKey('RS256')
  pool = createPool([createTestProvider(fake, clock, { algorithms: ['RS256', 'ES256'] })])
})
afterAll(() => fake.close())

const expectRefused = async (token: string) => {
  const { code, message } = await refusalOf(pool.authenticate(token))
  expect({ code, message }).toEqual({ code: 'invalid_token', message: refusedMessage })
}

describe('Mallory signs with what is public', () => {
  // ATTACKS 72. MinIO CVE-2026-33322: an RSA public key taken for the secret of an HMAC.
  test('the public key is the secret of an HMAC', async () => {
    const { publicKey, kid } = await fake.findKey('RS256')
    for (const format of ['pem', 'der'] as const) {
      const secret = publicKey.export({ format, type: 'spki' } as { format: 'pem'; type: 'spki' })
      const key = createSecretKey(Buffer.from(secret))
      for (const alg of ['HS256', 'RS256', 'ES256']) {
        await expectRefused(await fake.mint({}, { alg: 'HS256', key, header: { alg, kid } }))
      }
    }
  })

  // ATTACKS 74. CVE-2022-21449, "psychic signatures": r = s = 0 verified under every key.
  test('the signature is nothing but zeros', async () => {
    const [head, payload] = (await fake.mint()).split('.')
    for (const length of [1, 32, 64, 128]) {
      await expectRefused(`${head}.${payload}.${encodeSegment(Buffer.alloc(length))}`)
    }
  })

  // ATTACKS 71. No signature at all, whatever `none` is called.
  test('there is no signature', async () => {
    const [, payload] = (await fake.mint()).split('.')
    for (const alg of ['none', 'None', 'nOnE', 'NONE', '']) {
      const head = encodeSegment(JSON.stringify({ alg, typ: 'JWT' }))
      for (const signature of ['', '.', '.AA', `.${'A'.repeat(86)}`]) {
        await expectRefused(`${head}.${payload}${signature}`)
      }
    }
  })
})

describe('Mallory brings her own key', () => {
  // ATTACKS 80. Distribution CVE-2025-24976: the key was read from the token it had to verify.
  test('in or behind the header, and nobody goes to fetch it', async () => {
    const mine = await generateKey('ES256', 'mallory')
    const trap = `${fake.issuer}/trap/keys`
    const headers = [
      { jwk: mine.jwk },
      { jwk: mine.jwk, kid: mine.kid },
      { jku: trap, kid: mine.kid },
      { x5u: trap, kid: mine.kid },
      { x5c: [mine.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')] },
      { kid: trap },
      { kid: mine.kid },
    ]
    for (const header of headers) {
      await expectRefused(await fake.mint({}, { key: mine.privateKey, header }))
    }
    await expectRefused(await fake.mint({}, { key: mine.privateKey }))
    expect(fake.requests.trap).toBe(0)
  })
})

describe('Mallory hangs something on a true token', () => {
  // ATTACKS 76. OpenPubkey CVE-2025-3757, opkssh CVE-2025-4658: what one reader verified was not
  // what the other read, because more than one compact signature was taken.
  test('more segments, other serialisations, unprotected headers', async () => {
    const token = await fake.mint()
    const [head, payload, signature] = token.split('.')
    const other = encodeSegment(JSON.stringify({ iss: fake.issuer, sub: 'u-1002', aud: 'postern' }))
    const signatures = [{ protected: head, signature, header: { kid: 'x' } }]
    for (const form of [
      `${token}.${other}`,
      `${token}.${other}.${signature}`,
      `${head}.${other}.${payload}.${signature}`,
      `${token}:${other}`,
      `${head}.${other}.${signature}`,
      JSON.stringify({ payload, signatures }),
      JSON.stringify({ payload, protected: head, signature }),
      `${head}.${payload}.${signature}.AAAA.AAAA`,
    ]) {
      await expectRefused(form)
    }
    expect((await pool.authenticate(token)).identity.subject).toBe('u-1001')
  })
})

describe('Mallory looks for a switch', () => {
  // ATTACKS 114. Centrifugo GO-2026-4703, Oxia CVE-2026-40946: a debug option skipped the check.
  test('and there is none, in the options or the environment', async () => {
    const options = {
      skipSignature: true,
      skipVerify: true,
      insecure: true,
      debug: true,
      verify: false,
      dev: true,
    }
    const names = ['NODE_ENV', 'DEBUG', 'POSTERN_DEBUG', 'POSTERN_INSECURE', 'POSTERN_DEV']
    const before = names.map((name) => [name, process.env[name]] as const)
    for (const name of names) process.env[name] = 'development'
    try {
      const provider = createTestProvider(fake, clock, options as object)
      const [head, payload] = (await fake.mint()).split('.')
      const forged = `${head}.${payload}.${'A'.repeat(86)}`
      expect((await refusalOf(provider.authenticate(forged))).code).toBe('invalid_token')
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  })
})
