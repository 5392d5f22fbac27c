import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createPool, type Pool } from '../../src/identity/index.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from '../identity/setup.ts'

/**
 * Mallory runs an issuer of her own, with keys, discovery and all. Her tokens verify, under her
 * keys. The service knows one other issuer.
 */
const clock = createTestClock()
let ours: OidcIssuer
let hers: OidcIssuer
let pool: Pool
let asked: string[] = []
beforeAll(async () => {
  ours = await startOidcIssuer({ clock })
  hers = await startOidcIssuer({ clock })
})
beforeEach(() => {
  asked = []
  pool = createPool([
    createTestProvider(ours, clock, {
      fetch: (input, init) => {
        asked.push(String(input))
        return fetch(input, init)
      },
    }),
  ])
})
afterAll(async () => {
  await ours.close()
  await hers.close()
})

describe("Mallory's tokens name", () => {
  // ATTACKS 83. Octo STS CVE-2025-52477, Centrifugo CVE-2026-32301: the issuer an unverified token
  // named was asked for its keys, wherever it was.
  test('her issuer, and nobody asks it anything', async () => {
    expect(await refusalOf(pool.authenticate(await hers.mint()))).toEqual(
      refused('no configured provider claims it'),
    )
    for (const iss of [
      'http://169.254.169.254/latest/meta-data',
      'file:///etc/passwd',
      'https://{{tenant}}.example.com',
      `${hers.issuer}/?`,
    ]) {
      await refusalOf(pool.authenticate(await hers.mint({ iss })))
    }
    expect(asked).toEqual([])
    expect(hers.requests).toEqual({ discovery: 0, keys: 0, token: 0, trap: 0 })
  })

  // ATTACKS 84, 85. Fulcio CVE-2026-22772 (an unanchored pattern), telemeter CVE-2024-5037 (the
  // issuer not compared), fast-jwt CVE-2025-30144 (a list of issuers, one of them good).
  test('something that is nearly ours', async () => {
    const good = ours.issuer
    const names: unknown[] = [
      `${good}/`,
      `${good}.evil.example`,
      `${good}@evil.example`,
      `https://evil.example/${good}`,
      good.replace('http:', 'https:'),
      good.replace('http:', 'HTTP:'),
      good.replace('127.0.0.1', 'user@127.0.0.1'),
      `${good}#`,
      `${good} `,
      ` ${good}`,
      `${good}\u0000`,
      [good],
      [good, hers.issuer],
      { toString: good },
      null,
      undefined,
    ]
    for (const iss of names) {
      expect(await refusalOf(pool.authenticate(await ours.mint({ iss })))).toEqual(
        refused('no configured provider claims it'),
      )
    }
    expect(asked).toEqual([])
  })

  // ATTACKS 85. The same, should somebody ask the provider without the pool.
  test('nothing, and the provider itself compares again', async () => {
    const provider = createTestProvider(ours, clock)
    for (const iss of [undefined, [ours.issuer], hers.issuer]) {
      expect(await refusalOf(provider.authenticate(await ours.mint({ iss })))).toEqual(
        refused('iss is not the issuer'),
      )
    }
  })

  // ATTACKS 86. Centrifugo CVE-2026-49998: keys were kept by key id alone, whoever's they were.
  test('our issuer, signed by hers under the same key id', async () => {
    const both = createPool([createTestProvider(ours, clock), createTestProvider(hers, clock)])
    await both.authenticate(await hers.mint())
    await both.authenticate(await ours.mint())
    const { kid } = await ours.findKey('ES256')
    expect((await hers.findKey('ES256')).kid).toBe(kid)
    expect(await refusalOf(both.authenticate(await hers.mint({ iss: ours.issuer })))).toEqual(
      refused(`oidc ${ours.issuer}: jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED`),
    )
    const { identity } = await both.authenticate(await hers.mint())
    expect(identity.issuer).toBe(hers.issuer)
  })
})
