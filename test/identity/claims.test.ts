import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClaimRules, createIdentity } from '../../src/identity/oidc/claims.ts'
import { toSeconds } from '../../src/lib/clock.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from './setup.ts'

const clock = createTestClock()
const now = toSeconds(clock())
let fake: OidcIssuer
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
})
afterAll(() => fake.close())

const ask = async (claims: Readonly<Record<string, unknown>>) =>
  refusalOf(createTestProvider(fake, clock).authenticate(await fake.mint(claims)))
const accept = async (claims: Readonly<Record<string, unknown>>) =>
  (await createTestProvider(fake, clock).authenticate(await fake.mint(claims))).identity

describe('the times', () => {
  // ATTACKS 89
  const refusals: readonly [Readonly<Record<string, unknown>>, string][] = [
    [{ exp: undefined }, 'exp is missing'],
    [{ exp: null }, 'exp is no time in whole seconds'],
    [{ exp: (now + 300) * 1000 }, 'exp is no time in whole seconds'],
    [{ exp: String(now + 300) }, 'exp is no time in whole seconds'],
    [{ exp: -1 }, 'exp is no time in whole seconds'],
    [{ exp: now + 0.5 }, 'exp is no time in whole seconds'],
    [{ exp: 1e300 }, 'exp is no time in whole seconds'],
    [{ exp: [now + 300] }, 'exp is no time in whole seconds'],
    [{ exp: now - 60 }, 'exp has passed'],
    [{ exp: 0 }, 'exp has passed'],
    [{ iat: undefined }, 'iat is missing'],
    [{ iat: now + 61 }, 'iat lies in the future'],
    [{ iat: String(now) }, 'iat is no time in whole seconds'],
    [{ iat: now * 1000 }, 'iat is no time in whole seconds'],
    [{ iat: now - 3601 }, 'the token is older than maxTokenAge'],
    [{ iat: 0 }, 'the token is older than maxTokenAge'],
    [{ nbf: now + 61 }, 'nbf lies in the future'],
    [{ nbf: 'now' }, 'nbf is no time in whole seconds'],
    [{ nbf: null }, 'nbf is no time in whole seconds'],
  ]
  test.each(refusals)('are refused: %j', async (claims, detail) => {
    expect(await ask(claims)).toEqual(refused(detail))
  })

  // ATTACKS 89
  test('are refused where exp is 1e400, which no number holds', async () => {
    const { encodeJwt } = await import('../fakes/jwt.ts')
    const { privateKey, kid } = await fake.findKey('ES256')
    const header = JSON.stringify({ alg: 'ES256', kid })
    const token = encodeJwt(header, `{"iss":"${fake.issuer}","exp":1e400}`, 'ES256', privateKey)
    expect(await refusalOf(createTestProvider(fake, clock).authenticate(token))).toEqual(
      refused('the payload has a number too large to hold'),
    )
  })

  test('may be a minute ahead of our clock where the token begins', async () => {
    const identity = await accept({ iat: now + 60, nbf: now + 60, exp: now - 59 })
    expect(identity.issuedAt).toEqual(new Date((now + 60) * 1000))
    expect(identity.expiresAt).toEqual(new Date((now - 59) * 1000))
  })

  test('may lie as far back as maxTokenAge', async () => {
    expect((await accept({ iat: now - 3600 })).subject).toBe('u-1001')
  })

  test('of the log-in is told where it is a time, and left out where it is none', async () => {
    expect((await accept({ auth_time: now - 5 })).authenticatedAt).toEqual(
      new Date((now - 5) * 1000),
    )
    for (const time of ['now', -1, (now - 5) * 1000, null]) {
      expect(await accept({ auth_time: time })).not.toHaveProperty('authenticatedAt')
    }
  })
})

describe('the audience', () => {
  // ATTACKS 87, 88
  const refusals: readonly [Readonly<Record<string, unknown>>, string][] = [
    [{ aud: undefined }, 'aud is no list of names'],
    [{ aud: null }, 'aud is no list of names'],
    [{ aud: 1 }, 'aud is no list of names'],
    [{ aud: { postern: true } }, 'aud is no list of names'],
    [{ aud: ['postern', 1] }, 'aud is no list of names'],
    [{ aud: [['postern']] }, 'aud is no list of names'],
    [{ aud: [] }, 'aud names none of ours'],
    [{ aud: '' }, 'aud names none of ours'],
    [{ aud: 'postern2' }, 'aud names none of ours'],
    [{ aud: 'poster' }, 'aud names none of ours'],
    [{ aud: 'Postern' }, 'aud names none of ours'],
    [{ aud: 'postern ' }, 'aud names none of ours'],
    [{ aud: 'postern other' }, 'aud names none of ours'],
    [{ aud: ['postern', 'other'] }, 'aud names several and azp is none of ours'],
    [{ aud: ['postern', 'other'], azp: 'other' }, 'aud names several and azp is none of ours'],
    [
      { aud: ['postern', 'other'], client_id: 'postern' },
      'aud names several and azp is none of ours',
    ],
    [{ azp: ['postern'] }, 'azp or client_id is no name'],
    [{ azp: '' }, 'azp or client_id is no name'],
    [{ client_id: 1 }, 'azp or client_id is no name'],
  ]
  test.each(refusals)('is refused: %j', async (claims, detail) => {
    expect(await ask(claims)).toEqual(refused(detail))
  })

  test('may stand in a list, alone, or beside others where the client is ours', async () => {
    expect(await accept({ aud: ['postern'] })).not.toHaveProperty('client')
    const shared = await accept({ aud: ['postern', 'other'], azp: 'postern' })
    expect(shared.client).toBe('postern')
  })

  test('may be any of those configured, and the client another', async () => {
    const provider = createTestProvider(fake, clock, { audience: ['postern', 'web'] })
    const access = await provider.authenticate(await fake.mint({ aud: 'web', azp: 'backend' }))
    expect(access.identity.client).toBe('backend')
    const other = await provider.authenticate(await fake.mint({ client_id: 'job' }))
    expect(other.identity.client).toBe('job')
  })
})

describe('the subject', () => {
  // ATTACKS 99
  test.each([
    [undefined],
    [''],
    [' '],
    ['\t'],
    [['u-1001']],
    [1001],
    [null],
    [{}],
    ['u'.repeat(10_000)],
    ['u-1001\n'],
    ['u\u0000'],
    ['u\u202e1'],
    ['\u00a0'],
  ])('is refused: %j', async (sub) => {
    expect(await ask({ sub })).toEqual(refused('sub is no name'))
  })

  // ATTACKS 125
  test('is told byte for byte', async () => {
    for (const sub of ['alice', 'aIice', 'Alice', 'alice[bot]', 'alice_acme', 'a|b:c/d']) {
      expect((await accept({ sub })).subject).toBe(sub)
    }
  })
})

test('a token bound to a key is not a bearer token', async () => {
  expect(await ask({ cnf: { jkt: 'x' } })).toEqual(refused('the token is bound to a key (cnf)'))
})

const rules: ClaimRules = {
  issuer: 'https://idp.example.com',
  audience: ['postern'],
  groupsClaim: 'groups',
  maxTokenAgeSeconds: 3600,
}
const base = { sub: 'u-1001', iat: now, exp: now + 300 }
const identify = (claims: Readonly<Record<string, unknown>>, more: Partial<ClaimRules> = {}) =>
  createIdentity({ ...base, ...claims }, { ...rules, ...more })

describe('the address', () => {
  // ATTACKS 100
  test.each([[undefined], ['true'], ['false'], [1], [null], [false], [[true]], [{}]])(
    'is not believed where email_verified is %j',
    (verified) => {
      const claims = { email: 'maya@example.com', email_verified: verified }
      expect(identify(claims)).not.toHaveProperty('email')
      expect(identify(claims).name).toBe('u-1001')
    },
  )

  // ATTACKS 101
  test.each([
    ['a@evil.com@corp.com'],
    ['"x@corp.com"@evil.com'],
    ['"x"@corp.com'],
    ['x@corp.com.'],
    ['x@.corp.com'],
    ['x@corp..com'],
    ['x@cörp.com'],
    ['x@corp.com\u0000.evil'],
    ['x@corp.com '],
    [' x@corp.com'],
    ['x@corp.com\n'],
    ['x y@corp.com'],
    ['x@[127.0.0.1]'],
    ['x@127.0.0.1'],
    ['@corp.com'],
    ['x@'],
    ['x'],
    [''],
    [`x@${'a'.repeat(260)}.com`],
    [['x@corp.com']],
    [null],
  ])('is left out where it is %j', (email) => {
    expect(identify({ email, email_verified: true })).not.toHaveProperty('email')
  })

  // ATTACKS 101
  test.each([
    ['maya@example.com', 'maya@example.com'],
    ['Maya.O+x@CORP.com', 'Maya.O+x@corp.com'],
    ['x@corp.com.evil', 'x@corp.com.evil'],
    ['x@xn--crp-sna.com', 'x@xn--crp-sna.com'],
  ])('%j is told as %j', (email, told) => {
    expect(identify({ email, email_verified: true }).email).toBe(told)
  })
})

describe('the groups', () => {
  // ATTACKS 104
  test.each([
    ['platform'],
    ['platform,ops'],
    [{ platform: true }],
    [1],
    [true],
    [null],
    [['ops', 1]],
    [[['ops']]],
    [[null]],
  ])('are none, and the reason is told, where the claim is %j', (groups) => {
    expect(identify({ groups })).toMatchObject({
      groups: [],
      groupsProblem: 'not_a_list_of_strings',
    })
  })

  // ATTACKS 104
  test('are none, and the reason is told, where the issuer keeps them elsewhere', () => {
    const overage = { _claim_names: { groups: 'src1' }, _claim_sources: { src1: {} } }
    for (const claims of [overage, { ...overage, groups: ['ops'] }]) {
      expect(identify(claims)).toMatchObject({ groups: [], groupsProblem: 'held_elsewhere' })
    }
  })

  // ATTACKS 104
  test('are told as they are, in the configured claim', () => {
    expect(identify({ groups: ['ops', 'OPS', 'a,b', ''] }).groups).toEqual([
      'ops',
      'OPS',
      'a,b',
      '',
    ])
    const named = identify({ roles: ['ops'], groups: ['x'] }, { groupsClaim: 'roles' })
    expect(named.groups).toEqual(['ops'])
    expect(identify({})).not.toHaveProperty('groupsProblem')
    expect(identify({}).groups).toEqual([])
  })
})

describe('the name', () => {
  test('is the preferred one, else the verified address, else the subject', () => {
    const email = { email: 'maya@example.com', email_verified: true }
    expect(identify({ preferred_username: 'maya', ...email }).name).toBe('maya')
    expect(identify(email).name).toBe('maya@example.com')
    expect(identify({ email: 'maya@example.com' }).name).toBe('u-1001')
  })

  test('is the configured claim, else the subject', () => {
    const named = { nameClaim: 'login' }
    expect(identify({ login: 'maya', preferred_username: 'x' }, named).name).toBe('maya')
    expect(identify({ preferred_username: 'x' }, named).name).toBe('u-1001')
  })

  test.each([['a\nb'], ['\u001b[31m'], ['a\u202eb'], [''], [['maya']], [1]])(
    'is never %j',
    (name) => {
      expect(identify({ preferred_username: name }).name).toBe('u-1001')
    },
  )
})

describe('the second factor', () => {
  const amr = { mfa: { amr: ['otp', 'hwk'] } } as const
  const acr = { mfa: { acr: ['urn:mfa'] } } as const
  test.each([
    [{}, amr, false],
    [{ amr: ['pwd'] }, amr, false],
    [{ amr: ['pwd', 'hwk'] }, amr, true],
    [{ amr: 'otp' }, amr, false],
    [{ amr: ['otp', 1] }, amr, false],
    [{ acr: 'urn:mfa' }, acr, true],
    [{ acr: 'urn:mfa:x' }, acr, false],
    [{ acr: ['urn:mfa'] }, acr, false],
    [{ amr: ['otp'], acr: 'urn:mfa' }, {}, false],
    [{}, { mfa: 'enforced' as const }, true],
  ])('%j under %j is %j', (claims, more, isMfa) => {
    expect(identify(claims, more).mfa).toBe(isMfa)
  })
})

describe('the claims', () => {
  test('are the scalars and lists of strings, whole; nested ones and inexact numbers are left out', () => {
    const { claims } = identify({
      repository_id: '123456',
      ref: 'refs/heads/main',
      environment: 'a%3Ab',
      run_attempt: 1,
      ratio: 0.5,
      ref_protected: true,
      labels: ['a', 'b'],
      none: [],
      big: 2 ** 53,
      nested: { a: 1 },
      mixed: ['a', 1],
      nothing: null,
    })
    expect({ ...claims }).toEqual({
      ...base,
      repository_id: '123456',
      ref: 'refs/heads/main',
      environment: 'a%3Ab',
      run_attempt: 1,
      ratio: 0.5,
      ref_protected: true,
      labels: ['a', 'b'],
      none: [],
    })
  })

  test('inherit nothing, and stand in the order of the log', () => {
    const { claims } = identify({})
    expect(Object.getPrototypeOf(claims)).toBe(null)
    expect(Object.keys(claims)).toEqual(Object.keys(claims).sort())
    expect(claims['constructor']).toBe(undefined)
  })
})
