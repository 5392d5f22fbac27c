import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isHostName, isLogin, isPrincipal } from '../../src/lib/names.ts'
import { ask, check, decide, load, rule, rules, staff } from '../policy/kit.ts'

/**
 * A template filled with what a person says of themselves, and split on commas afterwards, gave that
 * person any principal they liked (hashicorp/vault 16622). Another authority dropped the
 * characters it did not like, and made one account of two people. Here a template knows the login and
 * the host of the ask alone, both already canonical; nothing is ever split or dropped.
 */
describe('a principal made from a template', () => {
  const login = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '.', '0') }).filter(isLogin)
  const host = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '0') }).filter(isHostName)

  test('is one principal, and of no other login or host [ATTACKS 152, 153]', () => {
    for (const template of ['{login}@{host}', '{host}:{login}', 'ops@{login}:{host}']) {
      const grantFor = (name: string, at: string) => {
        const policy = load(
          rules(rule('a', { hosts: [at], logins: [name], principals: [template] })),
        )
        const decision = decide(policy, staff, ask(at, name))
        return decision.kind === 'allow' ? decision.grant.principals : []
      }
      fc.assert(
        fc.property(login, host, login, host, (name, at, otherName, otherAt) => {
          const [principal = '', ...more] = grantFor(name, at)
          expect(more).toEqual([])
          expect(isPrincipal(principal)).toBe(true)
          if (name === otherName && at === otherAt) return
          expect(grantFor(otherName, otherAt)).not.toContain(principal)
        }),
        { numRuns: 60 },
      )
    }
  })

  test('is never a bare login, unless its rule says that it opens the whole fleet', () => {
    expect(check(rules(rule('a', { hosts: ['*'], principals: ['{host}'] })))).toHaveLength(1)
    expect(check(rules(rule('a', { hosts: ['*'], principals: ['root'] })))).toHaveLength(1)
    const policy = load(rules(rule('a', { principals: ['{login}'], fleetWide: true })))
    expect(decide(policy, staff, ask('web-1', 'deploy'))).toMatchObject({
      grant: { principals: ['deploy'] },
    })
  })

  test('is refused where it would be too long, and not cut [ATTACKS 152]', () => {
    const long = `${'a'.repeat(63)}.`.repeat(3) + 'a'.repeat(61)
    const policy = load(
      rules(rule('a', { hosts: [long], principals: [`${'x'.repeat(40)}@{host}`] })),
    )
    expect(decide(policy, staff, ask(long, 'deploy'))).toMatchObject({
      kind: 'deny',
      reason: 'The host name is too long for the principal it needs.',
    })
  })
})
