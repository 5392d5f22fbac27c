import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { generateKey } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import {
  createTestClock,
  createTestProvider,
  refusalOf,
  refused,
  type TestClock,
  unavailable,
} from './setup.ts'

let clock: TestClock
let fake: OidcIssuer
beforeEach(async () => {
  clock = createTestClock()
  fake = await startOidcIssuer({ clock })
})
afterEach(() => fake.close())

const noKey = refused('the issuer has no one key of this key id for this algorithm')

describe('the keys of an issuer', () => {
  test('are fetched with the first token, once for all that wait', async () => {
    const provider = createTestProvider(fake, clock)
    expect(fake.requests).toMatchObject({ discovery: 0, keys: 0 })
    const tokens = await Promise.all(Array.from({ length: 50 }, () => fake.mint()))
    await Promise.all(tokens.map((token) => provider.authenticate(token)))
    await provider.authenticate(await fake.mint())
    expect(fake.requests).toMatchObject({ discovery: 1, keys: 1 })
  })

  test('are not fetched for a token whose claims already refuse it', async () => {
    const provider = createTestProvider(fake, clock)
    expect(await refusalOf(provider.authenticate(await fake.mint({ aud: 'x' })))).toEqual(
      refused('aud names none of ours'),
    )
    expect(fake.requests).toMatchObject({ discovery: 0, keys: 0 })
  })

  test('may take so long that the token has ended', async () => {
    const provider = createTestProvider(fake, clock, {
      fetch: (input, init) => {
        clock.advance(2)
        return fetch(input, init)
      },
    })
    const token = await fake.mint({}, { expiresIn: 4 - 60 })
    expect(await refusalOf(provider.authenticate(token))).toEqual(refused('jose: ERR_JWT_EXPIRED'))
  })

  // ATTACKS 105
  test('are asked for at most once in thirty seconds, whatever key ids are made up', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    clock.advance(31)
    const template = await fake.mint()
    const [, payload, signature] = template.split('.')
    const attack = Array.from({ length: 10_000 }, (_, at) => {
      const header = JSON.stringify({ alg: 'ES256', kid: `made-up-${at}` })
      return `${Buffer.from(header).toString('base64url')}.${payload}.${signature}`
    })
    const answers = await Promise.all(
      attack.map((token) => refusalOf(provider.authenticate(token))),
    )
    expect(answers.every(({ detail }) => detail === noKey.detail)).toBe(true)
    expect(fake.requests.keys).toBe(2)
    clock.advance(29)
    expect(await refusalOf(provider.authenticate(attack[0] as string))).toEqual(noKey)
    expect(fake.requests.keys).toBe(2)
    clock.advance(1)
    expect(await refusalOf(provider.authenticate(attack[0] as string))).toEqual(noKey)
    expect(fake.requests.keys).toBe(3)
  })

  test('are new after a rotation as soon as a token names the new one', async () => {
    const provider = createTestProvider(fake, clock)
    const old = await fake.mint()
    await provider.authenticate(old)
    clock.advance(30)
    fake.rotate()
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
    expect(await refusalOf(provider.authenticate(old))).toEqual(noKey)
  })

  // ATTACKS 106
  test('stop verifying within ten minutes of their removal', async () => {
    const provider = createTestProvider(fake, clock)
    const old = await fake.mint({}, { expiresIn: 3000 })
    await provider.authenticate(old)
    fake.rotate()
    clock.advance(599)
    expect((await provider.authenticate(old)).identity.subject).toBe('u-1001')
    clock.advance(1)
    expect(await refusalOf(provider.authenticate(old))).toEqual(noKey)
  })

  test('are all gone where the issuer says so', async () => {
    const provider = createTestProvider(fake, clock)
    fake.switches.keysText = '{"keys":[]}'
    expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(noKey)
  })

  test('are asked for again where the clock was set back', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    clock.advance(-60)
    await provider.authenticate(await fake.mint())
    expect(fake.requests.keys).toBe(2)
  })
})

test('a token without a key id is refused where two keys would fit', async () => {
  const other = await generateKey('ES256', 'other')
  fake.switches.oddKeys = [other.jwk]
  const token = await fake.mint({}, { header: { kid: undefined } })
  expect(await refusalOf(createTestProvider(fake, clock).authenticate(token))).toEqual(noKey)
})

describe('while the issuer is down', () => {
  // ATTACKS 107
  test('the last keys serve for an hour, then nothing does', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    fake.switches.discovery = 'error'
    clock.advance(3599)
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
    clock.advance(1)
    const why = `${fake.issuer}: ${fake.issuer}/.well-known/openid-configuration answered 500`
    expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(unavailable(why))
    expect(await provider.check()).toEqual({ ok: false, reason: why })
  })

  test('it is asked again every thirty seconds where keys are held', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    fake.switches.discovery = 'down'
    clock.advance(600)
    for (let at = 0; at < 5; at++) await provider.authenticate(await fake.mint())
    expect(fake.requests.discovery).toBe(2)
    clock.advance(30)
    for (let at = 0; at < 5; at++) await provider.authenticate(await fake.mint())
    await expect.poll(() => fake.requests.discovery).toBe(3)
  })

  test('nobody waits for it again while the last keys serve', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    fake.switches.discovery = 'error'
    clock.advance(600)
    await provider.authenticate(await fake.mint())
    fake.switches.discovery = 'stall'
    clock.advance(30)
    const started = performance.now()
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
    expect(performance.now() - started).toBeLessThan(2_500)
    await expect.poll(() => fake.requests.discovery).toBe(3)
  })

  test('it is asked again every five seconds where none are, and noticed when it is back', async () => {
    const provider = createTestProvider(fake, clock)
    fake.switches.discovery = 'error'
    const why = `${fake.issuer}: ${fake.issuer}/.well-known/openid-configuration answered 500`
    for (let at = 0; at < 5; at++) {
      expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(unavailable(why))
    }
    expect(fake.requests.discovery).toBe(1)
    fake.switches.discovery = undefined
    clock.advance(4)
    expect(await provider.check()).toEqual({ ok: false, reason: why })
    clock.advance(1)
    expect((await provider.authenticate(await fake.mint())).identity.subject).toBe('u-1001')
    expect(await provider.check()).toEqual({ ok: true })
  })

  test('a key id it may have come by meanwhile is no refusal', async () => {
    const provider = createTestProvider(fake, clock)
    await provider.authenticate(await fake.mint())
    clock.advance(30)
    fake.rotate()
    fake.switches.keys = 'error'
    expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(
      unavailable(`${fake.issuer}: ${fake.issuer}/keys answered 500`, 30),
    )
  })

  test('a token that has ended is refused all the same', async () => {
    fake.switches.discovery = 'down'
    const token = await fake.mint({}, { expiresIn: -60 })
    expect(await refusalOf(createTestProvider(fake, clock).authenticate(token))).toEqual(
      refused('exp has passed'),
    )
  })
})

describe('the discovery document', () => {
  // ATTACKS 109
  test.each([['https://idp.example.com'], ['SLASH'], ['']])(
    'that names the issuer %j is none of ours',
    async (named) => {
      fake.switches.discoveryIssuer = named === 'SLASH' ? `${fake.issuer}/` : named
      const provider = createTestProvider(fake, clock)
      expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(
        unavailable(`${fake.issuer}: its discovery names another issuer`),
      )
      expect(await provider.check()).toEqual({
        ok: false,
        reason: `${fake.issuer}: its discovery names another issuer`,
      })
      expect(fake.requests.keys).toBe(0)
    },
  )

  // ATTACKS 107
  test.each([
    ['http://idp.example.com/keys'],
    ['file:///etc/passwd'],
    ['https://user:secret@idp.example.com/keys'],
    ['/keys'],
    [''],
    ['https://idp.example.com/keys#next'],
    ['data:application/json,{}'],
  ])('that names the key set %j is not followed', async (uri) => {
    fake.switches.jwksUri = uri
    const asked: string[] = []
    const provider = createTestProvider(fake, clock, {
      fetch: (input, init) => {
        asked.push(String(input))
        return fetch(input, init)
      },
    })
    expect(await refusalOf(provider.authenticate(await fake.mint()))).toEqual(
      unavailable(`${fake.issuer}: its discovery names no usable jwks_uri`),
    )
    expect(asked).toEqual([`${fake.issuer}/.well-known/openid-configuration`])
  })

  // ATTACKS 107
  test('of an issuer on the network may not point to our own loopback', async () => {
    const issuer = 'https://idp.example.com'
    const asked: string[] = []
    const provider = createTestProvider({ issuer }, clock, {
      fetch: async (input) => {
        asked.push(String(input))
        return Response.json({ issuer, jwks_uri: `${fake.issuer}/keys` })
      },
    })
    expect(await refusalOf(provider.authenticate(await fake.mint({ iss: issuer })))).toEqual(
      unavailable(`${issuer}: its discovery names no usable jwks_uri`),
    )
    expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`])
  })

  test('of an issuer with a slash at its end is found without doubling it', async () => {
    const issuer = `${fake.issuer}/`
    fake.switches.discoveryIssuer = issuer
    const provider = createTestProvider({ issuer }, clock)
    const { identity } = await provider.authenticate(await fake.mint({ iss: issuer }))
    expect(identity.issuer).toBe(issuer)
  })
})
