import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from '../identity/setup.ts'

/**
 * The issuer is genuine and signs what it believes; what it believes of an account its owner may
 * have typed in. Mallory has an account.
 */
const clock = createTestClock()
let fake: OidcIssuer
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
})
afterAll(() => fake.close())

const authenticate = async (claims: Readonly<Record<string, unknown>>) =>
  createTestProvider(fake, clock).authenticate(await fake.mint({ sub: 'm-1', ...claims }))

describe('Mallory calls herself', () => {
  // ATTACKS 99. Flux CVE-2026-23990: claims that came to nothing were somebody all the same.
  test('nothing', async () => {
    for (const sub of [undefined, null, '', ' ', '\u0000', [], ['u-1001'], 1001, true]) {
      expect(await refusalOf(authenticate({ sub }))).toEqual(refused('sub is no name'))
    }
  })

  // ATTACKS 100. Coder CVE-2026-55076 and CVE-2026-55075, PocketBase CVE-2024-38351: an address
  // nobody had verified, or verified as a text, was an identity.
  test("by Maya's address, which nobody verified", async () => {
    for (const verified of [undefined, null, false, 'true', 'false', 1, {}, [true]]) {
      const { identity } = await authenticate({
        email: 'maya@example.com',
        email_verified: verified,
      })
      expect(identity).not.toHaveProperty('email')
      expect(identity).toMatchObject({ subject: 'm-1', name: 'm-1' })
    }
  })

  // ATTACKS 101. oauth2-proxy CVE-2026-40574, Coder CVE-2024-27918: the domain was looked for at
  // the wrong `@`.
  test('by an address with two domains', async () => {
    for (const email of ['m@evil.example@example.com', '"m@example.com"@evil.example']) {
      const { identity } = await authenticate({ email, email_verified: true })
      expect(identity).not.toHaveProperty('email')
    }
    const { identity } = await authenticate({
      email: 'm@example.com.evil.example',
      email_verified: true,
    })
    expect(identity.email).toBe('m@example.com.evil.example')
  })

  // ATTACKS 104. Groups of a shape we do not know are none, and the log can tell why.
  test('a member of groups in one long text', async () => {
    const { identity } = await authenticate({ groups: 'platform,admins' })
    expect(identity).toMatchObject({ groups: [], groupsProblem: 'not_a_list_of_strings' })
  })

  // ATTACKS 102. nOAuth: the name a person chose for themselves is not who they are.
  test('maya, by the name that is shown', async () => {
    const { identity } = await authenticate({ preferred_username: 'maya' })
    expect(identity).toMatchObject({ subject: 'm-1', name: 'maya' })
  })
})

describe("Mallory's token never ends", () => {
  // ATTACKS 89. ZITADEL GO-2026-5732: a token without an end, or one past its end, was good.
  test('as its end is missing, in milliseconds, a text, or past the leeway', async () => {
    const now = clock().getTime() / 1000
    for (const exp of [undefined, null, '', 'never', (now + 9) * 1000, -1, [now + 9]]) {
      expect((await refusalOf(authenticate({ exp }))).code).toBe('invalid_token')
    }
    for (const exp of [now - 60, now - 61, now - 3600]) {
      expect(await refusalOf(authenticate({ exp }))).toEqual(refused('exp has passed'))
    }
  })
})
