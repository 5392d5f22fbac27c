import { describe, expect, test } from 'vitest'
import { diffPolicies, type PolicyDiff } from '../../src/policy/diff.ts'
import { formatChange } from '../../src/policy/diff-words.ts'
import type { PolicyResult } from '../../src/policy/parse.ts'
import { issuer, parse, rule, rules } from './kit.ts'

const load = (text: string): Extract<PolicyResult, { readonly ok: true }> => {
  const result = parse(text)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

const diff = (before: string, after: string): PolicyDiff => diffPolicies(load(before), load(after))

/** Each change as `+ sentence`, without the rule it ends with. */
const say = (before: string, after: string): readonly string[] =>
  diff(before, after).changes.map(
    (change) =>
      `${{ wider: '+', narrower: '-', other: '~' }[change.direction]} ${formatChange(change).replace(/ \[[^\]]*\]$/, '')}`,
  )

const team = (...names: readonly string[]) =>
  names.map((name) => ({ github: { team: `acme/${name}` } }))
const dev = { who: team('dev'), hosts: ['web-*'], logins: ['deploy'] }
const sre = { who: team('sre'), hosts: ['*'], logins: ['deploy', 'root'] }
const base = rules(rule('dev', dev), rule('sre', sre))

/** The rules with one of them changed. */
const change = (name: 'dev' | 'sre', more: Readonly<Record<string, unknown>>) =>
  rules(
    rule('dev', name === 'dev' ? { ...dev, ...more } : dev),
    rule('sre', name === 'sre' ? { ...sre, ...more } : sre),
  )

const night = { between: '18:00-08:00', zone: 'UTC' }

describe('diff says in words', () => {
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['nothing of the same rules', base, base, []],
    [
      'nothing of rules under other names, in another order that decides the same',
      rules(rule('a', { deny: 'no', logins: ['x'] }), rule('b', { deny: 'never', logins: ['y'] })),
      rules(rule('c', { deny: 'not', logins: ['y'] }), rule('d', { deny: 'no', logins: ['x'] })),
      [],
    ],
    [
      'who may be what, and where',
      base,
      change('dev', { hosts: ['web-*', 'db-*'] }),
      ['+ team acme/dev may now be deploy on db-*'],
    ],
    [
      'who loses what',
      base,
      change('sre', { logins: ['deploy'] }),
      ['- team acme/sre loses root on *'],
    ],
    [
      'where two teams gain the same, both at once',
      base,
      change('sre', { who: team('sre', 'dba', 'net') }),
      ['+ team acme/dba; team acme/net may now be deploy or root on *'],
    ],
    [
      'what else is granted to the same people',
      base,
      change('dev', { ttl: '15m', extensions: ['permit-pty'] }),
      [
        '+ team acme/dev as deploy on web-*: ttl 15m instead of 5m (wider); permit-pty is added (wider)',
      ],
    ],
    [
      'whom a new deny rule spares, and when it holds',
      base,
      rules(
        rule('dev', dev),
        rule('sre', sre),
        rule('night', {
          deny: 'no',
          who: ['everyone'],
          except: team('oncall'),
          hosts: ['web-1*'],
          logins: ['root'],
          when: night,
        }),
      ),
      [
        '- team acme/sre loses root on web-1*, between 18:00 and 08:00 (UTC), unless also team acme/oncall',
      ],
    ],
    [
      'the days that an engagement is longer by',
      change('sre', { when: { through: '2026-11-30', zone: 'UTC' } }),
      change('sre', { when: { through: '2026-12-31', zone: 'UTC' } }),
      [
        '+ team acme/sre may now be deploy or root on *, through 2026-12-31 (UTC) but not through 2026-11-30 (UTC)',
      ],
    ],
    [
      'the one host that is taken out of a pattern',
      base,
      rules(
        rule('dev', dev),
        rule('sre', sre),
        rule('shut', { deny: 'no', who: ['everyone'], hosts: ['web-1'], logins: ['*'] }),
      ),
      ['- team acme/dev loses deploy on web-1', '- team acme/sre loses deploy or root on web-1'],
    ],
    [
      'a pattern without what another of the same rules holds',
      rules(rule('a', { hosts: ['web-1*'] })),
      rules(rule('a', { hosts: ['web-*'] })),
      [`+ group staff of ${issuer} may now be deploy on web-* but not web-1*`],
    ],
    [
      'the hosts of a label and of a group, by their names',
      `hosts: [{ name: ci-1, labels: { env: ci } }, { name: ci-2 }]\n${rules(rule('a', { hosts: [{ label: 'env=ci' }] }))}`,
      `hosts: [{ name: ci-1, labels: { env: ci } }, { name: ci-2, labels: { env: ci } }]\n${rules(rule('a', { hosts: [{ label: 'env=ci' }] }))}`,
      [`+ group staff of ${issuer} may now be deploy on ci-2`],
    ],
    [
      'logins that a claim names',
      rules(rule('a', { logins: [{ claim: 'unix' }] }), rule('r', { deny: 'no', logins: ['r*'] })),
      rules(rule('a', { logins: [{ claim: 'unix' }] })),
      [
        `+ group staff of ${issuer} whose unix is the login may now be a login like r* that a claim of theirs names on web-1`,
      ],
    ],
    [
      'roles',
      `${base}roles: { admin: [{ github: { id: "1", login: kim } }] }\n`,
      `${base}roles: { admin: [{ github: { team: acme/sre } }] }\n`,
      ['+ team acme/sre now has the role admin', '- GitHub user 1 (kim) loses the role admin'],
    ],
  ]
  test.each(cases)('%s', (_name, before, after, expected) => {
    expect(say(before, after)).toEqual(expected)
  })

  test('that a rule which is gone lets another decide, that grants more', () => {
    expect(say(change('sre', { ttl: '10m' }), rules(rule('sre', { ...sre, ttl: '10m' })))).toEqual([
      '- team acme/dev loses deploy on web-*, unless also team acme/sre',
      '+ team acme/dev with team acme/sre as deploy on web-*: ttl 10m instead of 5m (wider)',
    ])
  })

  test('as widening where patterns overlap in more ways than are looked at', () => {
    const [old, now] = [load(base), load(change('dev', { hosts: ['web-1'] }))]
    expect(diffPolicies(old, now)).toMatchObject({ isWhole: true, widens: false })
    expect(diffPolicies(old, now, 3)).toMatchObject({ isWhole: false, widens: true })
  })

  test('which rule it is, with its place', () => {
    const [one] = diff(base, change('dev', { hosts: ['web-*', 'db-*'] })).changes
    expect(one).toMatchObject({
      kind: 'gain',
      hosts: ['db-*'],
      logins: ['deploy'],
      people: ['team acme/dev'],
      after: { name: 'dev', file: 'policy.yaml', line: 2 },
    })
    expect(formatChange(one as NonNullable<typeof one>)).toMatch(/ \[dev, policy\.yaml:2\]$/)
  })

  test('which rule it is in place of which, where another one decides now', () => {
    const shell = { ttl: '5m' }
    const setup = { ...shell, commands: { setup: '/bin/setup' } }
    const [one] = diff(
      rules(rule('setup', setup), rule('shell', shell)),
      rules(rule('shell', shell)),
    ).changes
    expect(one).toMatchObject({ kind: 'grant', direction: 'wider' })
    expect(formatChange(one as NonNullable<typeof one>)).toMatch(
      / \(wider\) \[shell, policy\.yaml:2, in place of setup\]$/,
    )
  })
})

describe('what widens', () => {
  const cases: readonly (readonly [string, object, object, string])[] = [
    ['ttl', {}, { ttl: '6m' }, '+ ttl 6m instead of 5m'],
    ['maxTtl', {}, { maxTtl: '10m' }, '+ at most 10m instead of 5m'],
    ['outliveToken', {}, { outliveToken: true }, '+ may outlive the token'],
    ['a shell', { commands: { a: 'ls' } }, {}, '+ a shell instead of only the commands a'],
    [
      'a command',
      { commands: { a: 'x' } },
      { commands: { a: 'x', b: 'y' } },
      '+ command b is added',
    ],
    ['mfa', { require: { mfa: true } }, {}, '+ no second factor instead of a second factor'],
    [
      'an older second factor',
      { require: { mfa: '15m' } },
      { require: { mfa: '1h' } },
      '+ a second factor within 1h instead of a second factor within 15m',
    ],
    [
      'tokenMaxAge',
      { require: { tokenMaxAge: '5m' } },
      {},
      '+ a token of any age instead of a token of at most 5m',
    ],
    ['proof', { require: { proof: true } }, {}, '+ needs no proof of possession'],
    [
      'reason',
      { require: { reason: { minLength: 9 } } },
      {},
      '+ no reason instead of a reason of 9 characters',
    ],
    [
      'sourceAddresses',
      { sourceAddresses: ['10.2.0.0/17'] },
      { sourceAddresses: ['10.2.0.0/17', '10.2.128.0/17'] },
      '+ use from 10.2.0.0/17, 10.2.128.0/17 alone instead of use from 10.2.0.0/17 alone',
    ],
    [
      'callerAddresses',
      { require: { callerAddresses: ['10.0.0.0/8'] } },
      {},
      '+ asked from anywhere instead of asked from 10.0.0.0/8',
    ],
    ['maxPerHour', { maxPerHour: 5 }, {}, '+ any number instead of 5 an hour'],
    ['alert', { alert: true }, {}, '+ raises no alert'],
    [
      'principals',
      {},
      { principals: ['{login}@{host}', '{login}'], fleetWide: true },
      '+ principal {login} is added',
    ],
  ]
  const opposite: Readonly<Record<string, string>> = { '+': 'narrower', '~': 'other' }
  test.each(cases)('%s, and the other way round it narrows', (_name, less, more, words) => {
    const [narrow, wide] = [rules(rule('a', { ...less })), rules(rule('a', { ...more }))]
    const widened = diff(narrow, wide)
    const [{ differences = [] }] = widened.changes as [PolicyDiff['changes'][number]]
    expect(
      differences.map((one) => `${one.direction === 'wider' ? '+' : '-'} ${one.words}`),
    ).toEqual([words])
    expect(widened.widens).toBe(true)
    const narrowed = diff(wide, narrow)
    expect(narrowed.changes.map(({ direction }) => direction)).toEqual([opposite['+']])
    expect(narrowed.widens).toBe(false)
  })

  test.each([
    ['another command line', { commands: { a: 'ls' } }, { commands: { a: 'sh' } }],
    ['another network', { sourceAddresses: ['10.0.0.0/8'] }, { sourceAddresses: ['192.0.2.0/24'] }],
    [
      'the caller in place of a network',
      { sourceAddresses: ['10.0.0.0/8'] },
      { sourceAddresses: 'caller' },
    ],
    ['more of one thing and less of another', { ttl: '5m' }, { ttl: '9m', require: { mfa: true } }],
  ])('also what cannot be compared: %s', (_name, before, after) => {
    const found = diff(rules(rule('a', { ...before })), rules(rule('a', { ...after })))
    expect(found.changes.map(({ direction }) => direction)).toEqual(['other'])
    expect(found.widens).toBe(true)
  })

  test('blocks in halves are the same network', () => {
    const whole = rules(rule('a', { sourceAddresses: ['10.2.0.0/16'] }))
    const halves = rules(rule('a', { sourceAddresses: ['10.2.0.0/17', '10.2.128.0/17'] }))
    expect(diff(whole, halves).changes).toEqual([])
  })

  test('a certificate that no longer ends with its time, though nobody may ask at another', () => {
    const shut = rule('shut', { deny: 'no', when: { between: '18:00-08:00', zone: 'UTC' } })
    const before = rules(rule('a', { when: { between: '08:00-18:00', zone: 'UTC' } }), shut)
    const found = diff(before, rules(rule('a'), shut))
    expect(found.changes.map(({ differences }) => differences?.map(({ key }) => key))).toEqual([
      ['when'],
    ])
    expect(found.widens).toBe(true)
  })
})
