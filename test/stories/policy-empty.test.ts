import { describe, expect, test } from 'vitest'
import { ask, check, decide, load, oidc, rule, rules, staff } from '../policy/kit.ts'

/**
 * CVE-2024-7594: an SSH role whose list of allowed principals was left empty signed certificates for
 * any principal. Here a restriction that is missing, null or empty is either a mistake that stops the load
 * or nothing at all; it is never "any".
 */
describe('an empty restriction', () => {
  const lists = [
    'who',
    'hosts',
    'logins',
    'principals',
    'extensions',
    'sourceAddresses',
    'commands',
    'when',
  ]

  test.each(
    lists.flatMap((key) => [
      [key, null],
      [key, []],
      [key, {}],
      [key, ''],
      [key, [null]],
      [key, ['']],
    ]),
  )('%s: %j stops the load [ATTACKS 144]', (key, value) => {
    expect(check(rules(rule('a', { [String(key)]: value }))).length).toBeGreaterThan(0)
  })

  test.each(['who', 'hosts', 'logins', 'ttl'])(
    'a rule without %s stops the load [ATTACKS 144]',
    (key) => {
      const problems = check(rules(rule('a', { [key]: undefined })))
      expect(problems).toEqual([`policy.yaml:2:5: "${key}" is missing`])
    },
  )

  test('an identity of nothing is let in by nothing', () => {
    const nobody = oidc('', { groups: [''], claims: { a: '' }, client: '' })
    const policy = load(
      rules(
        rule('a', {
          who: [{ oidc: { issuer: 'https://idp.example.com', subject: 'u', client: 'c' } }],
        }),
        rule('b', { who: [{ oidc: { issuer: 'https://idp.example.com', claims: { a: 'x' } } }] }),
      ),
    )
    expect(decide(policy, nobody, ask('web-1', 'deploy')).kind).toBe('deny')
  })

  test('an empty policy lets nobody in, whoever asks for whatever [ATTACKS 145]', () => {
    const policy = load({})
    for (const login of ['root', 'deploy']) {
      expect(decide(policy, staff, ask('web-1', login)).kind).toBe('deny')
    }
    expect(policy.ruleCount).toBe(0)
  })
})
