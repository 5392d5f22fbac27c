import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Condition, Question, Rule } from '../../src/policy/index.ts'
import { ask, github, issuer, load, member, none, noon, oidc, rule, rules, staff } from './kit.ts'

const question = (more: Partial<Question> = {}): Question => ({
  identity: staff,
  memberships: none,
  ask: ask('web-1', 'deploy'),
  at: noon,
  ...more,
})

const examine = (text: string, asked: Question): readonly Condition[] => {
  const policy = load(text)
  return policy.createExaminer(asked)(policy.rules[0] as Rule)
}

describe('the conditions of a rule', () => {
  test('say what was wanted and what was seen', () => {
    const text = `identities:
  ops: [{ github: { team: acme/ops, teamId: "4" } }, { oidc: { issuer: "${issuer}", claims: { dept: [a, b] } } }]
${rules(
  rule('a', {
    who: [{ identities: 'ops' }, { github: { id: '7', login: 'ada' } }],
    hosts: ['web-*', 'db-1'],
    logins: ['root', { claim: 'unix' }],
    when: { between: '08:00-18:00', zone: 'UTC' },
    require: { mfa: '15m', reason: { minLength: 4 } },
    maxTtl: '10m',
  }),
)}`
    const identity = github('583231')
    const memberships = member('acme/dev')
    const wanted = ask('web-1', 'deploy', { ttlSeconds: 1200 })
    expect(examine(text, question({ identity, memberships, ask: wanted }))).toEqual([
      {
        key: 'who',
        part: 'selects',
        isMet: false,
        wanted: `ops (team acme/ops (id 4), or dept a or b of ${issuer}), or GitHub user 7 (ada)`,
        seen: 'GitHub user 583231 (maya), in team acme/dev (id 1)',
      },
      { key: 'hosts', part: 'selects', isMet: true, wanted: 'web-*, db-1', seen: 'web-1' },
      {
        key: 'logins',
        part: 'selects',
        isMet: false,
        wanted: 'root, the claim unix',
        seen: 'deploy',
      },
      {
        key: 'when',
        part: 'selects',
        isMet: true,
        wanted: 'between 08:00 and 18:00 (UTC)',
        seen: '2026-11-24T12:00:00Z',
      },
      {
        key: 'mfa',
        part: 'requires',
        isMet: false,
        wanted: 'a login with a second factor within the last 15m',
        seen: 'no second factor',
        code: 'mfa_required',
        reason: 'Log in with a second factor, within the last 15m, and send the new token.',
      },
      {
        key: 'reason',
        part: 'requires',
        isMet: false,
        wanted: 'a reason with at least 4 characters',
        seen: 'no reason',
        code: 'reason_required',
        reason: 'Give a reason with at least 4 characters.',
      },
      { key: 'commands', part: 'requires', isMet: true, wanted: 'no command', seen: 'no command' },
      {
        key: 'ttl',
        part: 'requires',
        isMet: false,
        wanted: 'a ttl of at most 10m',
        seen: '20m',
        code: 'ttl_too_long',
        reason: 'Ask for a ttl of at most 10m.',
      },
      {
        key: 'principals',
        part: 'requires',
        isMet: true,
        wanted: 'principals {login}@{host}, each at most 286 characters',
        seen: 'deploy@web-1',
      },
    ])
  })

  test('show the claims that are compared, and no others', () => {
    const who = [{ oidc: { issuer, claims: { dept: 'a', site: 'x' } } }]
    const identity = oidc('u-1', { groups: ['g'], claims: { dept: 'b', secret: 's' } })
    expect(examine(rules(rule('a', { who })), question({ identity }))[0]).toMatchObject({
      wanted: `dept a site x of ${issuer}`,
      seen: `subject u-1 of ${issuer}, groups g, dept b, without site`,
    })
  })

  test('of a deny rule count whom it spares', () => {
    const text = rules(
      rule('no', {
        deny: 'no',
        who: ['everyone'],
        except: [{ oidc: { issuer, subject: 'u-1' } }],
      }),
    )
    expect(examine(text, question()).map(({ key, isMet }) => [key, isMet])).toEqual([
      ['who', true],
      ['hosts', true],
      ['logins', true],
      ['except', false],
    ])
    expect(examine(text, question({ identity: oidc('u-2') })).at(-1)).toEqual({
      key: 'except',
      part: 'selects',
      isMet: true,
      wanted: `anybody but subject u-1 of ${issuer}`,
      seen: `subject u-2 of ${issuer}, in no group`,
    })
  })
})

const groups = ['a', 'b'] as const
const allow = fc.record(
  {
    who: fc
      .subarray([...groups], { minLength: 1 })
      .map((names) => [{ oidc: { issuer, groups: names } }]),
    hosts: fc.subarray(['web-1', 'web-*', '*', { label: 'env=ci' }, { hostGroup: 'fleet' }], {
      minLength: 1,
    }),
    logins: fc.subarray(['deploy', 'root', { claim: 'unix' }], { minLength: 1 }),
    when: fc.constantFrom({ between: '08:00-12:30', zone: 'UTC' }, { days: ['mon'], zone: 'UTC' }),
    require: fc
      .record(
        {
          mfa: fc.constantFrom(true, '15m'),
          reason: fc.constantFrom({ minLength: 4 }, { ticket: 'OPS-9' }),
          callerAddresses: fc.constant(['10.0.0.0/8']),
          tokenMaxAge: fc.constant('10m'),
          proof: fc.constant(true),
        },
        { requiredKeys: [] },
      )
      .filter((require) => Object.keys(require).length > 0),
    commands: fc.constant({ setup: '/bin/setup' }),
    maxTtl: fc.constantFrom('5m', '1h'),
    sourceAddresses: fc.constant('caller'),
  },
  { requiredKeys: ['who', 'hosts', 'logins'] },
)
const deny = fc.record(
  {
    deny: fc.constant('no'),
    who: fc.constantFrom(['everyone'], [{ oidc: { issuer, groups: ['a'] } }]),
    except: fc.constant([{ oidc: { issuer, groups: ['b'] } }]),
    hosts: fc.subarray(['web-2', 'db-*', 'app-*', { label: 'env=ci' }], { minLength: 1 }),
    logins: fc.subarray(['root', 'dep*'], { minLength: 1 }),
    when: fc.constant({ between: '12:00-13:00', zone: 'UTC' }),
  },
  { requiredKeys: ['deny', 'who', 'hosts', 'logins'] },
)
const optional = <T>(value: T) => fc.constantFrom<T | undefined>(undefined, value)
const asked = fc
  .record({
    groups: fc.subarray([...groups]),
    mfa: fc.boolean(),
    login: fc.constantFrom('deploy', 'root', 'maya'),
    host: fc.constantFrom('web-1', 'web-2', 'db-1', 'app-1.x'),
    age: fc.constantFrom(0, 600, 1200),
    address: optional('10.1.1.1'),
    hasProof: fc.boolean(),
    command: optional('setup'),
    reason: optional('OPS-1 again'),
    ttlSeconds: optional(1800),
    hour: fc.constantFrom('10:00', '12:15', '23:00'),
  })
  .map((given): Question => {
    const at = new Date(`2026-11-24T${given.hour}:00Z`)
    const since = new Date(at.getTime() - given.age * 1000)
    const { host, login, command, reason, ttlSeconds, address } = given
    return {
      identity: oidc('u', {
        groups: given.groups,
        claims: { unix: 'maya' },
        mfa: given.mfa,
        authenticatedAt: since,
        issuedAt: since,
      }),
      memberships: none,
      ask: ask(host, login, {
        ...(command === undefined ? {} : { command }),
        ...(reason === undefined ? {} : { reason }),
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      }),
      at,
      ...(address === undefined ? {} : { address }),
      hasProof: given.hasProof,
    }
  })

const definitions = `hosts:
  - { name: web-1, labels: { env: ci } }
  - { name: web-2 }
hostGroups:
  fleet: [{ label: env=ci }, "app-*.x"]
`

/** What the conditions alone say: the first rule that selects decides, and its requirements. */
const conclude = (
  policy: ReturnType<typeof load>,
  one: Question,
): readonly [string, string | undefined, string | undefined] => {
  const look = policy.createExaminer(one)
  for (const each of policy.rules) {
    const conditions = look(each)
    if (conditions.some(({ part, isMet }) => part === 'selects' && !isMet)) continue
    if (each.kind === 'deny') return ['deny', each.ref.name, 'policy_denied']
    const missed = conditions.find(({ part, isMet }) => part === 'requires' && !isMet)
    return missed === undefined
      ? ['allow', each.ref.name, undefined]
      : ['deny', each.ref.name, missed.code]
  }
  return ['deny', undefined, 'policy_denied']
}

test('for any rules and any ask, evaluate decides what the conditions say', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: allow }, deny), { minLength: 1, maxLength: 6 }),
      fc.array(asked, { minLength: 8, maxLength: 8 }),
      (parts, questions) => {
        const text = rules(...parts.map((part, at) => rule(`r${at}`, part)))
        const policy = load(`${definitions}${text}`)
        for (const one of questions) {
          const decision = policy.evaluate(one)
          const code = decision.kind === 'deny' ? decision.code : undefined
          seen.add(code ?? 'allow')
          expect([decision.kind, decision.rule?.name, code]).toEqual(conclude(policy, one))
        }
      },
    ),
    { numRuns: 300 },
  )
  // The asks reach every answer there is, or the agreement would say little.
  expect([...seen].sort()).toEqual([
    'address_denied',
    'allow',
    'command_required',
    'mfa_required',
    'policy_denied',
    'proof_required',
    'reason_required',
    'token_too_old',
    'ttl_too_long',
  ])
})
