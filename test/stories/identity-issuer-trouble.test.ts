import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Provider } from '../../src/identity/index.ts'
import { listMisbehaviours } from '../fakes/http.ts'
import { generateKey } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import {
  createTestClock,
  createTestProvider,
  refusalOf,
  refused,
  type TestClock,
  unavailable,
} from '../identity/setup.ts'

let clock: TestClock
let fake: OidcIssuer
let provider: Provider
beforeEach(async () => {
  clock = createTestClock()
  fake = await startOidcIssuer({ clock })
  provider = createTestProvider(fake, clock)
})
afterEach(() => fake.close())

const noKey = refused('the issuer has no one key of this key id for this algorithm')

describe("the issuer's key was stolen, and it withdraws it", () => {
  // ATTACKS 106. jwkset CVE-2025-22149: a key that had left the set went on verifying.
  test('after ten minutes at most the thief has nothing', async () => {
    const stolen = await fake.mint({}, { expiresIn: 3000 })
    await provider.authenticate(stolen)
    fake.rotate()
    clock.advance(600)
    expect(await refusalOf(provider.authenticate(stolen))).toEqual(noKey)
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
  })
})

describe('somebody sits between us and the issuer', () => {
  const documents = ['discovery', 'keys'] as const
  const quick = listMisbehaviours().filter((how) => how !== 'stall' && how !== 'drip')

  // ATTACKS 107. Fulcio CVE-2026-49478: what was fetched was without bounds, or from elsewhere.
  test('and what they answer is no key, and no reason to forget the true ones', async () => {
    await provider.authenticate(await fake.mint())
    for (const document of documents) {
      for (const how of quick) {
        fake.switches[document] = how
        clock.advance(60)
        const fresh = createTestProvider(fake, clock)
        const { code } = await refusalOf(fresh.authenticate(await fake.mint()))
        expect(code, how).toBe('idp_unavailable')
        expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
        fake.switches[document] = undefined
      }
    }
    expect(fake.requests.trap).toBe(0)
  })

  // ATTACKS 107. A byte now and then must not hold a request open.
  test('and what they answer in drops is given up after five seconds', async () => {
    fake.switches.keys = 'drip'
    const slow = await startOidcIssuer({ clock })
    slow.switches.discovery = 'stall'
    const started = performance.now()
    const [drip, stall] = await Promise.all([
      refusalOf(provider.authenticate(await fake.mint())),
      refusalOf(createTestProvider(slow, clock).authenticate(await slow.mint())),
    ])
    await slow.close()
    expect(drip).toEqual(unavailable(`${fake.issuer}: ${fake.issuer}/keys did not answer in time`))
    expect(stall).toEqual(
      unavailable(
        `${slow.issuer}: ${slow.issuer}/.well-known/openid-configuration did not answer in time`,
      ),
    )
    expect(performance.now() - started).toBeLessThan(15_000)
  })
})

describe('the key set holds what it should not', () => {
  // ATTACKS 108. apko CVE-2026-42576, and the invalid keys of Wycheproof: one bad key is no reason
  // to take it, nor to refuse the good ones.
  test('and the good key beside it works, while the bad ones verify nothing', async () => {
    const small = await generateKey('RS256', 'small', { modulusLength: 1024 })
    const mine = await generateKey('ES256', 'leaked')
    const other = await generateKey('ES256', 'other-use')
    fake.switches.oddKeys = [
      small.jwk,
      { ...mine.privateKey.export({ format: 'jwk' }), kid: 'leaked', alg: 'ES256' },
      { ...other.jwk, use: 'enc' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'secret', alg: 'HS256' },
      null,
      'key',
    ]
    provider = createTestProvider(fake, clock, { algorithms: ['ES256', 'RS256'] })
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
    const forgeries = [
      await fake.mint({}, { alg: 'RS256', key: small.privateKey, header: { kid: 'small' } }),
      await fake.mint({}, { key: mine.privateKey, header: { kid: 'leaked' } }),
      await fake.mint({}, { key: other.privateKey, header: { kid: 'other-use' } }),
    ]
    for (const token of forgeries) {
      expect(await refusalOf(provider.authenticate(token))).toEqual(noKey)
    }
  })

  // ATTACKS 108. Of two keys with one id nobody can say which is meant.
  test('and a key id that two keys share names neither', async () => {
    const one = await generateKey('ES256', 'shared')
    const two = await generateKey('ES256', 'shared')
    fake.switches.oddKeys = [one.jwk, two.jwk]
    for (const { privateKey } of [one, two]) {
      const token = await fake.mint({}, { key: privateKey, header: { kid: 'shared' } })
      expect(await refusalOf(provider.authenticate(token))).toEqual(noKey)
    }
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
  })
})
