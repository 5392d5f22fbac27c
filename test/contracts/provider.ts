import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Provider } from '../../src/identity/index.ts'
import { readJwt } from '../../src/identity/oidc/jwt.ts'
import { listMisbehaviours, type Misbehaviour } from '../fakes/http.ts'
import { refusalOf, refusedMessage, type TestClock, unavailableMessage } from '../identity/setup.ts'

/** What the suite needs of a provider and the server behind it. */
export interface ProviderHarness {
  readonly clock: TestClock
  /** A provider that remembers nothing. */
  createProvider(): Provider
  /** A good token of one of two people, whose names differ; it lives for five minutes. */
  mintFor(person: 'maya' | 'sam'): Promise<string>
  /** Tokens the provider claims and must refuse, by what is wrong with them. */
  listBadTokens(): Promise<Readonly<Record<string, string>>>
  /** Tells the server to answer wrongly, or well again. */
  trouble(how: Misbehaviour | undefined): void
  /** How many requests the server has had. */
  countRequests(): number
  close(): Promise<void>
}

/** Waiting for the deadline takes seconds: a story of its own does. */
const quickTroubles = listMisbehaviours().filter((how) => how !== 'stall' && how !== 'drip')

const isDeeplyFrozen = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  value instanceof Date ||
  (Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen))

/** Who it is, or why not. */
const outcomeOf = async (caller: ReturnType<Provider['authenticate']>) =>
  caller.then(
    ({ identity }) => identity,
    () => refusalOf(caller),
  )

/** The promises of identity/index.ts, for every implementation. */
export const describeProvider = (name: string, open: () => Promise<ProviderHarness>): void => {
  describe(`${name} as a Provider`, () => {
    let harness: ProviderHarness
    beforeAll(async () => {
      harness = await open()
    })
    afterAll(() => harness.close())

    test('claims its own tokens and no other text, without a network call', async () => {
      const provider = harness.createProvider()
      const token = await harness.mintFor('maya')
      const before = harness.countRequests()
      expect(provider.claims(token)).toBe(true)
      for (const text of ['', '.', '..', '...', 'null', '\u0000', '\ud800', 'x'.repeat(100_000)]) {
        expect(provider.claims(text)).toBe(false)
      }
      fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !provider.claims(text)))
      expect(harness.countRequests()).toBe(before)
    })

    test('makes a frozen Identity in which nothing of the token is left', async () => {
      const token = await harness.mintFor('maya')
      const caller = await harness.createProvider().authenticate(token)
      expect(isDeeplyFrozen(caller.identity)).toBe(true)
      expect(caller.identity.name).toBe('maya')
      expect(caller.identity.subject).not.toBe('')
      expect(caller.identity.issuer).toMatch(/^http:/)
      const text = JSON.stringify(caller)
      for (const part of token.split('.')) expect(text).not.toContain(part)
    })

    test('refuses each bad token with the same message, and repeats nothing of it', async () => {
      const provider = harness.createProvider()
      for (const [what, token] of Object.entries(await harness.listBadTokens())) {
        expect(provider.claims(token), what).toBe(true)
        const refusal = await refusalOf(provider.authenticate(token))
        expect(refusal, what).toMatchObject({ code: 'invalid_token', message: refusedMessage })
        expect(refusal.detail, what).toMatch(/./)
        for (const part of token.split('.')) {
          expect(JSON.stringify(refusal), what).not.toContain(part)
        }
      }
    })

    test('says of a token that was read before what it says of its text', async () => {
      const provider = harness.createProvider()
      const bad = Object.values(await harness.listBadTokens())
      for (const token of [await harness.mintFor('maya'), await harness.mintFor('sam'), ...bad]) {
        const jwt = readJwt(token)
        // What has no issuer by which it is found has no use for one.
        expect(typeof jwt === 'string').toBe(provider.issuer === undefined)
        expect(provider.authenticateJwt === undefined).toBe(provider.issuer === undefined)
        if (typeof jwt === 'string' || provider.authenticateJwt === undefined) continue
        const [read, whole] = await Promise.all([
          outcomeOf(provider.authenticateJwt(jwt)),
          outcomeOf(provider.authenticate(token)),
        ])
        expect(read).toEqual(whole)
      }
    })

    test('refuses a token that has ended, at the latest a minute later', async () => {
      const provider = harness.createProvider()
      const token = await harness.mintFor('maya')
      harness.clock.advance(299)
      const { identity } = await provider.authenticate(token)
      harness.clock.advance(1)
      expect(identity.expiresAt).toEqual(harness.clock())
      harness.clock.advance(60)
      expect(await refusalOf(provider.authenticate(token))).toMatchObject({
        code: 'invalid_token',
        message: refusedMessage,
      })
    })

    test.each(quickTroubles)(
      'is unavailable, not refusing, when the server answers: %s',
      async (how) => {
        const token = await harness.mintFor('maya')
        harness.trouble(how)
        try {
          const refusal = await refusalOf(harness.createProvider().authenticate(token))
          expect(refusal).toMatchObject({ code: 'idp_unavailable', message: unavailableMessage })
          expect(refusal.retryAfter).toBeGreaterThan(0)
          expect(JSON.stringify(refusal)).not.toContain('upstream-secret')
          expect(JSON.stringify(refusal)).not.toContain(token)
          const check = await harness.createProvider().check()
          expect(check).toEqual({ ok: false, reason: expect.stringMatching(/./) })
        } finally {
          harness.trouble(undefined)
        }
      },
    )

    test('never mixes up two people who ask at once', async () => {
      const provider = harness.createProvider()
      const people = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? 'maya' : 'sam'))
      const names = await Promise.all(
        people.map(async (person) => {
          const caller = await provider.authenticate(await harness.mintFor(person))
          return caller.identity.name
        }),
      )
      expect(names).toEqual(people)
    })

    test('asks nothing where no question is asked', async () => {
      const caller = await harness.createProvider().authenticate(await harness.mintFor('maya'))
      const before = harness.countRequests()
      expect(await caller.findMemberships([])).toEqual({ orgs: [], teams: [] })
      expect(harness.countRequests()).toBe(before)
    })

    test('says that it could authenticate now', async () => {
      expect(await harness.createProvider().check()).toEqual({ ok: true })
    })
  })
}
