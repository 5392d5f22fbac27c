import { describe, expect, test } from 'vitest'
import { ask, check, load, rule, rules, say, staff } from '../policy/kit.ts'

/**
 * CVE-2022-22772 and its kin: an expression that was not anchored, or a dot that stood for any
 * character, let `corp.com.evil.example` in where `corp.com` was meant; another kept a server busy for
 * hours. Here there are names and anchored `*` and `?`, and nothing else.
 */
describe('a host that only looks allowed', () => {
  const policy = load(
    rules(
      rule('names', { hosts: ['db.corp.example'] }),
      rule('patterns', { hosts: ['web-*.corp.example'] }),
    ),
  )

  test.each(['db.corp.example', 'web-1.corp.example', 'web-a-b.corp.example'])(
    '%s is allowed',
    (host) => {
      expect(say(policy, staff, ask(host, 'deploy'))).toMatch(/^(names|patterns)$/)
    },
  )

  test.each([
    'db.corp.example.evil.example',
    'evil-db.corp.example',
    'dbxcorp.example',
    'db.corpxexample',
    'web-1.corp.example.evil.example',
    'web-1.evil.corp.example',
    'web-evil.example.corp.example',
    'web-1.corpxexample',
    'aweb-1.corp.example',
    'web-1',
  ])('%s is not [ATTACKS 150, 151]', (host) => {
    expect(say(policy, staff, ask(host, 'deploy'))).toBe(
      `no: No rule lets you log in to ${host} as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.`,
    )
  })

  test.each([
    '^web.*$',
    '(a+)+$',
    '.*',
    'web-[0-9]',
    'web-\\d',
    '/web/',
    'a|b',
    'web-{1,2}',
    'org/*',
    'a:*',
    'a@*',
  ])('%s is no pattern [ATTACKS 150, 151]', (pattern) => {
    expect(check(rules(rule('a', { hosts: [pattern] })))).toHaveLength(1)
  })
})
