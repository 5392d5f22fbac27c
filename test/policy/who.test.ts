import { describe, expect, test } from 'vitest'
import type { Identity, Memberships } from '../../src/identity/index.ts'
import { explain } from '../../src/policy/explain.ts'
import { listReach } from '../../src/policy/reach.ts'
import {
  ask,
  check,
  decide,
  github,
  issuer,
  load,
  member,
  none,
  noon,
  oidc,
  rule,
  rules,
  say,
} from './kit.ts'

const web = ask('web-1', 'deploy')
const actions = 'https://token.actions.githubusercontent.com'
const gitlab = 'https://gitlab.com'

const isAllowed = (who: unknown, identity: Identity, memberships: Memberships = none): boolean =>
  decide(load(rules(rule('a', { who: [who] }))), identity, web, { memberships }).kind === 'allow'

describe('a GitHub entry', () => {
  test.each<[string, Record<string, unknown>, Identity, boolean]>([
    ['the id', { id: '583231' }, github('583231'), true],
    [
      'the id, whatever the login is now',
      { id: '583231', login: 'maya' },
      github('583231', { name: 'renamed' }),
      true,
    ],
    [
      'no one who took the login over',
      { id: '583231', login: 'maya' },
      github('999', { name: 'maya' }),
      false,
    ],
    ['no id that only starts so', { id: '583231' }, github('5832310'), false],
    [
      'the id at github.com only',
      { id: '1' },
      github('1', { issuer: 'https://ghe.example.com' }),
      false,
    ],
    [
      'the id at its own server',
      { id: '1', server: 'ghe.example.com' },
      github('1', { issuer: 'https://ghe.example.com' }),
      true,
    ],
    [
      'no one of github.com for another server',
      { id: '1', server: 'ghe.example.com' },
      github('1'),
      false,
    ],
    [
      'no server that only ends so',
      { id: '1', server: 'example.com' },
      github('1', { issuer: 'https://ghe.example.com' }),
      false,
    ],
    [
      'a server with its port',
      { id: '1', server: '127.0.0.1:8443' },
      github('1', { issuer: 'http://127.0.0.1:8443' }),
      true,
    ],
    [
      'the app that minted the token',
      { id: '1', app: 'Iv1.abc' },
      github('1', { client: 'Iv1.abc' }),
      true,
    ],
    ['no other app', { id: '1', app: 'Iv1.abc' }, github('1', { client: 'Iv1.xyz' }), false],
    ['no unknown app', { id: '1', app: 'Iv1.abc' }, github('1'), false],
    [
      'no OIDC subject of the same digits',
      { id: '1' },
      oidc('1', { issuer: 'https://github.com' }),
      false,
    ],
  ])('names %s [ATTACKS 121, 125]', (_name, entry, identity, expected) => {
    expect(isAllowed({ github: entry }, identity)).toBe(expected)
  })

  test.each<[string, Record<string, unknown>, Memberships, boolean]>([
    ['a member of the org', { org: 'acme' }, member('acme'), true],
    ['a member of the org, however it is written', { org: 'Acme' }, member('ACME'), true],
    ['a member of the org with that id', { org: 'acme', orgId: '7' }, member('acme=7'), true],
    [
      'no member of an org that took the name over',
      { org: 'acme', orgId: '7' },
      member('acme=8'),
      false,
    ],
    ['a member of the org by its id alone', { orgId: '7' }, member('other=7'), true],
    ['no member of an org of another id', { orgId: '7' }, member('acme=8'), false],
    ['a member of the team by ids alone', { orgId: '7', teamId: '9' }, member('a/b=9'), true],
    ['no member of another team', { orgId: '7', teamId: '9' }, member('a/b=8', 'a=7'), false],
    ['no team of another org', { orgId: '8', teamId: '9' }, member('a/b=9', 'a=8'), false],
    ['no member of an org that starts so', { org: 'acme' }, member('acme-evil'), false],
    ['nobody without memberships', { org: 'acme' }, none, false],
    ['a member of the team', { team: 'acme/platform' }, member('acme/platform'), true],
    [
      'a member of the team with both ids',
      { team: 'acme/platform', teamId: '9', orgId: '7' },
      member('acme/platform=9'),
      true,
    ],
    [
      'no member of a team that took the slug over',
      { team: 'acme/platform', teamId: '9' },
      member('acme/platform=10'),
      false,
    ],
    [
      'no member of a team in an org that took the name over',
      { team: 'acme/platform', orgId: '8' },
      member('acme/platform'),
      false,
    ],
    [
      'no member of the org outside the team',
      { team: 'acme/platform' },
      member('acme', 'acme/other'),
      false,
    ],
    [
      'no member of a team of that name elsewhere',
      { team: 'acme/platform' },
      member('evil/platform'),
      false,
    ],
    ['no member of a team below it', { team: 'acme/platform' }, member('acme/platform-sub'), false],
    ['who is in both', { org: 'acme', team: 'other/ops' }, member('acme', 'other/ops'), true],
    ['no one who is in one of two', { org: 'acme', team: 'other/ops' }, member('acme'), false],
    ['the id and the org together', { id: '1', org: 'acme' }, member('acme'), true],
    ['not the org without the id', { id: '2', org: 'acme' }, member('acme'), false],
  ])('names %s [ATTACKS 122, 123]', (_name, entry, memberships, expected) => {
    expect(isAllowed({ github: entry }, github('1'), memberships)).toBe(expected)
  })
})

describe('an OIDC entry', () => {
  const named = (subject: string, more: Partial<Identity> = {}) => oidc(subject, more)

  test.each<[string, Record<string, unknown>, Identity, boolean]>([
    ['the subject', { subject: 'u-1' }, named('u-1'), true],
    ['no subject that starts so', { subject: 'u-1' }, named('u-10'), false],
    [
      'no subject of another issuer',
      { subject: 'u-1' },
      named('u-1', { issuer: 'https://idp.example.com/' }),
      false,
    ],
    [
      'the verified address',
      { email: 'maya@vendor.example' },
      named('m', { email: 'maya@vendor.example' }),
      true,
    ],
    [
      'no unverified one, which never gets here',
      { email: 'maya@vendor.example' },
      named('m', { name: 'maya@vendor.example', claims: { email: 'maya@vendor.example' } }),
      false,
    ],
    [
      'no address below it',
      { email: 'maya@vendor.example' },
      named('m', { email: 'maya@vendor.example.evil.example' }),
      false,
    ],
    ['a group', { groups: ['staff', 'ops'] }, named('u', { groups: ['ops'] }), true],
    [
      'no group in another case',
      { groups: ['ops'] },
      named('u', { groups: ['Ops', 'ops '] }),
      false,
    ],
    ['the client', { subject: 'u', client: 'backend' }, named('u', { client: 'backend' }), true],
    ['no other client', { subject: 'u', client: 'backend' }, named('u', { client: 'web' }), false],
    [
      'all keys at once',
      { subject: 'u', groups: ['ops'] },
      named('u', { groups: ['staff'] }),
      false,
    ],
    ['a claim', { claims: { team: 'a' } }, named('u', { claims: { team: 'a' } }), true],
    [
      'a claim of several values',
      { claims: { team: ['a', 'b'] } },
      named('u', { claims: { team: 'b' } }),
      true,
    ],
    [
      'one of a claim that is a list',
      { claims: { team: 'b' } },
      named('u', { claims: { team: ['a', 'b'] } }),
      true,
    ],
    [
      'all claims at once',
      { claims: { team: 'a', level: 2 } },
      named('u', { claims: { team: 'a', level: 3 } }),
      false,
    ],
    ['a number as a number', { claims: { level: 2 } }, named('u', { claims: { level: 2 } }), true],
    [
      'no number written as text',
      { claims: { level: 2 } },
      named('u', { claims: { level: '2' } }),
      false,
    ],
    [
      'a truth as a truth',
      { claims: { admin: true } },
      named('u', { claims: { admin: true } }),
      true,
    ],
    [
      'no truth written as text',
      { claims: { admin: true } },
      named('u', { claims: { admin: 'true' } }),
      false,
    ],
    ['no missing claim', { claims: { team: 'a' } }, named('u'), false],
    ['nothing every object has', { claims: { toString: 'a' } }, named('u'), false],
  ])('names %s', (_name, entry, identity, expected) => {
    expect(isAllowed({ oidc: { issuer, ...entry } }, identity)).toBe(expected)
  })

  // What a CI job's token says is compared claim by claim, whole, with its type.
  const push = {
    repository_id: '123456',
    repository_owner_id: '42',
    repository: 'acme/web',
    ref: 'refs/heads/main',
    ref_type: 'branch',
    event_name: 'push',
    environment: 'prod%3Aeu',
    job_workflow_ref: 'acme/ci/.github/workflows/deploy.yml@refs/heads/main',
    actor: 'maya',
  }

  test.each<[string, Record<string, unknown>, Record<string, string>, boolean]>([
    [
      'a push to main',
      { repository_id: '123456', ref: 'refs/heads/main', event_name: 'push' },
      {},
      true,
    ],
    [
      'no other event',
      { repository_id: '123456', event_name: ['push', 'workflow_dispatch'] },
      { event_name: 'pull_request' },
      false,
    ],
    [
      'no pull request of a fork',
      { repository_id: '123456', event_name: 'push' },
      { event_name: 'pull_request_target' },
      false,
    ],
    [
      'no run set off by another workflow',
      { repository_id: '123456', event_name: 'push' },
      { event_name: 'workflow_run' },
      false,
    ],
    [
      'no repository that took the name over',
      { repository_id: '123456', repository: 'acme/web' },
      { repository_id: '9' },
      false,
    ],
    [
      'an environment with its colon as it comes',
      { repository_id: '123456', environment: 'prod%3Aeu' },
      {},
      true,
    ],
    ['no part of an environment', { repository_id: '123456', environment: 'prod' }, {}, false],
    [
      'no tag named like the branch',
      { repository_id: '123456', ref: 'refs/heads/main', ref_type: 'branch' },
      { ref_type: 'tag' },
      false,
    ],
    [
      'no ref of a tag',
      { repository_id: '123456', ref: 'refs/heads/main' },
      { ref: 'refs/tags/main' },
      false,
    ],
    [
      'the reusable workflow it pins',
      { repository_id: '123456', job_workflow_ref: push.job_workflow_ref },
      {},
      true,
    ],
    [
      'no other reusable workflow',
      { repository_id: '123456', job_workflow_ref: push.job_workflow_ref },
      { job_workflow_ref: 'evil/ci/.github/workflows/deploy.yml@refs/heads/main' },
      false,
    ],
    [
      'no part of one',
      { repository_id: '123456', job_workflow_ref: 'acme/ci/.github/workflows/deploy.yml' },
      {},
      false,
    ],
  ])('names, of a CI job, %s [ATTACKS 129–133]', (_name, claims, more, expected) => {
    const identity = oidc('repo:acme/web:ref:refs/heads/main', {
      issuer: actions,
      claims: { ...push, ...more },
    })
    expect(isAllowed({ oidc: { issuer: actions, claims } }, identity)).toBe(expected)
  })

  test.each(['repo:acme/*', 'repo:acme/web:*', '*', 'repo:acme/web:ref:refs/heads/mai?'])(
    'takes the subject %s at its word, as no pattern [ATTACKS 129]',
    (subject) => {
      const identity = oidc('repo:acme/web:ref:refs/heads/main', { issuer: actions })
      expect(isAllowed({ oidc: { issuer: actions, subject } }, identity)).toBe(false)
    },
  )

  test.each<[string, Record<string, unknown>, Record<string, string>, boolean]>([
    ['a project by its id', { project_id: '20', ref_protected: 'true' }, {}, true],
    [
      'no project that took the path over',
      { project_id: '20', project_path: 'a/b' },
      { project_id: '21' },
      false,
    ],
    ['no path that starts so', { project_path: 'a/b' }, { project_path: 'a/bc' }, false],
    [
      'no unprotected ref',
      { project_id: '20', ref_protected: 'true' },
      { ref_protected: 'false' },
      false,
    ],
    [
      'no user who took the login over',
      { project_id: '20', user_id: '7' },
      { user_id: '8' },
      false,
    ],
  ])('names, of a GitLab job, %s [ATTACKS 135]', (_name, claims, more, expected) => {
    const job = {
      project_id: '20',
      project_path: 'a/b',
      ref_protected: 'true',
      user_id: '7',
      user_login: 'maya',
      ...more,
    }
    const identity = oidc('project_path:a/b:ref_type:branch:ref:main', {
      issuer: gitlab,
      claims: job,
    })
    expect(isAllowed({ oidc: { issuer: gitlab, claims } }, identity)).toBe(expected)
  })
})

const problem = (who: unknown, more: Record<string, unknown> = {}) =>
  check(rules(rule('a', { who, ...more }))).map((line) => line.replace(/^\S+: /, ''))

const entra = 'https://login.microsoftonline.com'

describe('a who that names nobody, or everybody, or someone by what they can change', () => {
  test.each<[unknown, string]>([
    [[], 'who: is an empty list, which grants nothing; name something or leave the key out'],
    [null, 'who: is empty: write a value, or leave the key out'],
    [['everyone'], 'who: everyone stands only in the who of a deny rule'],
    [['maya'], 'who: must be { identities: NAME }, { github: … } or { oidc: … }'],
    [[{}], 'who: must be { identities: NAME }, { github: … } or { oidc: … }, one to an entry'],
    [
      [{ github: { id: '1' }, oidc: { issuer, subject: 'u' } }],
      'who: must be { identities: NAME }, { github: … } or { oidc: … }, one to an entry',
    ],
    [[{ identities: 'nobody' }], 'identities: unknown name of identities "nobody"'],
    [
      [{ github: {} }],
      'github: names nobody: write an id, an org or a team; a server or an app alone is everyone there',
    ],
    [
      [{ github: { server: 'github.com', app: 'x' } }],
      'github: names nobody: write an id, an org or a team; a server or an app alone is everyone there',
    ],
    [
      [{ github: { login: 'maya' } }],
      'github: a login can be given up and taken by another: write the id of the user beside it',
    ],
    [[{ github: { id: 583231 } }], 'id: must stand in quotes: "583231"'],
    [[{ github: { id: 'maya' } }], 'id: must be a number in quotes, as "583231"'],
    [[{ github: { id: '0123' } }], 'id: must be a number in quotes, as "583231"'],
    [
      [{ github: { org: 'acme', teamId: '7' } }],
      "github: teamId needs the team's name beside it, or the orgId of its organisation",
    ],
    [
      [{ github: { id: '1', teamId: '7' } }],
      "github: teamId needs the team's name beside it, or the orgId of its organisation",
    ],
    [
      [{ github: { team: 'Acme Ops' } }],
      'team: must be ORG/SLUG as in the URL of the team, as acme/platform; not its display name',
    ],
    [
      [{ github: { team: 'acme/Ops!' } }],
      'team: must be ORG/SLUG as in the URL of the team, as acme/platform; not its display name',
    ],
    [[{ github: { org: 'acme/*' } }], "org: must be an organisation's login, as acme"],
    [
      [{ github: { id: '1', server: 'https://ghe.example.com' } }],
      'server: must be the host name of a GitHub server, as ghe.example.com',
    ],
    [[{ oidc: { subject: 'u' } }], 'oidc: "issuer" is missing'],
    [
      [{ oidc: { issuer } }],
      'oidc: an issuer is everyone it knows: add a subject, email, groups or claims',
    ],
    [
      [{ oidc: { issuer, client: 'backend' } }],
      'oidc: an issuer is everyone it knows: add a subject, email, groups or claims',
    ],
    [[{ oidc: { issuer, subject: '' } }], 'subject: is empty, which names nobody'],
    [
      [{ oidc: { issuer, groups: [] } }],
      'groups: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [[{ oidc: { issuer, groups: 'staff' } }], 'groups: must be a list, as [a, b]'],
    [[{ oidc: { issuer, claims: {} } }], 'claims: is empty; name a claim or leave it out'],
    [
      [{ oidc: { issuer, claims: { a: [] } } }],
      'a: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [
      [{ oidc: { issuer, claims: { a: '' } } }],
      'a: must be text, a whole number, true or false, or a list of them',
    ],
    [
      [{ oidc: { issuer, claims: { a: { b: 'c' } } } }],
      'a: must be text, a whole number, true or false, or a list of them',
    ],
    [
      [{ oidc: { issuer, claims: { a: 1.5 } } }],
      'a: must be text, a whole number, true or false, or a list of them',
    ],
    [
      [{ oidc: { issuer, claims: { email: 'a@b.example' } } }],
      'the claim email is not matched here: write email, which holds only where the issuer has verified it',
    ],
    [
      [{ oidc: { issuer, claims: { sub: 'u' } } }],
      'the claim sub is not matched here: write subject',
    ],
    [
      [{ oidc: { issuer, claims: { aud: 'postern' } } }],
      'the claim aud is not matched here: every accepted token has it',
    ],
    [
      [{ oidc: { issuer: 'http://idp.example.com', subject: 'u' } }],
      'issuer: must be an https URL',
    ],
    [
      [{ oidc: { issuer: 'https://good.example@evil.example', subject: 'u' } }],
      'issuer: must be a plain URL, without a user, query or fragment',
    ],
    [
      [{ oidc: { issuer: 'idp', subject: 'u' } }],
      'issuer: must be an issuer exactly as in its tokens, as https://idp.example.com',
    ],
  ])('%o is refused at load', (who, message) => {
    expect(problem(who)).toEqual([message])
  })

  test.each([
    ['583231', 'id: must stand in quotes: "583231"'],
    [
      '12345678901234567890',
      'id: must stand in quotes, with every digit: YAML rounds a number this long',
    ],
    ['1e3', 'id: must stand in quotes: "1000"'],
    ['"12345678901234567890"', 'id: must be a number in quotes, as "583231"'],
    ['-1', 'id: must stand in quotes, with every digit: YAML rounds a number this long'],
  ])('such as the id %s, which YAML may have changed [ATTACKS 149]', (id, message) => {
    const text = `rules: [{ name: a, who: [{ github: { id: ${id} } }], hosts: [a], logins: [b], ttl: 5m }]`
    expect(check(text).map((line) => line.replace(/^\S+: /, ''))).toEqual([message])
  })

  test.each(['common', 'organizations', 'consumers'])(
    'such as the Microsoft tenant %s, which is all tenants [ATTACKS 102]',
    (tenant) => {
      expect(problem([{ oidc: { issuer: `${entra}/${tenant}/v2.0`, subject: 'u' } }])).toEqual([
        "issuer: names every tenant at once: write the issuer with your tenant's id",
      ])
    },
  )

  test('such as an address at Microsoft, which a tenant may set as it likes [ATTACKS 102]', () => {
    const tenant = `${entra}/8f2e/v2.0`
    expect(problem([{ oidc: { issuer: tenant, email: 'a@corp.example' } }])).toEqual([
      'email: is no identity at Microsoft, where a tenant may set any: use the claim oid',
    ])
    expect(problem([{ oidc: { issuer: tenant, claims: { oid: 'x' } } }])).toEqual([])
  })

  test.each(['*@corp.com', '@corp.com', 'corp.com', 'a@b@corp.com', '"a"@corp.com', 'a@corp.com.'])(
    'such as the address %s: a domain is no address [ATTACKS 103]',
    (email) => {
      expect(problem([{ oidc: { issuer: 'https://accounts.google.com', email } }])).toEqual([
        'email: must be one whole address; for all of a domain write emailDomain',
      ])
    },
  )

  test.each(['actor', 'actor_id', 'triggering_actor'])(
    'such as the %s of a CI run [ATTACKS 134]',
    (name) => {
      const claims = { repository_id: '1', [name]: 'maya' }
      expect(problem([{ oidc: { issuer: actions, claims } }])).toEqual([
        `${name}: ${name} is whoever set the run off: name repository_id and ref or environment`,
      ])
    },
  )
})

describe('a login taken from a claim', () => {
  const policy = load(rules(rule('a', { logins: [{ claim: 'unix_name' }] })))
  const decideFor = (unixName: unknown, login: string) =>
    decide(
      policy,
      oidc('u', { groups: ['staff'], claims: { unix_name: unixName as string } }),
      ask('web-1', login),
    ).kind

  test.each<[unknown, string, string]>([
    ['maya', 'maya', 'allow'],
    ['maya', 'maya2', 'deny'],
    ['Maya', 'maya', 'deny'],
    ['maya ', 'maya', 'deny'],
    ['ma.ya', 'maya', 'deny'],
    ['maya@vendor.example', 'maya', 'deny'],
    ['maya,root', 'root', 'deny'],
    ['maya root', 'root', 'deny'],
    ['root', 'root', 'allow'],
    ['', 'root', 'deny'],
    ['*', 'root', 'deny'],
    [['maya', 'root'], 'root', 'deny'],
    [undefined, 'root', 'deny'],
    ['ｒｏｏｔ', 'root', 'deny'],
  ])('%o lets one in as %s: %s [ATTACKS 152, 153, 154]', (claim, login, kind) => {
    expect(decideFor(claim, login)).toBe(kind)
  })

  test('needs a who that comes with claims', () => {
    expect(problem([{ github: { id: '1' } }], { logins: [{ claim: 'x' }] })).toEqual([
      'logins: takes a claim, but nobody in who comes with claims',
    ])
    const mixed = [{ github: { id: '1' } }, { oidc: { issuer, groups: ['a'] } }]
    expect(problem(mixed, { logins: [{ claim: 'x' }] })).toEqual([])
  })

  test('is never a claim of GitHub’s, which has none', () => {
    const mixed = [{ github: { id: '1' } }, { oidc: { issuer, groups: ['a'] } }]
    const both = load(rules(rule('a', { who: mixed, logins: [{ claim: 'x' }] })))
    const decision = decide(both, github('1', { claims: { x: 'root' } }), ask('web-1', 'root'))
    expect(decision.kind).toBe('deny')
  })
})

describe('identities', () => {
  const text = (...lines: readonly string[]) => `identities:\n${lines.join('\n')}\n`

  test('stand for their entries, in any file', () => {
    const policy = load({
      'a.yaml': rules(rule('a', { who: [{ identities: 'ops' }] })),
      'b.yaml': text(
        '  ops: [{ github: { id: "1" } }, { oidc: { issuer: "https://idp.example.com", subject: u } }]',
      ),
    })
    expect(decide(policy, github('1'), web).kind).toBe('allow')
    expect(decide(policy, oidc('u'), web).kind).toBe('allow')
    expect(decide(policy, github('2'), web).kind).toBe('deny')
  })

  test.each([
    [
      text('  ops: []'),
      'policy.yaml:2:8: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [text('  ops:'), 'policy.yaml:2:7: is empty: write a value, or leave the key out'],
    [
      text('  ops: [{ identities: ops }]'),
      'policy.yaml:2:9: identities name people, not other identities',
    ],
    [text('  ops: [everyone]'), 'policy.yaml:2:9: everyone stands only in the who of a deny rule'],
    [
      text('  Ops: [{ github: { id: "1" } }]'),
      'policy.yaml:2:3: identities are named with lower-case letters, digits and hyphens, at most 64',
    ],
  ])('%j is refused at load', (given, message) => {
    expect(check(given)).toEqual([message])
  })

  test('have one meaning each, and a misspelt one is guessed at', () => {
    const ops = text('  platform: [{ github: { id: "1" } }]')
    expect(check({ 'a.yaml': ops, 'b.yaml': ops })).toEqual([
      'b.yaml:2:3: the name platform stands for other identities already; choose another',
    ])
    expect(check(ops + rules(rule('a', { who: [{ identities: 'platfrom' }] })))).toEqual([
      'policy.yaml:4:38: identities: unknown name of identities "platfrom"; did you mean "platform"?',
    ])
  })
})

describe('groups that the token speaks of and does not tell', () => {
  const text = rules(
    rule('no-contractors', {
      deny: 'no contractors',
      who: [{ oidc: { issuer, groups: ['contractors'] } }],
    }),
    rule('all', { who: [{ oidc: { issuer, emailDomain: 'example.com' } }] }),
    rule('ops', { who: [{ oidc: { issuer, groups: ['ops'] } }] }),
  )
  const known = oidc('u-1', { email: 'maya@example.com' })
  const unknown = { ...known, groupsProblem: 'held_elsewhere' } as const
  const question = { identity: unknown, ask: web, memberships: none, at: noon }

  test('may be those that a rule denies [ATTACKS 104]', () => {
    expect(say(load(text), known, web)).toBe('all')
    expect(say(load(text), unknown, web)).toBe('no: no contractors')
  })

  test('are none of those that a rule allows, or spares', () => {
    const ops = rule('ops', { who: [{ oidc: { issuer, groups: ['ops'] } }] })
    expect(say(load(rules(ops)), unknown, web)).toMatch(/^no: No rule lets you/)
    const deny = {
      deny: 'ops alone',
      who: ['everyone'],
      except: [{ oidc: { issuer, groups: ['ops'] } }],
    }
    expect(say(load(rules(rule('a', deny), ops)), unknown, web)).toBe('no: ops alone')
  })

  test('are no other issuer\u2019s, and no other person\u2019s', () => {
    const others = [
      { oidc: { issuer: 'https://other.example', groups: ['contractors'] } },
      { oidc: { issuer, subject: 'u-2', groups: ['contractors'] } },
    ]
    const deny = rule('no', { deny: 'no', who: others })
    const all = rule('all', { who: [{ oidc: { issuer, emailDomain: 'example.com' } }] })
    expect(say(load(rules(deny, all)), unknown, web)).toBe('all')
  })

  test('are explained, and reach nothing', () => {
    const policy = load(text)
    const { decision, near } = explain(policy, question)
    expect(decision).toMatchObject({
      detail: expect.stringContaining('denies it, for the token does not tell the groups'),
    })
    expect(near[0]).toMatchObject({ outcome: 'decides' })
    expect(near[0]?.conditions[0]).toMatchObject({
      isMet: true,
      seen: `subject u-1 of ${issuer}, email maya@example.com, in groups that the token does not tell`,
    })
    expect(listReach(policy, { identity: unknown, lookUps: new Map() }, noon).reached).toEqual([])
  })
})
