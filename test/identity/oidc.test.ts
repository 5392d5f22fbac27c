import { describe, expect, test } from 'vitest'
import { formatIdentity } from '../../src/identity/index.ts'
import { createOidcProvider, type OidcOptions } from '../../src/identity/oidc.ts'
import { startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf } from './setup.ts'

const clock = createTestClock()
const neverFetch = () => Promise.reject(new Error('nothing may be fetched'))

/** What creating a provider with these says is wrong. */
const complaint = (options: Partial<OidcOptions>) =>
  refusalOf(
    (async () =>
      createOidcProvider({
        issuer: 'https://idp.example.com',
        audience: ['postern'],
        algorithms: ['ES256'],
        maxTokenAgeSeconds: 3600,
        fetch: neverFetch,
        clock,
        ...options,
      }))(),
  )
const wrong = (message: string) => ({ code: 'invalid_config', message, detail: undefined })

describe('an OIDC issuer is refused at start', () => {
  // ATTACKS 84: there is no pattern, only the one text.
  test.each([
    'http://idp.example.com',
    'https://idp.example.com?x=1',
    'https://idp.example.com/#x',
    'https://good.example@evil.example',
    '^https://.*',
    '*',
    '',
  ])('where its URL is %j', async (issuer) => {
    expect(await complaint({ issuer })).toEqual(
      wrong(
        `The OIDC issuer ${JSON.stringify(issuer)} is not usable: write its https URL without user, query or fragment (plain http on loopback only).`,
      ),
    )
  })

  // ATTACKS 102
  test.each([
    'https://login.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.com/Organizations/v2.0',
    'https://login.microsoftonline.com/consumers/v2.0',
    'https://login.microsoftonline.com/{tenantid}/v2.0',
    'https://login.microsoftonline.us/common/v2.0',
    'https://login.microsoftonline.com/',
    'https://sts.windows.net/common/',
  ])('where it is every Microsoft tenant at once: %s', async (issuer) => {
    expect(await complaint({ issuer })).toEqual(
      wrong(
        `The OIDC issuer ${JSON.stringify(issuer)} is every Microsoft tenant at once: write the tenant's own issuer, with its id in the path.`,
      ),
    )
  })

  test("but not where it is one tenant's", () => {
    const issuer = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
    expect(createTestProvider({ issuer }, clock, { fetch: neverFetch }).name).toBe(`oidc ${issuer}`)
  })

  // ATTACKS 87
  test.each([[[]], [['']], [['postern', ' ']]])('where its audience is %j', async (audience) => {
    expect(await complaint({ audience })).toEqual(
      wrong('The OIDC issuer https://idp.example.com has an empty audience: name at least one.'),
    )
  })

  // ATTACKS 71, 72, 73
  test.each([
    'none',
    'NONE',
    'HS256',
    'HS512',
    'ES256K',
    'es256',
    'RSA1_5',
    '__proto__',
    'toString',
  ])('where its algorithms have %j among them', async (name) => {
    expect(await complaint({ algorithms: ['ES256', name] })).toEqual(
      wrong(
        `The algorithm "${name}" of the OIDC issuer https://idp.example.com is not accepted: list those it signs with, of RS256/384/512, PS256/384/512, ES256/384/512, EdDSA and Ed25519.`,
      ),
    )
  })

  test('where its algorithms are none', async () => {
    expect(await complaint({ algorithms: [] })).toEqual(
      wrong('The OIDC issuer https://idp.example.com has an empty algorithms: name at least one.'),
    )
  })

  test.each([[{ amr: [] }], [{ amr: [''] }]])('where its evidence is %j', async (mfa) => {
    expect(await complaint({ mfa })).toEqual(
      wrong('The OIDC issuer https://idp.example.com has an empty mfa.amr: name at least one.'),
    )
  })
})

test('a whole identity reads like this', async () => {
  const fake = await startOidcIssuer({ clock })
  const provider = createTestProvider(fake, clock, { mfa: { amr: ['otp'] } })
  const { identity } = await provider.authenticate(
    await fake.mintFor('maya', { azp: 'web', amr: ['pwd', 'otp'] }),
  )
  await fake.close()
  expect(formatIdentity(identity)).toEqual({
    kind: 'oidc',
    issuer: fake.issuer,
    subject: 'u-1001',
    name: 'maya',
    client: 'web',
    email: 'maya@example.com',
    groups: ['platform'],
    claims: {
      iss: fake.issuer,
      sub: 'u-1001',
      aud: 'postern',
      iat: 1795341600,
      exp: 1795341900,
      preferred_username: 'maya',
      email: 'maya@example.com',
      email_verified: true,
      groups: ['platform'],
      azp: 'web',
      amr: ['pwd', 'otp'],
    },
    mfa: true,
    issuedAt: '2026-11-22T10:00:00Z',
    expiresAt: '2026-11-22T10:05:00Z',
  })
})
