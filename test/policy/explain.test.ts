import { describe, expect, test } from 'vitest'
import { explain } from '../../src/policy/explain.ts'
import { explainToCaller } from '../../src/policy/explain-caller.ts'
import type { Question } from '../../src/policy/index.ts'
import { ask, github, load, member, none, noon, rule, rules, staff } from './kit.ts'

const policy = load(`identities:
  oncall: [{ github: { team: acme/ops } }]
rules:
  - name: dev
    who: [{ github: { team: acme/dev } }]
    hosts: ["web-*"]
    logins: [deploy]
    ttl: 5m
  - name: ops
    who: [{ identities: oncall }]
    hosts: ["*"]
    logins: [deploy, root]
    require: { reason: { minLength: 5 } }
    ttl: 10m
    extensions: [permit-pty]
  - name: night
    deny: no root by night
    who: [everyone]
    except: [{ identities: oncall }]
    hosts: ["*"]
    logins: [root]
    when: { between: "18:00-08:00", zone: UTC }
  - name: guest
    who: [{ github: { id: "77", login: sam } }]
    hosts: [db-1]
    logins: [deploy]
    ttl: 5m
`)

const maya = github('583231')
const question = (host: string, login: string, more: Partial<Question> = {}): Question => ({
  identity: maya,
  memberships: none,
  ask: ask(host, login),
  at: noon,
  ...more,
})

describe('explain', () => {
  test('tells every rule in the order it is read, and each condition with the value seen', () => {
    const given = question('web-1', 'deploy', { memberships: member('acme/dev') })
    const { decision, rules: traces, advice } = explain(policy, given)
    expect(decision).toMatchObject({ kind: 'allow', rule: { name: 'dev' } })
    expect(traces.map(({ rule, kind, outcome }) => [rule.name, kind, outcome])).toEqual([
      ['night', 'deny', 'passed'],
      ['dev', 'allow', 'decides'],
      ['ops', 'allow', 'unread'],
      ['guest', 'allow', 'unread'],
    ])
    expect(traces[2]?.conditions[0]).toEqual({
      key: 'who',
      part: 'selects',
      isMet: false,
      wanted: 'oncall (team acme/ops)',
      seen: 'GitHub user 583231 (maya), in team acme/dev (id 1)',
    })
    expect(advice).toEqual(['Without rule dev (policy.yaml:4) no rule would allow it.'])
  })

  test('names organisations and teams by their ids where they are known by nothing else', () => {
    const who = [{ github: { orgId: '815', teamId: '4711' } }, { github: { orgId: '815' } }]
    const byId = load(rules(rule('a', { who })))
    const memberships = {
      orgs: [{ login: '', id: '816' }],
      teams: [{ org: '', orgId: '816', slug: '', id: '9' }],
    }
    const [trace] = explain(byId, question('web-1', 'deploy', { memberships })).rules
    expect(trace?.conditions[0]).toMatchObject({
      wanted: 'team id 815/4711, or org id 815',
      seen: expect.stringContaining('in org id 816, team id 816/9'),
    })
    const [told] = explainToCaller(byId, question('web-1', 'deploy')).rules
    expect(told?.conditions[0]).toMatchObject({ wanted: 'team id 815/4711, or org id 815' })
  })

  test('shows the certificate that would be written, and where it would end', () => {
    const expiresAt = new Date('2026-11-24T12:03:00Z')
    const given = question('db-1', 'root', {
      identity: { ...maya, expiresAt },
      memberships: member('acme/ops'),
      ask: ask('db-1', 'root', { reason: 'the disk is full' }),
    })
    expect(explain(policy, given).certificate).toEqual({
      principals: ['root@db-1'],
      ttlSeconds: 600,
      outliveToken: false,
      criticalOptions: {},
      extensions: { 'permit-pty': '' },
      validBefore: expiresAt,
      endsWith: 'token',
    })
    const { certificate } = explain(policy, { ...given, identity: maya })
    expect(certificate).toMatchObject({
      validBefore: new Date('2026-11-24T12:10:00Z'),
      endsWith: 'ttl',
    })
  })

  const cases: readonly (readonly [string, Question, readonly string[]])[] = [
    [
      'the nearest rules, where none holds',
      question('db-1', 'deploy', { memberships: member('acme/dev') }),
      [
        'rule dev (policy.yaml:4) would decide, but hosts needs web-*; has db-1.',
        'rule ops (policy.yaml:9) would decide, but who needs oncall (team acme/ops); has GitHub user 583231 (maya), in team acme/dev (id 1).',
        'rule guest (policy.yaml:23) would decide, but who needs GitHub user 77 (sam); has GitHub user 583231 (maya), in team acme/dev (id 1).',
      ],
    ],
    [
      'what the deciding rule still asks for',
      question('db-1', 'root', { memberships: member('acme/ops') }),
      ['Give a reason with at least 5 characters.'],
    ],
    [
      'when a rule denies it, and whom it spares',
      question('web-1', 'root', { at: new Date('2026-11-24T22:00:00Z') }),
      [
        'rule night (policy.yaml:16) denies it only between 18:00 and 08:00 (UTC).',
        'rule night (policy.yaml:16) is for anybody but oncall (team acme/ops).',
      ],
    ],
  ]
  test.each(cases)('says what would change the answer: %s', (_name, given, advice) => {
    expect(explain(policy, given).advice).toEqual(advice)
  })

  test('says so where no rule comes near', () => {
    const one = load(rules(rule('dev')))
    expect(explain(one, question('mail-1', 'postfix')).advice).toEqual([
      'No rule comes near: one is needed that names who, host and login.',
    ])
    expect(explain(load('rules: []'), question('a', 'b')).advice).toEqual([
      'No rule that allows anything names this host.',
    ])
  })

  test('names the rule behind the one that decides', () => {
    const both = load(rules(rule('first'), rule('second')))
    const { advice } = explain(both, question('web-1', 'deploy', { identity: staff }))
    expect(advice).toEqual([
      'Without rule first (policy.yaml:2) the next to decide is rule second (policy.yaml:3).',
    ])
  })

  test('says when a rule that denies the same would be in force', () => {
    const given = question('web-1', 'root', { memberships: member('acme/ops') })
    const reason = { ...given, ask: ask('web-1', 'root', { reason: 'restart it' }) }
    const open = load(
      rules(
        rule('ops', { logins: ['root'] }),
        rule('night', {
          deny: 'not by night',
          logins: ['root'],
          when: { between: '18:00-08:00', zone: 'UTC' },
        }),
      ),
    )
    expect(explain(open, { ...reason, identity: staff }).advice).toContain(
      'rule night (policy.yaml:3) denies it between 18:00 and 08:00 (UTC).',
    )
  })
})

describe('explainToCaller [ATTACKS 162]', () => {
  test('names the groups that rules for that host and login need, and no person', () => {
    const told = explainToCaller(policy, question('db-1', 'deploy'))
    expect(told.decision).toBe('deny')
    expect(told.rules).toEqual([
      {
        rule: 'ops',
        kind: 'allow',
        outcome: 'passed',
        conditions: [
          {
            key: 'who',
            isMet: false,
            wanted: 'team acme/ops',
            seen: 'GitHub user 583231 (maya)',
          },
        ],
      },
    ])
    expect(told.advice).toEqual(['Rule ops needs team acme/ops; has GitHub user 583231 (maya).'])
    expect(JSON.stringify(told)).not.toMatch(/77|sam|web-|policy\.yaml|guest/)
  })

  test('tells those a rule names what it asks of them', () => {
    const told = explainToCaller(
      policy,
      question('db-1', 'root', { memberships: member('acme/ops') }),
    )
    expect(told).toMatchObject({ decision: 'deny', code: 'reason_required' })
    expect(told.advice).toEqual(['Give a reason with at least 5 characters.'])
    expect(told.rules.map((one) => one.rule)).toEqual(['night', 'ops'])
  })

  test('keeps networks, and whom a rule spares, to itself', () => {
    const closed = load(
      rules(
        rule('inside', { require: { callerAddresses: ['10.2.0.0/16'] } }),
        rule('shut', {
          deny: 'closed for repair',
          who: ['everyone'],
          except: [{ github: { id: '77' } }],
          logins: ['root'],
        }),
      ),
    )
    const network = explainToCaller(closed, question('web-1', 'deploy', { identity: staff }))
    expect(network.code).toBe('address_denied')
    const spared = explainToCaller(closed, question('web-1', 'root'))
    expect(spared).toMatchObject({ reason: 'closed for repair', rules: [{ rule: 'shut' }] })
    expect(JSON.stringify([network, spared])).not.toMatch(/10\.2|77/)
  })
})
