import { describe, expect, test } from 'vitest'
import { ask, decide, github, issuer, load, none, oidc, rule, rules, say, staff } from './kit.ts'

const web = ask('web-1', 'deploy')

describe('a decision', () => {
  test('grants exactly what the rule says', () => {
    const policy = load(
      rules(
        rule('a', {
          ttl: '5m',
          maxTtl: '15m',
          outliveToken: true,
          extensions: ['permit-user-rc', 'permit-pty', 'permit-pty'],
          sourceAddresses: ['10.2.0.0/16', '192.0.2.1', '2001:db8::/32'],
          commands: { setup: '/usr/local/sbin/setup --all' },
          principals: ['{login}@{host}', 'ops:{host}', '{login}@{host}'],
        }),
      ),
    )
    expect(
      decide(policy, staff, ask('web-1', 'deploy', { command: 'setup', ttlSeconds: 900 })),
    ).toEqual({
      kind: 'allow',
      rule: { name: 'a', file: 'policy.yaml', line: 2 },
      grant: {
        principals: ['deploy@web-1', 'ops:web-1'],
        ttlSeconds: 900,
        outliveToken: true,
        criticalOptions: {
          'force-command': '/usr/local/sbin/setup --all',
          'source-address': '10.2.0.0/16,192.0.2.1/32,2001:db8::/32',
        },
        extensions: { 'permit-pty': '', 'permit-user-rc': '' },
      },
    })
  })

  test('grants nothing that is not named: no extension, no option, one principal [ATTACKS 53]', () => {
    expect(decide(load(rules(rule('a'))), staff, web)).toMatchObject({
      grant: {
        principals: ['deploy@web-1'],
        ttlSeconds: 300,
        outliveToken: false,
        criticalOptions: {},
        extensions: {},
      },
    })
  })

  test('is refused for everyone by an empty policy [ATTACKS 145]', () => {
    for (const text of ['', '# nothing yet\n', '{}', 'rules: []', 'identities: {}']) {
      expect(decide(load(text), staff, web)).toEqual({
        kind: 'deny',
        code: 'policy_denied',
        reason:
          'No rule lets you log in to web-1 as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
        detail: `no rule names this host; this person is { oidc: { issuer: "${issuer}", subject: "u-1" } }`,
      })
    }
  })

  test('is made by the first rule whose selectors all hold, files in byte order of their names', () => {
    const policy = load({
      'b.yaml': rules(rule('second'), rule('third')),
      'a.yaml': rules(rule('other', { hosts: ['web-2'] }), rule('first', { logins: ['deploy'] })),
      'B.yaml': rules(rule('capital', { who: [{ oidc: { issuer, subject: 'u-9' } }] })),
    })
    expect(say(policy, staff, web)).toBe('first')
    expect(say(policy, oidc('u-9', { groups: ['staff'] }), web)).toBe('capital')
  })

  test('is not hidden by a rule whose time is over', () => {
    const policy = load(
      rules(
        rule('over', { when: { through: '2026-01-31', zone: 'UTC' }, ttl: '1m' }),
        rule('still'),
      ),
    )
    expect(say(policy, staff, web)).toBe('still')
  })

  test('never falls through to a later rule once one has been found', () => {
    const policy = load(rules(rule('narrow', { commands: { setup: '/bin/setup' } }), rule('wide')))
    expect(say(policy, staff, web)).toBe('no: Ask for one of the commands: setup.')
  })
})

describe('a refusal', () => {
  const who = `this person is { oidc: { issuer: "${issuer}", subject: "u-1" } }`

  test('for want of a command names the commands', () => {
    const policy = load(rules(rule('a', { commands: { setup: '/bin/s', teardown: '/bin/t' } })))
    for (const command of [undefined, 'rm', '', '__proto__', 'constructor', '/bin/s']) {
      const wanted = ask('web-1', 'deploy', command === undefined ? {} : { command })
      expect(decide(policy, staff, wanted)).toEqual({
        kind: 'deny',
        code: 'command_required',
        rule: { name: 'a', file: 'policy.yaml', line: 2 },
        reason: 'Ask for one of the commands: setup, teardown.',
        detail: `rule a (policy.yaml:2) decides, but no command of its was asked for; ${who}`,
      })
    }
  })

  test('of a command where there are none says so', () => {
    expect(decide(load(rules(rule('a'))), staff, ask('web-1', 'deploy', { command: 'x' }))).toEqual(
      {
        kind: 'deny',
        code: 'policy_denied',
        rule: { name: 'a', file: 'policy.yaml', line: 2 },
        reason: 'There are no commands for this login: leave the command out.',
        detail: `rule a (policy.yaml:2) decides, but it has no commands; ${who}`,
      },
    )
  })

  test.each([901, 3600, 1e9, 2 ** 63, Number.POSITIVE_INFINITY, Number.NaN, 0, -1, 1.5])(
    'of a ttl of %s names the most one may have, and clips nothing [ATTACKS 30, 39]',
    (ttlSeconds) => {
      const policy = load(rules(rule('a', { maxTtl: '15m' })))
      expect(decide(policy, staff, ask('web-1', 'deploy', { ttlSeconds }))).toEqual({
        kind: 'deny',
        code: 'ttl_too_long',
        rule: { name: 'a', file: 'policy.yaml', line: 2 },
        reason: 'Ask for a ttl of at most 15m.',
        detail: `rule a (policy.yaml:2) decides, but ${ttlSeconds} s were asked for and it gives 900 s at most; ${who}`,
      })
    },
  )

  test('holds a rule without maxTtl to its ttl', () => {
    const policy = load(rules(rule('a')))
    expect(say(policy, staff, ask('web-1', 'deploy', { ttlSeconds: 300 }))).toBe('a')
    expect(say(policy, staff, ask('web-1', 'deploy', { ttlSeconds: 301 }))).toBe(
      'no: Ask for a ttl of at most 5m.',
    )
  })

  test('by a deny rule is its sentence, and its place is for the log', () => {
    const policy = load(
      rules(
        rule('a'),
        rule('freeze', {
          deny: 'no deploys today',
          who: ['everyone'],
          hosts: ['*'],
          logins: ['*'],
        }),
      ),
    )
    expect(decide(policy, staff, web)).toEqual({
      kind: 'deny',
      code: 'policy_denied',
      rule: { name: 'freeze', file: 'policy.yaml', line: 3 },
      reason: 'no deploys today',
      detail: `rule freeze (policy.yaml:3) denies it; ${who}`,
    })
  })

  test('of an ask that lacks several things names them all', () => {
    const policy = load(rules(rule('a', { require: { mfa: true, reason: { minLength: 3 } } })))
    expect(decide(policy, staff, ask('web-1', 'deploy', { command: 'reboot' }))).toEqual({
      kind: 'deny',
      code: 'mfa_required',
      rule: { name: 'a', file: 'policy.yaml', line: 2 },
      reason:
        'Log in with a second factor, and send the new token. Give a reason with at least 3 characters. There are no commands for this login: leave the command out.',
      detail: `rule a (policy.yaml:2) decides, but it requires a second factor, and it requires a reason with at least 3 characters, and it has no commands; ${who}`,
    })
  })

  test('at the wrong time tells the caller their own times', () => {
    const policy = load(
      rules(rule('a', { when: { between: '08:00-10:00', days: ['mon'], zone: 'Europe/Berlin' } })),
    )
    expect(decide(policy, staff, web)).toEqual({
      kind: 'deny',
      code: 'policy_denied',
      reason:
        'You may log in to web-1 as deploy only on mon between 08:00 and 10:00 (Europe/Berlin).',
      detail: `no rule holds; the nearest, rule a (policy.yaml:2), fails on when; ${who}`,
    })
  })

  test('of a login names the logins that are the caller’s own', () => {
    const policy = load(
      rules(
        rule('a'),
        rule('b', { who: [{ oidc: { issuer, groups: ['admins'] } }], logins: ['root'] }),
        rule('c', { logins: [{ claim: 'unix_name' }] }),
      ),
    )
    expect(say(policy, staff, ask('web-1', 'root'))).toBe(
      'no: No rule lets you log in to web-1 as root: there you may be deploy.',
    )
    const maya = oidc('u-1', { groups: ['staff'], claims: { unix_name: 'maya' } })
    expect(say(policy, maya, ask('web-1', 'root'))).toBe(
      'no: No rule lets you log in to web-1 as root: there you may be deploy, maya.',
    )
  })

  test('of a person nobody named tells nothing of who is named, and the log everything', () => {
    const policy = load(
      rules(
        rule('a', { logins: ['ops'] }),
        rule('secret-rule', { who: [{ oidc: { issuer, groups: ['secret-group'] } }] }),
      ),
    )
    const stranger = oidc('u"2', { groups: ['guests'] })
    const decision = decide(policy, stranger, web)
    expect(decision).toEqual({
      kind: 'deny',
      code: 'policy_denied',
      reason:
        'No rule lets you log in to web-1 as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
      detail: `no rule holds; the nearest, rule secret-rule (policy.yaml:3), fails on who; this person is { oidc: { issuer: "${issuer}", subject: "u\\"2" } }`,
    })
  })

  test.each([
    [github('583231'), '{ github: { id: "583231", login: maya } }'],
    [github('583231', { name: 'x\n' }), '{ github: { id: "583231", login: "x\\n" } }'],
    [github('583231', { name: 'true' }), '{ github: { id: "583231", login: "true" } }'],
    [
      github('1', { issuer: 'https://ghe.example.com' }),
      '{ github: { id: "1", login: maya, server: "ghe.example.com" } }',
    ],
  ])('writes the who line of the person into the log', (identity, line) => {
    expect(decide(load(''), identity, web)).toMatchObject({
      detail: `no rule names this host; this person is ${line}`,
    })
  })
})

describe('an ask', () => {
  const policy = load(rules(rule('a', { hosts: ['*'], logins: ['deploy', 'root'] })))

  test.each([
    ['WEB-1', 'deploy'],
    ['web-1.', 'deploy'],
    ['10.0.0.1', 'deploy'],
    ['0x7f.1', 'deploy'],
    ['2130706433', 'deploy'],
    ['bücher.example', 'deploy'],
    ['web-1,web-2', 'deploy'],
    ['', 'deploy'],
    ['web-1', 'ROOT'],
    ['web-1', 'deploy,root'],
    ['web-1', 'ｒｏｏｔ'],
    ['web-1', ''],
  ])('for %s as %s is refused, even where every host is allowed [ATTACKS 159]', (host, login) => {
    expect(decide(policy, staff, ask(host, login))).toMatchObject({
      kind: 'deny',
      code: 'policy_denied',
      reason: 'Write the host and the login in their canonical form.',
    })
  })

  test('may name punycode, which is then matched as it stands [ATTACKS 159]', () => {
    expect(say(policy, staff, ask('xn--bcher-kva.example', 'deploy'))).toBe('a')
    const exact = load(rules(rule('b', { hosts: ['xn--bcher-kva.example'] })))
    expect(say(exact, staff, ask('xn--bcher-kva.example', 'deploy'))).toBe('b')
    expect(say(exact, staff, ask('bucher.example', 'deploy'))).toMatch(/^no: /)
  })

  test('for root needs a rule that says root [ATTACKS 32]', () => {
    const deploy = load(rules(rule('a', { hosts: ['*'] })))
    expect(say(deploy, staff, ask('web-1', 'root'))).toBe(
      'no: No rule lets you log in to web-1 as root: there you may be deploy.',
    )
    expect(say(policy, staff, ask('web-1', 'root'))).toBe('a')
  })

  test('for another host or login than the rule names gets neither a part nor a whole [ATTACKS 30]', () => {
    const narrow = load(rules(rule('a')))
    expect(decide(narrow, staff, ask('web-2', 'deploy')).kind).toBe('deny')
    expect(decide(narrow, staff, ask('web-1', 'deploy2')).kind).toBe('deny')
  })
})

describe('a deny rule', () => {
  const night = {
    deny: 'root logins need daylight',
    who: ['everyone'],
    hosts: ['*'],
    logins: ['root'],
  }

  test('goes before every allow rule, in whichever file it stands', () => {
    const policy = load({
      'a.yaml': rules(rule('a', { logins: ['root', 'deploy'] })),
      'z.yaml': rules(rule('night', night)),
    })
    expect(say(policy, staff, ask('web-1', 'root'))).toBe('no: root logins need daylight')
    expect(say(policy, staff, ask('web-1', 'deploy'))).toBe('a')
  })

  test('spares whom it excepts, but grants them nothing', () => {
    const except = [{ oidc: { issuer, subject: 'u-1' } }]
    const policy = load(rules(rule('night', { ...night, except }), rule('a', { logins: ['root'] })))
    expect(say(policy, staff, ask('web-1', 'root'))).toBe('a')
    const other = oidc('u-2', { groups: ['staff'] })
    expect(say(policy, other, ask('web-1', 'root'))).toBe('no: root logins need daylight')
    const guest = oidc('u-1')
    expect(say(policy, guest, ask('web-1', 'root'))).toBe(
      'no: No rule lets you log in to web-1 as root. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
    )
  })

  test('crosses dots in its patterns, so that it reaches what it looks like it reaches', () => {
    const policy = load(
      rules(
        rule('a', { hosts: ['*'] }),
        rule('frozen', { ...night, hosts: ['db-*'], logins: ['d*'] }),
      ),
    )
    expect(say(policy, staff, ask('db-1.eu.example.com', 'deploy'))).toBe(
      'no: root logins need daylight',
    )
  })

  test('may name a client alone, since it only takes away', () => {
    const who = [{ oidc: { issuer, client: 'leaked' } }]
    const policy = load(rules(rule('a'), rule('cut', { ...night, who, logins: ['*'] })))
    expect(say(policy, { ...staff, client: 'leaked' }, web)).toBe('no: root logins need daylight')
    expect(say(policy, { ...staff, client: 'other' }, web)).toBe('a')
  })
})

test('what is decided is frozen, so that nobody downstream can widen it', () => {
  const decision = decide(load(rules(rule('a'))), staff, web)
  if (decision.kind !== 'allow') throw new Error(decision.reason)
  expect(Object.isFrozen(decision.grant)).toBe(true)
  expect(Object.isFrozen(decision.grant.principals)).toBe(true)
  expect(Object.isFrozen(decision.grant.criticalOptions)).toBe(true)
  expect(Object.isFrozen(decision.grant.extensions)).toBe(true)
})

test('memberships given to someone who is not GitHub’s mean nothing', () => {
  const policy = load(rules(rule('a', { who: [{ github: { org: 'acme' } }] })))
  const memberships = { ...none, orgs: [{ login: 'acme', id: '1' }] }
  expect(say(policy, staff, web, { memberships })).toMatch(/^no: /)
})
