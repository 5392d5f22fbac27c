import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPool, type Pool } from '../../src/identity/index.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from '../identity/setup.ts'

/**
 * Mallory sends a lot. golang-jwt CVE-2025-30204, Fulcio CVE-2025-66506, oauth2 CVE-2025-22868: a
 * token of many dots was split into as many pieces before anybody looked at it.
 */
const clock = createTestClock()
let fake: OidcIssuer
let pool: Pool
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
  pool = createPool([createTestProvider(fake, clock)])
})
afterAll(() => fake.close())

const texts: readonly [string, string, string][] = [
  ['a megabyte', 'a'.repeat(1_000_000), 'longer than 16 KiB'],
  ['a hundred thousand dots', '.'.repeat(100_000), 'longer than 16 KiB'],
  ['sixteen thousand dots', '.'.repeat(16_000), 'no configured provider claims it'],
  ['one letter and a dot, over and over', 'a.'.repeat(8_000), 'no configured provider claims it'],
  ['one long segment', 'a'.repeat(16_384), 'no configured provider claims it'],
  [
    'three long segments',
    `${'a'.repeat(5_000)}.`.repeat(3).slice(0, -1),
    'no configured provider claims it',
  ],
]

// ATTACKS 110
test.each(texts)('a token of %s is refused, and holds nobody up', async (_what, token, detail) => {
  const runs = 100
  const started = performance.now()
  for (let at = 0; at < runs; at++) {
    expect(await refusalOf(pool.authenticate(token))).toEqual(refused(detail))
  }
  // A hundredfold of what quadratic work on these lengths would leave.
  expect((performance.now() - started) / runs).toBeLessThan(50)
})

// ATTACKS 110
test('a token of hundreds of groups is read whole', async () => {
  const groups = Array.from({ length: 500 }, (_, at) => `group-${at}`)
  const { identity } = await pool.authenticate(await fake.mint({ groups }))
  expect(identity.groups).toEqual(groups)
})
