import { describe, expect, test } from 'vitest'
import type { Identity } from '../../src/identity/index.ts'
import type { Ask, Question } from '../../src/policy/index.ts'
import {
  ask,
  check,
  github,
  issuer,
  load,
  member,
  none,
  noon,
  oidc,
  rule,
  rules,
  staff,
  warn,
} from './kit.ts'

const web = ask('web-1', 'deploy')

/** Decides one ask of staff by one rule, and says so in a word: the rule, or the code and the sentence. */
const say = (
  more: Readonly<Record<string, unknown>>,
  given: { readonly identity?: Identity; readonly ask?: Partial<Ask> } & Partial<
    Omit<Question, 'ask'>
  > = {},
): string => {
  const { ask: wanted = {}, ...rest } = given
  const decision = load(rules(rule('first', more), rule('second'))).evaluate({
    identity: staff,
    memberships: none,
    ask: { ...web, ...wanted },
    at: noon,
    ...rest,
  })
  return decision.kind === 'allow' ? decision.rule.name : `${decision.code}: ${decision.reason}`
}

const problem = (more: Readonly<Record<string, unknown>>): readonly string[] =>
  check(rules(rule('a', more))).map((line) => line.replace(/^\S+: /, ''))

const ago = (seconds: number) => new Date(noon.getTime() - seconds * 1000)

describe('require: a miss refuses with a code of its own and is never passed over', () => {
  const missing = 'mfa_required: Log in with a second factor, and send the new token.'
  test.each<[string, Partial<Identity>, string]>([
    ['no second factor', {}, missing],
    ['a second factor', { mfa: true }, 'first'],
  ])('mfa: true with %s', (_what, more, result) => {
    expect(say({ require: { mfa: true } }, { identity: { ...staff, ...more } })).toBe(result)
  })

  test('mfa: true is never met by GitHub, whatever the identity says', () => {
    const rest = { who: [{ github: { id: '1' } }], require: { mfa: true } }
    const identity = github('1', { mfa: true, authenticatedAt: noon })
    expect(say(rest, { identity })).toBe(missing)
  })

  const old =
    'mfa_required: Log in with a second factor, within the last 15m, and send the new token.'
  test.each<[string, Partial<Identity>, string]>([
    ['a login just now', { mfa: true, authenticatedAt: noon }, 'first'],
    ['one exactly that old', { mfa: true, authenticatedAt: ago(900) }, 'first'],
    ['one a second older', { mfa: true, authenticatedAt: ago(901) }, old],
    ['one whose time is not told', { mfa: true }, old],
    ['one of the near future, as clocks differ', { mfa: true, authenticatedAt: ago(-60) }, 'first'],
    ['one of the far future', { mfa: true, authenticatedAt: ago(-61) }, old],
    ['a new login without a second factor', { authenticatedAt: noon }, old],
  ])('mfa: 15m with %s', (_what, more, result) => {
    expect(say({ require: { mfa: '15m' } }, { identity: { ...staff, ...more } })).toBe(result)
  })

  test.each<[Record<string, unknown>, string | undefined, boolean]>([
    [{ minLength: 10 }, undefined, false],
    [{ minLength: 10 }, '', false],
    [{ minLength: 10 }, 'too short', false],
    [{ minLength: 10 }, 'ten it is.', true],
    [{ minLength: 10 }, '    a         b    ', false],
    [{ minLength: 2 }, '🚀', false],
    [{ ticket: 'OPS-9999' }, 'OPS-1234', true],
    [{ ticket: 'OPS-9999' }, 'for OPS-1234, at last', true],
    [{ ticket: 'OPS-9999' }, 'OPS-123', false],
    [{ ticket: 'OPS-9999' }, 'OPS-12345', false],
    [{ ticket: 'OPS-9999' }, 'DEVOPS-1234', false],
    [{ ticket: 'OPS-9999' }, 'ops-1234', false],
    [{ ticket: 'OPS-9999' }, 'OPS-9９99', false],
    [{ ticket: 'OPS-9999' }, undefined, false],
    [{ ticket: ['OPS-999', 'OPS-9999'] }, 'OPS-123', true],
    [{ ticket: 'A.9' }, 'Ax1', false],
    [{ ticket: 'A.9' }, 'A.1', true],
    [{ ticket: '#99' }, 'fixes #42', true],
    [{ ticket: 'OPS-99', minLength: 12 }, 'OPS-12', false],
    [{ ticket: 'OPS-99', minLength: 12 }, 'OPS-12: reboot', true],
  ])('reason: %o with %o is met: %o', (reason, text, isMet) => {
    const wanted = text === undefined ? {} : { reason: text }
    const said = say({ require: { reason } }, { ask: wanted })
    expect(said.startsWith('reason_required: Give a reason with ') ? false : said === 'first').toBe(
      isMet,
    )
  })

  test('reason says what it must hold', () => {
    expect(say({ require: { reason: { minLength: 5, ticket: ['A-9', 'B-9'] } } })).toBe(
      'reason_required: Give a reason with at least 5 characters and a ticket like A-9 or B-9.',
    )
  })

  test.each<[string | undefined, string]>([
    ['10.2.3.4', 'first'],
    ['2001:db8::1', 'first'],
    ['10.3.0.1', 'address_denied: This is not allowed from your address, 10.3.0.1.'],
    ['::ffff:a02:304', 'first'],
    [undefined, 'address_denied: This is not allowed from your address.'],
  ])('callerAddresses with %s [ATTACKS 158]', (address, result) => {
    const require = { callerAddresses: ['10.2.0.0/16', '2001:db8::/32'] }
    expect(say({ require }, address === undefined ? {} : { address })).toBe(result)
  })

  test.each<[string, Partial<Identity>, string]>([
    ['a new one', { issuedAt: noon }, 'first'],
    ['one of that age', { issuedAt: ago(600) }, 'first'],
    [
      'an older one',
      { issuedAt: ago(601) },
      'token_too_old: Send a token issued within the last 10m.',
    ],
    ['one without an age', {}, 'token_too_old: Send a token issued within the last 10m.'],
  ])('tokenMaxAge: 10m with %s', (_what, more, result) => {
    expect(say({ require: { tokenMaxAge: '10m' } }, { identity: { ...staff, ...more } })).toBe(
      result,
    )
  })

  const proof =
    'proof_required: Sign the request with the key to be certified, and send the signature as its proof.'
  test.each<[boolean | undefined, string]>([
    [true, 'first'],
    [false, proof],
    [undefined, proof],
  ])('proof with hasProof %s', (hasProof, result) => {
    expect(say({ require: { proof: true } }, hasProof === undefined ? {} : { hasProof })).toBe(
      result,
    )
  })

  test('everything that is missing is said at once, under the first code', () => {
    expect(
      say({ require: { mfa: true, proof: true }, maxTtl: '10m' }, { ask: { ttlSeconds: 601 } }),
    ).toBe(`${missing} ${proof.slice(proof.indexOf(' ') + 1)} Ask for a ttl of at most 10m.`)
  })

  test.each<[Record<string, unknown>, string]>([
    [{ require: {} }, 'require: asks for nothing; name something or leave it out'],
    [{ require: { mfa: false } }, 'mfa: must be true, or an age as 15m'],
    [{ require: { mfa: 15 } }, 'mfa: must be true, or an age as 15m'],
    [{ require: { proof: false } }, 'proof: must be true, or left out'],
    [{ require: { reason: {} } }, 'reason: asks for nothing: add minLength or ticket'],
    [{ require: { reason: { minLength: 0 } } }, 'minLength: must be a whole number from 1 to 512'],
    [
      { require: { reason: { minLength: 513 } } },
      'minLength: must be a whole number from 1 to 512',
    ],
    [
      { require: { reason: { ticket: 'OPS-123' } } },
      'ticket: must be the shape of a ticket, as OPS-9999: a 9 stands for any digit, other digits for nothing',
    ],
    [
      { require: { reason: { ticket: [] } } },
      'ticket: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [
      { require: { callerAddresses: ['10.2.0.1/16'] } },
      'callerAddresses: must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32',
    ],
    [
      { deny: 'no', require: { mfa: true } },
      'unknown key "require"; known are name, deny, who, except, hosts, logins, when',
    ],
  ])('%o is refused', (more, message) => {
    expect(problem(more)).toEqual([message])
  })
})

describe('hosts', () => {
  const hosts = `hosts:
  - { name: web-1, labels: { env: ci, tier: web } }
  - { name: db-1, labels: { env: ci } }
  - { name: db-2 }
hostGroups:
  fleet: ["app-*", { label: tier=web }]
`
  const decide = (entry: unknown, host: string, more = {}): string =>
    load(`${hosts}${rules(rule('a', { hosts: [entry], ...more }))}`).evaluate({
      identity: staff,
      memberships: none,
      ask: ask(host, 'deploy'),
      at: noon,
    }).kind

  test.each<[unknown, readonly string[], readonly string[]]>([
    [{ label: 'env=ci' }, ['web-1', 'db-1'], ['db-2', 'web-2']],
    [{ label: 'tier=web' }, ['web-1'], ['db-1']],
    [{ label: 'env=c' }, [], ['web-1', 'db-1']],
    [{ hostGroup: 'fleet' }, ['app-1', 'web-1'], ['app-1.x', 'db-1']],
  ])('%o are those and no others', (entry, yes, no) => {
    for (const host of yes) expect(decide(entry, host), host).toBe('allow')
    for (const host of no) expect(decide(entry, host), host).toBe('deny')
  })

  test('are the same in a deny rule, whose patterns cross dots', () => {
    const policy = load(
      `${hosts}${rules(rule('no', { deny: 'no', hosts: [{ hostGroup: 'fleet' }] }))}`,
    )
    for (const host of ['app-1', 'app-1.example.com', 'web-1']) {
      const decision = policy.evaluate({
        identity: staff,
        memberships: none,
        ask: ask(host, 'deploy'),
        at: noon,
      })
      expect(decision).toMatchObject({ kind: 'deny', reason: 'no' })
    }
  })

  test('with a label that no known host has match nothing, and are warned of', () => {
    expect(warn(`${hosts}${rules(rule('a', { hosts: [{ label: 'env=prod' }] }))}`)).toEqual([
      expect.stringMatching(
        /^policy\.yaml:8:\d+: label: no host of the list "hosts" has env=prod, so this matches nothing$/,
      ),
    ])
  })

  test.each<[string, string]>([
    [
      'hosts: [{ name: a }, { name: a }]',
      'name: is the name of the host at policy.yaml:1 already; keep one',
    ],
    ['hosts: [{ name: 10.0.0.1 }]', 'name: must be a name: a host is never known by its address'],
    [
      'hosts: [{ name: a, labels: { ENV: ci } }]',
      'a label is named with lower-case letters, digits and hyphens, as env',
    ],
    [
      'hosts: [{ name: a, labels: { env: 7 } }]',
      'env: must be text; put it in quotes where YAML reads it as something else',
    ],
    ['hosts: [{ name: a, lables: {} }]', 'unknown key "lables"; did you mean "labels"?'],
    [
      'hostGroups: { a: [] }',
      'is an empty list, which grants nothing; name something or leave the key out',
    ],
    ['hostGroups: { a: [{ hostGroup: b }] }', 'groups name hosts, not other groups'],
    [
      'hostGroups: { A: [x] }',
      'groups are named with lower-case letters, digits and hyphens, at most 64',
    ],
    [
      rules(rule('a', { hosts: [{ hostGroup: 'fleat' }] })),
      'hostGroup: unknown group of hosts "fleat"',
    ],
    [
      rules(rule('a', { hosts: [{ label: 'env' }] })),
      'label: must be KEY=VALUE of one label, in lower case, as env=ci',
    ],
  ])('%s is refused', (text, message) => {
    expect(check(text).map((line) => line.replace(/^\S+: /, ''))).toEqual([message])
  })

  test('groups have one meaning in all the files', () => {
    const text = 'hostGroups: { a: [x] }\n'
    expect(check({ 'a.yaml': text, 'b.yaml': text })).toEqual([
      'b.yaml:1:15: the name a stands for other hosts already; choose another',
    ])
  })
})

describe('an e-mail domain', () => {
  const who = [{ oidc: { issuer, emailDomain: 'example.com' } }]
  test.each<[string | undefined, boolean]>([
    ['maya@example.com', true],
    ['maya@EXAMPLE.com', true],
    ['maya@mail.example.com', false],
    ['maya@example.com.evil.example', false],
    ['maya@notexample.com', false],
    ['example.com', false],
    ['a@evil.example@example.com', true],
    ['maya@example.com@evil.example', false],
    ['maya@ex\u00e4mple.com', false],
    [undefined, false],
  ])('is the whole domain of a verified address: %s is in it: %s [ATTACKS 103]', (email, isIn) => {
    const identity = oidc('u-1', email === undefined ? {} : { email })
    const decision = load(rules(rule('a', { who }))).evaluate({
      identity,
      memberships: none,
      ask: web,
      at: noon,
    })
    expect(decision.kind).toBe(isIn ? 'allow' : 'deny')
  })

  test.each([
    'Example.com',
    '@example.com',
    '*.example.com',
    'com',
    'example.com.',
    'ex\u00e4mple.com',
  ])('%s is refused', (emailDomain) => {
    expect(problem({ who: [{ oidc: { issuer, emailDomain } }] })).toEqual([
      'emailDomain: must be a domain in lower case, as example.com, without "@" or "*"; its subdomains are others',
    ])
  })

  test('is no identity at Microsoft', () => {
    const microsoft = 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0'
    expect(problem({ who: [{ oidc: { issuer: microsoft, emailDomain: 'example.com' } }] })).toEqual(
      ['emailDomain: is no identity at Microsoft, where a tenant may set any: use the claim oid'],
    )
  })
})

describe('what is granted', () => {
  const grant = (more: Readonly<Record<string, unknown>>, rest: Partial<Question> = {}) => {
    const decision = load(rules(rule('a', more))).evaluate({
      identity: staff,
      memberships: none,
      ask: web,
      at: noon,
      ...rest,
    })
    return decision.kind === 'allow' ? decision : expect.unreachable(decision.reason)
  }

  test('extensions may have values, with the login in them', () => {
    const extensions = [
      'permit-pty',
      { 'login@github.com': '{login}' },
      { 'team@acme.example': 'of {login}, {login}' },
    ]
    expect(grant({ extensions }).grant.extensions).toEqual({
      'login@github.com': 'deploy',
      'permit-pty': '',
      'team@acme.example': 'of deploy, deploy',
    })
    expect(Object.keys(grant({ extensions }).grant.extensions)).toEqual([
      'login@github.com',
      'permit-pty',
      'team@acme.example',
    ])
  })

  const vendor =
    'must be one { NAME@DOMAIN: VALUE }, as { login@github.com: "{login}" }, not of openssh.com'
  test.each<[unknown, string]>([
    [{}, vendor],
    [{ 'a@b.example': 'x', 'c@d.example': 'y' }, vendor],
    [{ 'permit-pty': 'x' }, vendor],
    [{ 'force-command': 'x' }, vendor],
    [{ 'no-touch-required@openssh.com': 'x' }, vendor],
    [{ 'x@sub.openssh.com': 'x' }, vendor],
    [{ 'a@b.example': '' }, 'a@b.example: must be 1 to 256 printable ASCII characters'],
    [{ 'a@b.example': 'x\ny' }, 'a@b.example: must be 1 to 256 printable ASCII characters'],
    [{ 'a@b.example': '{host}' }, 'a@b.example: only {login} stands in braces'],
  ])('but not %o [ATTACKS 46]', (extension, message) => {
    expect(problem({ extensions: [extension] })).toEqual([
      message === vendor ? `extensions: ${message}` : message,
    ])
  })

  test('one extension has one value', () => {
    const extensions = [{ 'a@b.example': 'x' }, { 'a@b.example': 'y' }]
    expect(problem({ extensions })).toEqual([
      'extensions: a@b.example has another value already; keep one',
    ])
  })

  test.each([
    ['192.0.2.7', '192.0.2.7/32'],
    ['2001:db8::7', '2001:db8::7/128'],
  ])('sourceAddresses: caller binds the certificate to %s', (address, block) => {
    expect(grant({ sourceAddresses: 'caller' }, { address }).grant.criticalOptions).toEqual({
      'source-address': block,
    })
  })

  test.each([undefined, '', 'unknown', '300.1.1.1'])(
    'and is refused where the address is %o, which could bind it to nothing',
    (address) => {
      expect(say({ sourceAddresses: 'caller' }, address === undefined ? {} : { address })).toBe(
        'address_denied: Your address is not known to the service, and the certificate would be bound to it.',
      )
    },
  )

  test('maxPerHour and alert go with the decision', () => {
    expect(grant({ maxPerHour: 5, alert: true })).toMatchObject({ maxPerHour: 5, alert: true })
    const plain = grant({ alert: false })
    expect(plain).not.toHaveProperty('alert')
    expect(plain).not.toHaveProperty('maxPerHour')
  })

  test.each([0, -1, 1.5, 1001, '5', null])('maxPerHour: %o is refused', (maxPerHour) => {
    expect(problem({ maxPerHour })).toEqual(['maxPerHour: must be a whole number from 1 to 1000'])
  })
})

describe('roles', () => {
  const policy = load({
    'a.yaml': `identities:
  sre: [{ github: { team: acme/sre } }]
roles:
  admin: [{ identities: sre }]
`,
    'b.yaml': `roles:
  admin: [{ oidc: { issuer: "${issuer}", subject: root } }]
  auditor: [{ oidc: { issuer: "${issuer}", groups: [audit] } }, { github: { org: other } }]
`,
  })

  test.each<[string, Identity, readonly string[], readonly string[]]>([
    ['whom no file names', oidc('u-1'), [], []],
    ['a subject', oidc('root'), [], ['admin']],
    ['a group', oidc('u-1', { groups: ['audit'] }), [], ['auditor']],
    ['one who is both', oidc('root', { groups: ['audit'] }), [], ['admin', 'auditor']],
    ['a team', github('1'), ['acme/sre'], ['admin']],
    ['an organisation', github('1'), ['other'], ['auditor']],
    ['another team', github('1'), ['acme/dev'], []],
  ])('of %s', (_what, identity, memberships, expected) => {
    expect([...policy.findRoles(identity, member(...memberships))].sort()).toEqual(expected)
  })

  test('ask GitHub for what they need, and nobody else', () => {
    expect(policy.listRoleQuestions(github('1'))).toEqual([
      { kind: 'team', org: 'acme', team: 'sre' },
      { kind: 'org', org: 'other' },
    ])
    expect(policy.listRoleQuestions(oidc('root'))).toEqual([])
  })

  test('are nobody’s where no file speaks of them', () => {
    expect([...load(rules(rule('a'))).findRoles(staff, none)]).toEqual([])
  })

  test.each<[string, string]>([
    ['roles: { admin: [everyone] }', 'admin: everyone stands only in the who of a deny rule'],
    [
      'roles: { admin: [] }',
      'admin: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [
      'roles: { admin: [{ identities: nobody }] }',
      'identities: unknown name of identities "nobody"',
    ],
    ['roles: { owner: [] }', 'unknown key "owner"; known are admin, auditor'],
    ['roles: [admin]', 'must be a map of keys'],
    ['roles:', 'is empty: write a value, or leave the key out'],
  ])('%s is refused', (text, message) => {
    expect(check(text).map((line) => line.replace(/^\S+: /, ''))).toEqual([
      expect.stringContaining(message),
    ])
  })
})

describe('tests of the policy’s own', () => {
  const policy = rules(
    rule('a', {
      require: { mfa: '15m', callerAddresses: ['10.0.0.0/8'], tokenMaxAge: '10m', proof: true },
      extensions: [{ 'login@github.com': '{login}' }],
    }),
  )
  const good = {
    who: { oidc: { issuer, groups: ['staff'], mfa: '5m', tokenAge: '1m' } },
    from: '10.1.2.3',
    ask: { host: 'web-1', login: 'deploy', proof: true },
    expect: { allow: 'a', extensions: [{ 'login@github.com': 'deploy' }] },
  }
  const run = (given: Readonly<Record<string, unknown>>): readonly string[] =>
    check(`${policy}tests:\n  - ${JSON.stringify({ name: 'it', ...good, ...given })}\n`).map(
      (line) => line.replace(/^\S+: /, ''),
    )

  test('say the age of a login and a token, the address, and that there is a proof', () => {
    expect(run({})).toEqual([])
  })

  test.each<[Record<string, unknown>, string]>([
    [{ who: { oidc: { issuer, groups: ['staff'], mfa: '16m' } } }, 'mfa_required'],
    [{ who: { oidc: { issuer, groups: ['staff'] } } }, 'mfa_required'],
    [{ who: { oidc: { issuer, groups: ['staff'], mfa: true, tokenAge: '11m' } } }, 'token_too_old'],
    [{ from: '192.0.2.1' }, 'address_denied'],
    [{ from: undefined }, 'address_denied'],
    [{ ask: { host: 'web-1', login: 'deploy' } }, 'proof_required'],
    [{ ask: { host: 'web-2', login: 'deploy', proof: true } }, 'policy_denied'],
  ])('expect the code of a refusal: %o', (given, code) => {
    expect(run({ ...given, expect: { deny: code } })).toEqual([])
    expect(run({ ...given, expect: { deny: 'ttl_too_long' } })).toEqual([
      expect.stringMatching(/^test "it": expected deny by ttl_too_long, got deny/),
    ])
  })

  test('expect a rule with a code', () => {
    const given = { from: '192.0.2.1' }
    expect(run({ ...given, expect: { deny: 'a', code: 'address_denied' } })).toEqual([])
    expect(run({ ...given, expect: { deny: 'a', code: 'mfa_required' } })).toEqual([
      'test "it": expected deny by a with mfa_required, got deny by a: This is not allowed from your address, 192.0.2.1.',
    ])
    expect(run({ expect: { deny: 'no_such_code' } })[0]).toMatch(
      /^deny: must be one of policy_denied, /,
    )
  })
})

describe('an e-mail address', () => {
  const whole = 'email: must be one whole address; for all of a domain write emailDomain'
  // As no address of a token is written: a rule that denies it would deny nobody.
  test.each([
    ['maya@Example.com', 'email: must have its domain in lower case: "example.com"'],
    ['m\u00e4ya@example.com', whole],
    ['a:b@example.com', whole],
    ['maya@192.0.2.7', whole],
    ['maya@-example.com', whole],
  ])('%s is refused', (email, message) => {
    for (const more of [{}, { deny: 'no' }]) {
      expect(problem({ who: [{ oidc: { issuer, email } }], ...more })).toEqual([message])
    }
  })

  test('may have letters of either case before its "@"', () => {
    expect(problem({ who: [{ oidc: { issuer, email: "Maya.O'Neil+x@example.com" } }] })).toEqual([])
  })
})
