import { describe, expect, test } from 'vitest'
import { check, rule, rules } from './kit.ts'

const night = {
  deny: 'root logins need daylight',
  who: ['everyone'],
  hosts: ['*'],
  logins: ['root'],
  when: { between: '18:00-08:00', zone: 'Europe/Berlin' },
}
const platform = [{ github: { team: 'acme/platform', orgId: '7' } }, { github: { org: 'other' } }]
const policy = rules(
  rule('deploy', {
    maxTtl: '15m',
    extensions: ['permit-pty'],
    commands: { setup: '/bin/setup' },
    sourceAddresses: ['10.0.0.0/8'],
  }),
  rule('root', { logins: ['root'], who: platform }),
  rule('ops', { logins: ['ops'], who: platform }),
  rule('job', {
    logins: ['job'],
    who: [{ oidc: { issuer: 'https://ci.example', email: 'a@b.example' } }],
    outliveToken: true,
  }),
  rule('night', night),
)

const staff = { oidc: { issuer: 'https://idp.example.com', groups: ['staff'] } }
const member = {
  github: { id: '1', login: 'maya', teams: [{ team: 'acme/platform', orgId: '7' }] },
}
const deploy = { host: 'web-1', login: 'deploy', command: 'setup' }
const daylight = '2026-11-24T12:00:00Z'

const run = (given: Readonly<Record<string, unknown>>): readonly string[] =>
  check(`${policy}tests:\n  - ${JSON.stringify({ name: 'it', ...given })}\n`).map((line) =>
    line.replace(/^\S+: /, ''),
  )

describe('a test of the policy’s own', () => {
  test.each<[string, Record<string, unknown>]>([
    ['an allow', { who: staff, ask: deploy, expect: { allow: 'deploy' } }],
    [
      'all of an allow',
      {
        who: staff,
        ask: { ...deploy, ttl: '15m' },
        expect: {
          allow: 'deploy',
          ttl: '15m',
          principals: ['deploy@web-1'],
          extensions: ['permit-pty'],
          command: '/bin/setup',
          sourceAddresses: ['10.0.0.0/8'],
          outliveToken: false,
        },
      },
    ],
    ['a denial', { who: staff, ask: { host: 'web-2', login: 'deploy' }, expect: 'deny' }],
    [
      'a denial by a rule',
      {
        at: '2026-11-24T20:00:00+01:00',
        who: member,
        ask: { host: 'web-1', login: 'root' },
        expect: { deny: 'night' },
      },
    ],
    [
      'a denial by what a rule asks for',
      { who: staff, ask: { host: 'web-1', login: 'deploy' }, expect: { deny: 'deploy' } },
    ],
    [
      'a time',
      {
        at: daylight,
        who: member,
        ask: { host: 'web-1', login: 'root' },
        expect: { allow: 'root' },
      },
    ],
    [
      'an org',
      {
        who: { github: { id: '2', orgs: ['other'] } },
        ask: { host: 'web-1', login: 'ops' },
        expect: { allow: 'ops' },
      },
    ],
    [
      'an org, known by a team in it',
      {
        who: { github: { id: '2', teams: ['other/dev'] } },
        ask: { host: 'web-1', login: 'ops' },
        expect: { allow: 'ops' },
      },
    ],
    [
      'a team of an org with another id',
      {
        who: { github: { id: '2', teams: [{ team: 'acme/platform', orgId: '8' }] } },
        ask: { host: 'web-1', login: 'ops' },
        expect: 'deny',
      },
    ],
    [
      'a pinned team whose id is not said',
      {
        who: { github: { id: '2', teams: ['acme/platform'] } },
        ask: { host: 'web-1', login: 'ops' },
        expect: 'deny',
      },
    ],
    [
      'an address, which counts as verified',
      {
        who: {
          oidc: { issuer: 'https://ci.example', subject: 'x', email: 'a@b.example', mfa: true },
        },
        ask: { host: 'web-1', login: 'job' },
        expect: { allow: 'job', outliveToken: true },
      },
    ],
    [
      'nobody in particular',
      {
        who: { oidc: { issuer: 'https://ci.example' } },
        ask: { host: 'web-1', login: 'job' },
        expect: 'deny',
      },
    ],
  ])('passes for %s', (_name, given) => {
    expect(run(given)).toEqual([])
  })

  test.each<[Record<string, unknown>, string]>([
    [{ who: staff, ask: deploy, expect: 'deny' }, 'test "it": expected deny, got allow by deploy'],
    [
      { who: staff, ask: deploy, expect: { allow: 'ops' } },
      'test "it": expected allow by ops, got allow by deploy',
    ],
    [
      { who: staff, ask: deploy, expect: { deny: 'night' } },
      'test "it": expected deny by night, got allow by deploy',
    ],
    [
      { who: staff, ask: { host: 'web-2', login: 'deploy' }, expect: { allow: 'deploy' } },
      'test "it": expected allow by deploy, got deny: No rule lets you log in to web-2 as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
    ],
    [
      {
        at: '2026-11-24T20:00:00Z',
        who: member,
        ask: { host: 'web-1', login: 'root' },
        expect: { allow: 'root' },
      },
      'test "it": expected allow by root, got deny by night: root logins need daylight',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', ttl: '15m' } },
      'test "it": expected ttl 15m, got 5m',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', principals: ['deploy'] } },
      'test "it": expected principals [deploy], got [deploy@web-1]',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', extensions: [] } },
      'test "it": expected extensions [], got [permit-pty]',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', command: '/bin/sh' } },
      'test "it": expected command /bin/sh, got /bin/setup',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', sourceAddresses: ['10.1.0.0/16'] } },
      'test "it": expected sourceAddresses [10.1.0.0/16], got [10.0.0.0/8]',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deploy', outliveToken: true } },
      'test "it": expected outliveToken true, got false',
    ],
    [
      { who: staff, ask: deploy, expect: { allow: 'deplyo' } },
      'test "it": unknown rule "deplyo"; did you mean "deploy"?',
    ],
    [
      { who: member, ask: { host: 'web-1', login: 'root' }, expect: 'deny' },
      'test "it": needs "at", since a rule with a when could answer it',
    ],
    [
      { who: staff, ask: deploy, expect: 'allow' },
      'expect: must be deny, { deny: RULE or CODE } or { allow: RULE, … }',
    ],
    [{ who: staff, ask: deploy, expect: {} }, 'expect: "allow" is missing'],
    [
      { who: staff, ask: { ...deploy, hots: 'x' }, expect: 'deny' },
      'unknown key "hots"; did you mean "host"?',
    ],
    [
      { who: staff, ask: { host: 'web-*', login: 'deploy' }, expect: 'deny' },
      'host: must be a host name of letters, digits, hyphens and dots',
    ],
    [{ who: 'maya', ask: deploy, expect: 'deny' }, 'who: must be a map of keys'],
    [{ who: { github: { id: 1 } }, ask: deploy, expect: 'deny' }, 'id: must stand in quotes: "1"'],
    [
      { at: 'noon', who: staff, ask: deploy, expect: 'deny' },
      'at: must be a time with its offset, as 2026-12-01T10:00:00Z',
    ],
    [
      // There is no such day: it would be another one.
      { at: '2026-02-30T12:00:00Z', who: staff, ask: deploy, expect: 'deny' },
      'at: must be a time with its offset, as 2026-12-01T10:00:00Z',
    ],
    [
      { at: '2026-11-24T12:00:00', who: staff, ask: deploy, expect: 'deny' },
      'at: must be a time with its offset, as 2026-12-01T10:00:00Z',
    ],
  ])('stops the load: %o', (given, message) => {
    expect(run(given)).toEqual([message])
  })

  test('is told with its place', () => {
    const text = `${policy}tests:\n  - name: it\n    who: { github: { id: "1" } }\n    ask: { host: web-1, login: ops }\n    expect: { allow: ops }\n`
    expect(check(text)).toEqual([
      'policy.yaml:11:13: test "it": expected allow by ops, got deny: No rule lets you log in to web-1 as ops. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
    ])
  })
})
