import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MembershipQuestion, Memberships } from '../../src/identity/index.ts'
import type { Policy } from '../../src/policy/index.ts'
import { ask, decide, github, issuer, load, member, noon, oidc, rule, rules } from './kit.ts'

const web = ask('web-1', 'deploy')
const everyone = { deny: 'not now', who: ['everyone'], hosts: ['*'], logins: ['*'] }

const list = (policy: Policy, identity = github('1'), wanted = web): readonly string[] =>
  policy
    .listQuestions(identity, wanted, noon)
    .map(({ kind: _, ...question }) => Object.values(question).join('/'))

describe('what is asked of GitHub', () => {
  test('is what a rule that could match needs, once each, in lower case', () => {
    const policy = load(
      rules(
        rule('a', { who: [{ github: { team: 'Acme/platform' } }, { github: { org: 'acme' } }] }),
        rule('b', {
          who: [{ github: { org: 'ACME' } }, { github: { org: 'other', team: 'acme/ops' } }],
        }),
        rule('c', {
          who: [{ github: { orgId: '815' } }, { github: { orgId: '815', teamId: '4711' } }],
        }),
      ),
    )
    const asked = ['acme/platform', 'acme', 'other', 'acme/ops', '815', '815/4711']
    expect(list(policy)).toEqual(asked)
  })

  test.each<[string, Record<string, unknown>]>([
    ['another host', { hosts: ['web-2'] }],
    ['another login', { logins: ['root'] }],
    ['another time', { when: { through: '2026-01-01', zone: 'UTC' } }],
    ['another person', { who: [{ github: { id: '2', org: 'acme' } }] }],
    ['another app', { who: [{ github: { app: 'x', org: 'acme' } }] }],
    ['another server', { who: [{ github: { server: 'ghe.example.com', org: 'acme' } }] }],
  ])('leaves out rules for %s', (_name, more) => {
    expect(list(load(rules(rule('a', { who: [{ github: { org: 'acme' } }], ...more }))))).toEqual(
      [],
    )
  })

  test('is nothing for an identity that is not GitHub’s', () => {
    const policy = load(rules(rule('a', { who: [{ github: { org: 'acme' } }] })))
    expect(list(policy, oidc('1', { issuer: 'https://github.com' }))).toEqual([])
  })

  test('goes to the server the identity is of', () => {
    const who = [{ github: { server: 'ghe.example.com', org: 'acme' } }]
    const policy = load(rules(rule('a', { who })))
    expect(list(policy, github('1', { issuer: 'https://ghe.example.com' }))).toEqual(['acme'])
  })

  test('stops where the answer is known already', () => {
    const certain = rule('sure', { who: [{ github: { id: '1' } }] })
    const open = rule('open', { who: [{ github: { org: 'acme' } }] })
    expect(list(load(rules(certain, open)))).toEqual([])
    expect(list(load(rules(open, certain)))).toEqual(['acme'])
    expect(list(load(rules(rule('cut', everyone), open)))).toEqual([])
  })

  test('includes whom a deny rule excepts', () => {
    const except = [{ github: { team: 'acme/oncall' } }]
    const policy = load(rules(rule('cut', { ...everyone, except }), rule('a')))
    expect(list(policy)).toEqual(['acme/oncall'])
    const spared = load(
      rules(rule('cut', { ...everyone, except: [{ github: { id: '1' } }, ...except] })),
    )
    expect(list(spared)).toEqual([])
  })

  test('looks into identities', () => {
    const text = 'identities: { ops: [{ github: { team: acme/ops } }] }\n'
    expect(list(load(text + rules(rule('a', { who: [{ identities: 'ops' }] }))))).toEqual([
      'acme/ops',
    ])
  })
})

describe('the answers to what was asked', () => {
  const who = fc.array(
    fc.constantFrom(
      { github: { id: '1' } },
      { github: { id: '2' } },
      { github: { org: 'acme' } },
      { github: { org: 'acme', orgId: '9' } },
      { github: { orgId: '9' } },
      { github: { orgId: '7', teamId: '5' } },
      { github: { team: 'acme/ops' } },
      { github: { id: '1', team: 'acme/dev' } },
      { github: { org: 'other', team: 'acme/ops' } },
      { oidc: { issuer, subject: 'u' } },
    ),
    { minLength: 1, maxLength: 3 },
  )
  const hosts = fc.constantFrom(['web-1'], ['web-*'], ['web-2'], ['*'])
  const allow = fc.record({ who, hosts }).map((parts) => parts)
  const deny = fc.record({ who, except: who, hosts }).map((parts) => ({ ...parts, deny: 'no' }))
  const membership = fc.subarray(['acme', 'acme=9', 'acme/ops', 'acme/ops=5', 'acme/dev', 'other'])

  test('decide what knowing everything would decide', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(allow, deny), { maxLength: 6 }), membership, (parts, paths) => {
        const policy = load(rules(...parts.map((part, at) => rule(`r${at}`, part))))
        const known = member(...paths)
        const asked = policy.listQuestions(github('1'), web, noon)
        const all = decide(policy, github('1'), web, { memberships: known })
        const some = decide(policy, github('1'), web, { memberships: answer(asked, known) })
        expect(some.kind).toBe(all.kind)
        if (all.kind === 'allow') expect(some).toEqual(all)
      }),
      { numRuns: 400 },
    )
  })
})

const answer = (
  asked: readonly MembershipQuestion[],
  { orgs, teams }: Memberships,
): Memberships => ({
  orgs: orgs.filter(({ login, id }) =>
    asked.some(
      (one) =>
        (one.kind === 'org' && one.org === login) || (one.kind === 'orgId' && one.orgId === id),
    ),
  ),
  teams: teams.filter(({ org, orgId, slug, id }) =>
    asked.some(
      (one) =>
        (one.kind === 'team' && one.org === org && one.team === slug) ||
        (one.kind === 'teamId' && one.orgId === orgId && one.teamId === id),
    ),
  ),
})
