import { describe, expect, test } from 'vitest'
import { listOwnQuestions, listOwnRules } from '../../src/policy/own-rules.ts'
import { github, load, member, none, oidc, rule, rules, staff } from './kit.ts'

const policy = load(
  rules(
    rule('platform', { who: [{ github: { team: 'acme/platform' } }], logins: ['deploy', 'root'] }),
    rule('one', { who: [{ github: { id: '2', org: 'acme' } }] }),
    rule('again', { who: [{ github: { team: 'acme/platform' } }], hosts: ['db-*'] }),
    rule('never', { deny: 'not now', who: ['everyone'], hosts: ['vault'], logins: ['*'] }),
    rule('staff'),
    rule('own', { logins: [{ claim: 'unix_name' }] }),
  ),
)

describe('the rules that name somebody', () => {
  test('take a question each to GitHub, of rules that could name them alone', () => {
    expect(listOwnQuestions(policy, github('1'))).toEqual([
      { kind: 'team', org: 'acme', team: 'platform' },
    ])
    expect(listOwnQuestions(policy, staff)).toEqual([])
  })

  test('are those whose team they are in', () => {
    const list = (...teams: readonly string[]) =>
      listOwnRules(policy, github('1'), member(...teams)).map((own) => own.rule)
    expect(list('acme/platform')).toEqual(['platform', 'again'])
    expect(list('acme/sales')).toEqual([])
  })

  test('name a login once that is theirs twice over', () => {
    const both = load(rules(rule('both', { logins: ['deploy', { claim: 'unix_name' }] })))
    const identity = oidc('u-1', { groups: ['staff'], claims: { unix_name: 'deploy' } })
    expect(listOwnRules(both, identity, none).map(({ logins }) => logins)).toEqual([['deploy']])
  })

  test('name the logins of their own token, and none where it has none', () => {
    const list = (claims: Record<string, string>) =>
      listOwnRules(policy, oidc('u-1', { groups: ['staff'], claims }), none).map(
        ({ rule: name, logins }) => `${name}: ${logins.join()}`,
      )
    expect(list({ unix_name: 'maya' })).toEqual(['staff: deploy', 'own: maya'])
    expect(list({})).toEqual(['staff: deploy'])
    // No ask can name it.
    expect(list({ unix_name: 'Maya Example' })).toEqual(['staff: deploy'])
  })
})
