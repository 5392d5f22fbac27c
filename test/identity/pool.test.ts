import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { createGithubProvider } from '../../src/identity/github.ts'
import {
  createPool,
  type Identity,
  noMemberships,
  type Pool,
  type Provider,
} from '../../src/identity/index.ts'
import { parseJwt } from '../../src/identity/oidc/jwt.ts'
import { type Github, startGithub } from '../fakes/github.ts'
import { encodeJwt } from '../fakes/jwt.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused, unavailable } from './setup.ts'

const clock = createTestClock()
let first: OidcIssuer
let second: OidcIssuer
let hub: Github
let server: Github
beforeAll(async () => {
  first = await startOidcIssuer({ clock })
  second = await startOidcIssuer({ clock })
  hub = await startGithub({ clock })
  server = await startGithub({ clock, people: [{ id: 7, login: 'maya' }] })
})
afterAll(async () => {
  for (const fake of [first, second, hub, server]) await fake.close()
})

let pool: Pool
beforeEach(() => {
  delete hub.switches.trouble.checkToken
  delete server.switches.trouble.checkToken
  const github = ({ apiUrl, world }: Github) =>
    createGithubProvider({ apiUrl, apps: world.apps, fetch, clock })
  pool = createPool([
    createTestProvider(first, clock),
    createTestProvider(second, clock),
    github(hub),
    github(server),
  ])
})

describe('the pool', () => {
  test('asks the one issuer that the token names', async () => {
    const before = first.requests.keys
    const { identity } = await pool.authenticate(await second.mint())
    expect(identity.issuer).toBe(second.issuer)
    expect(first.requests.keys).toBe(before)
  })

  test('finds the GitHub server that knows the token', async () => {
    const { identity } = await pool.authenticate(server.mintToken('maya'))
    expect(identity).toMatchObject({ issuer: server.webUrl, subject: '7' })
  })

  test('does not refuse a token that a silent server might have known', async () => {
    hub.switches.trouble.checkToken = 'unavailable'
    expect(await refusalOf(pool.authenticate(`gho_${'a'.repeat(36)}`))).toEqual(
      unavailable('GitHub answered check-token with 503'),
    )
    const { identity } = await pool.authenticate(server.mintToken('maya'))
    expect(identity.subject).toBe('7')
  })

  // ATTACKS 128
  test('refuses every token with the same words, and tells the log which check failed', async () => {
    const github = `github ${hub.webUrl}: no configured app knows it; github ${server.webUrl}: no configured app knows it`
    expect(await refusalOf(pool.authenticate(`gho_${'a'.repeat(36)}`))).toEqual(refused(github))
    expect(await refusalOf(pool.authenticate(await first.mint({ aud: 'x' })))).toEqual(
      refused(`oidc ${first.issuer}: aud names none of ours`),
    )
    for (const token of ['', 'x', `ghp_${'a'.repeat(36)}`, 'a.b.c']) {
      expect(await refusalOf(pool.authenticate(token))).toEqual(
        refused('no configured provider claims it'),
      )
    }
  })

  // ATTACKS 86
  test('keeps the keys of issuers apart, though they share a key id', async () => {
    const own = await first.findKey('ES256')
    const foreign = await second.findKey('ES256')
    expect(own.kid).toBe(foreign.kid)
    const token = await first.mint({}, { key: foreign.privateKey, header: { kid: own.kid } })
    expect(await refusalOf(pool.authenticate(token))).toEqual(
      refused(`oidc ${first.issuer}: jose: ERR_JWS_SIGNATURE_VERIFICATION_FAILED`),
    )
  })

  test('reads a token for one of a thousand issuers as often as for the only one', async () => {
    let asked = 0
    const create = (issuer: string): Provider => ({
      name: issuer,
      issuer,
      claims: () => {
        asked++
        return false
      },
      authenticate: () => Promise.reject(new Error('nobody asks it')),
      check: async () => ({ ok: true }),
    })
    const many = Array.from({ length: 1000 }, (_, n) => create(`https://idp-${n}.example.com`))
    const large = createPool([...many, createTestProvider(first, clock)])
    expect((await large.authenticate(await first.mint())).identity.issuer).toBe(first.issuer)
    expect(asked).toBe(0)
  })

  test('hands the issuer what it has read of the token, and never a token that reads badly', async () => {
    const given: unknown[] = []
    const provider: Provider = {
      ...createTestProvider(first, clock),
      authenticate: async (token) => {
        given.push(token)
        throw new AppError('invalid_token', 'A sentence.', { detail: 'read by itself' })
      },
      authenticateJwt: async (jwt) => {
        given.push(jwt)
        return { identity: {} as Identity, findMemberships: async () => noMemberships }
      },
    }
    const pool = createPool([provider])
    const token = await first.mint()
    const { header, payload } = parseJwt(token)
    await pool.authenticate(token)
    const { privateKey } = await first.findKey('ES256')
    const twice = `{"iss":"${first.issuer}","iss":"${first.issuer}"}`
    const odd = encodeJwt('{"alg":"ES256"}', twice, 'ES256', privateKey)
    expect(await refusalOf(pool.authenticate(odd))).toEqual(
      refused(`oidc ${first.issuer}: read by itself`),
    )
    expect(given).toEqual([{ text: token, header, payload }, odd])
  })

  test('tells the log how a token of an issuer reads badly', async () => {
    const { privateKey } = await first.findKey('ES256')
    const twice = `{"iss":"https://idp.example.com","iss":"${first.issuer}"}`
    const odd = encodeJwt('{"alg":"ES256"}', twice, 'ES256', privateKey)
    expect(await refusalOf(pool.authenticate(odd))).toEqual(
      refused(`oidc ${first.issuer}: the payload has the member "iss" twice`),
    )
    const [head, payload, signature] = (await first.mint()).split('.')
    expect(await refusalOf(pool.authenticate(`${head}.${payload}.${signature?.slice(1)}`))).toEqual(
      refused(`oidc ${first.issuer}: the signature is not base64url`),
    )
  })

  test('says of each provider how it is', async () => {
    server.switches.trouble.checkToken = 'bad-credentials'
    expect(await pool.check()).toEqual([
      { name: `oidc ${first.issuer}`, ok: true },
      { name: `oidc ${second.issuer}`, ok: true },
      { name: `github ${hub.webUrl}`, ok: true },
      {
        name: `github ${server.webUrl}`,
        ok: false,
        reason: 'GitHub refuses the client id and secret',
      },
    ])
  })

  test('does not wait for a provider that keeps silent', async () => {
    const silent: Provider = {
      name: 'silent',
      claims: () => false,
      authenticate: () => Promise.reject(new Error('nobody asks it')),
      check: () => new Promise(() => {}),
    }
    expect(await createPool([silent, createTestProvider(first, clock)]).check()).toEqual([
      { name: 'silent', ok: false, reason: 'has not answered yet' },
      { name: `oidc ${first.issuer}`, ok: true },
    ])
  })

  test('takes no two providers of one name', () => {
    const one = createTestProvider(first, clock)
    expect(() => createPool([one, one])).toThrow(
      new TypeError('two identity providers have one name'),
    )
  })

  test('without a provider refuses everything', async () => {
    expect(await refusalOf(createPool([]).authenticate(await first.mint()))).toEqual(
      refused('no configured provider claims it'),
    )
  })
})

describe('an answer of the pool', () => {
  const create = (authenticate: Provider['authenticate']): Provider => ({
    name: 'one',
    claims: () => true,
    authenticate,
    check: async () => ({ ok: true }),
  })

  // ATTACKS 115
  test.each(['invalid_token', 'idp_unavailable', 'insufficient_scope', 'internal'] as const)(
    'is never a caller where the provider says %s',
    async (code) => {
      const pool = createPool([
        create(async () => {
          throw new AppError(code, 'A sentence.', { detail: 'why' })
        }),
      ])
      expect(await refusalOf(pool.authenticate('x'))).toMatchObject({ code })
    },
  )

  test('is the failure itself where a provider breaks, not a refusal', async () => {
    const pool = createPool([
      create(async () => {
        throw new RangeError('broken')
      }),
    ])
    await expect(pool.authenticate('x')).rejects.toThrow(new RangeError('broken'))
  })

  test('is the first caller found', async () => {
    const { identity } = await createTestProvider(first, clock).authenticate(await first.mint())
    const caller = { identity, findMemberships: async () => noMemberships }
    expect(await createPool([create(async () => caller)]).authenticate('x')).toBe(caller)
  })
})
