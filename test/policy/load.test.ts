import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatProblem } from '../../src/lib/yaml.ts'
import { loadPolicy } from '../../src/policy/load.ts'
import type { PolicyResult } from '../../src/policy/parse.ts'
import { check, load, rule, rules, warn } from './kit.ts'

/** The problems of one rule, without the place they all share. */
const problem = (more: Readonly<Record<string, unknown>>, maxTtlSeconds?: number) =>
  check(rules(rule('a', more)), maxTtlSeconds === undefined ? {} : { maxTtlSeconds }).map((line) =>
    line.replace(/^\S+: /, ''),
  )

const emptyList = 'is an empty list, which grants nothing; name something or leave the key out'
const duration = 'must be a whole number and a unit, as "5m", "90s", "1h" or "1d"'
const extensions =
  "must be one of OpenSSH's names: permit-X11-forwarding, permit-agent-forwarding, permit-port-forwarding, permit-pty, permit-user-rc; or { NAME@DOMAIN: VALUE }"

describe('a rule that could mean more than it shows is refused', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['no hosts [ATTACKS 144]', { hosts: [] }, `hosts: ${emptyList}`],
    [
      'hosts of null [ATTACKS 144]',
      { hosts: null },
      'hosts: is empty: write a value, or leave the key out',
    ],
    ['hosts that are left out [ATTACKS 144]', { hosts: undefined }, '"hosts" is missing'],
    ['no logins [ATTACKS 144]', { logins: [] }, `logins: ${emptyList}`],
    [
      'a login of null [ATTACKS 144]',
      { logins: [null] },
      'logins: is empty: write a value, or leave the key out',
    ],
    ['no principals [ATTACKS 144]', { principals: [] }, `principals: ${emptyList}`],
    [
      'principals of null [ATTACKS 144]',
      { principals: null },
      'principals: is empty: write a value, or leave the key out',
    ],
    [
      'an empty principal',
      { principals: [''] },
      'principals: is empty; write a principal, as "{login}@{host}"',
    ],
    ['no extensions', { extensions: [] }, `extensions: ${emptyList}`],
    ['no source addresses', { sourceAddresses: [] }, `sourceAddresses: ${emptyList}`],
    ['no commands', { commands: {} }, 'commands: is empty; name a command or leave it out'],
    ['one host where a list belongs', { hosts: 'web-1' }, 'hosts: must be a list, as [a, b]'],
    [
      'a number for a host [ATTACKS 142]',
      { hosts: [10] },
      'hosts: must be text; put it in quotes where YAML reads it as something else',
    ],
    [
      'a truth for a login [ATTACKS 142]',
      { logins: [true] },
      'logins: must be text; put it in quotes where YAML reads it as something else',
    ],
    [
      'every login at once [ATTACKS 32]',
      { logins: ['*'] },
      'logins: must be one login: an allow rule names each, root too; no patterns',
    ],
    [
      'a login no system has',
      { logins: ['Root'] },
      'logins: must be a login: a lower-case letter or "_", then at most 31 of a-z 0-9 _ . -',
    ],
    [
      'a host in upper case [ATTACKS 159]',
      { hosts: ['Web-1'] },
      'hosts: must be in lower case: "web-1"',
    ],
    [
      'a host with a dot at its end [ATTACKS 159]',
      { hosts: ['web-1.'] },
      'hosts: must not end with a dot',
    ],
    [
      'an address [ATTACKS 159]',
      { hosts: ['192.0.2.1'] },
      'hosts: must be a name: a host is never known by its address',
    ],
    [
      'an address of the other kind [ATTACKS 159]',
      { hosts: ['2001:db8::1'] },
      'hosts: must be a name: a host is never known by its address',
    ],
    [
      'a name that no rule may have',
      { name: 'A rule' },
      'name: must be a name of lower-case letters, digits and hyphens, at most 64',
    ],
    ['no ttl', { ttl: undefined }, '"ttl" is missing'],
    ['a ttl of 60 [ATTACKS 39, 143]', { ttl: 60 }, `ttl: ${duration}; is it "60s" or "60m"?`],
    ['a ttl of "60" [ATTACKS 143]', { ttl: '60' }, `ttl: ${duration}`],
    ['a ttl of 0s [ATTACKS 143]', { ttl: '0s' }, `ttl: ${duration}`],
    ['a ttl of -1m [ATTACKS 143]', { ttl: '-1m' }, `ttl: ${duration}`],
    ['a ttl of 1e3 [ATTACKS 143]', { ttl: '1e3' }, `ttl: ${duration}`],
    ['a ttl of 1.5h [ATTACKS 143]', { ttl: '1.5h' }, `ttl: ${duration}`],
    ['a ttl of 1h30m [ATTACKS 143]', { ttl: '1h30m' }, `ttl: ${duration}`],
    [
      'a ttl above its maxTtl',
      { ttl: '10m', maxTtl: '5m' },
      'ttl: is more than maxTtl, 5m; lower it',
    ],
    [
      'an unknown extension [ATTACKS 53]',
      { extensions: ['permit-all'] },
      `extensions: ${extensions}`,
    ],
    [
      'a restriction as an extension',
      { extensions: ['force-command'] },
      `extensions: ${extensions}`,
    ],
    [
      'a command with port forwarding [ATTACKS 51]',
      { commands: { a: 'b' }, extensions: ['permit-pty', 'permit-port-forwarding'] },
      'extensions: permit-port-forwarding opens a way around the commands; leave one of the two out',
    ],
    [
      'a command with agent forwarding [ATTACKS 51]',
      { commands: { a: 'b' }, extensions: ['permit-agent-forwarding'] },
      'extensions: permit-agent-forwarding opens a way around the commands; leave one of the two out',
    ],
    [
      'a command with X11 forwarding [ATTACKS 51]',
      { commands: { a: 'b' }, extensions: ['permit-X11-forwarding'] },
      'extensions: permit-X11-forwarding opens a way around the commands; leave one of the two out',
    ],
    [
      'a command of two lines',
      { commands: { a: 'b\nc' } },
      'a: holds control characters; write one plain line',
    ],
    ['a command that says nothing', { commands: { a: ' ' } }, 'a: is empty; write a sentence'],
    [
      'a command that is not named',
      { commands: { 'A b': 'c' } },
      'a command is named with lower-case letters, digits and hyphens, at most 64',
    ],
    [
      'a command of null',
      { commands: { a: null } },
      'a: is empty: write a value, or leave the key out',
    ],
    [
      'a block with host bits [ATTACKS 158]',
      { sourceAddresses: ['10.2.0.1/16'] },
      'sourceAddresses: must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32',
    ],
    [
      'a mapped address [ATTACKS 158]',
      { sourceAddresses: ['::ffff:10.0.0.1'] },
      'sourceAddresses: must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32',
    ],
    [
      'an address with a zone [ATTACKS 158]',
      { sourceAddresses: ['fe80::1%eth0'] },
      'sourceAddresses: must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32',
    ],
    [
      'an unknown placeholder [ATTACKS 152]',
      { principals: ['{claim}@{host}'] },
      'principals: only {login} and {host} stand in braces',
    ],
    [
      'a doubled placeholder [ATTACKS 152]',
      { principals: ['{{login}}@{host}'] },
      'principals: only {login} and {host} stand in braces',
    ],
    [
      'two principals in one [ATTACKS 152]',
      { principals: ['{login}@{host},root'] },
      'principals: may hold only a-z 0-9 . _ @ : - beside {login} and {host}',
    ],
    [
      'a principal two logins share',
      { principals: ['{login}-{host}@x'] },
      'principals: needs an "@" or ":" between its placeholders',
    ],
    [
      'a principal for every host',
      { principals: ['{login}'] },
      'principals: "{login}" can open every host that trusts the CA: write "{login}@{host}", or fleetWide: true beside it',
    ],
    [
      'a principal that is a login on another host',
      { principals: ['{host}'] },
      'principals: "{host}" can open every host that trusts the CA: write "{login}@{host}", or fleetWide: true beside it',
    ],
    [
      'fleetWide that nothing needs',
      { fleetWide: true },
      'fleetWide: says what no principal here does; leave it out',
    ],
    [
      'fleetWide as text',
      { principals: ['{login}'], fleetWide: 'yes' },
      'fleetWide: must be true or false',
    ],
    [
      'the words of later issues',
      { require: { approval: true } },
      'unknown key "approval"; known are mfa, reason, callerAddresses, tokenMaxAge, proof',
    ],
    [
      'a misspelt key [ATTACKS 140]',
      { princpals: ['x'] },
      'unknown key "princpals"; did you mean "principals"?',
    ],
    [
      'a key in another spelling [ATTACKS 140]',
      { 'max-ttl': '5m' },
      'unknown key "max-ttl"; did you mean "maxTtl"?',
    ],
    [
      'a deny rule with a ttl',
      { deny: 'no', ttl: '5m' },
      'unknown key "ttl"; known are name, deny, who, except, hosts, logins, when',
    ],
    ['a deny rule that says nothing', { deny: '' }, 'deny: is empty; write a sentence'],
    [
      'a deny rule with a claim',
      { deny: 'no', logins: [{ claim: 'x' }] },
      'logins: must be text; put it in quotes where YAML reads it as something else',
    ],
    ['a deny rule that spares nobody', { deny: 'no', except: [] }, `except: ${emptyList}`],
    [
      'a deny rule that spares everyone',
      { deny: 'no', except: ['everyone'] },
      'except: everyone stands only in the who of a deny rule',
    ],
  ])('for %s', (_name, more, message) => {
    expect(problem(more)).toEqual([message])
  })

  test('for a ttl the configuration does not allow', () => {
    expect(problem({ ttl: '2h' }, 3600)).toEqual([
      'ttl: is more than ca.maxTtl of the configuration, 1h; lower it',
    ])
    expect(problem({ maxTtl: '61m' }, 3600)).toEqual([
      'maxTtl: is more than ca.maxTtl of the configuration, 1h; lower it',
    ])
    expect(problem({ ttl: '1h', maxTtl: '60m' }, 3600)).toEqual([])
  })

  test.each(['.inf', '.nan', '-1', '0', '1e3', '~', '2026-11-22', '[5m]'])(
    'for the YAML ttl %s, whatever it means there [ATTACKS 143]',
    (ttl) => {
      const text = `rules:\n  - { name: a, who: [{ github: { id: "1" } }], hosts: [a], logins: [b], ttl: ${ttl} }\n`
      expect(check(text)).toHaveLength(1)
      expect(check(text)[0]).toMatch(/^policy\.yaml:2:\d+: ttl: /)
    },
  )
})

describe('the problems of a policy', () => {
  test('are all told at once, of all files, in order of their place, each with what to write', () => {
    const text = [
      'identities:',
      '  ops: []',
      'rulez: []',
      'rules:',
      '  - nme: a',
      '    who: [everyone]',
      '    hosts: [Web-1, "!x"]',
      '    logins: [deploy]',
      '    ttl: 60',
      '  - { name: b, who: [{ identities: ops }], hosts: [a], logins: [b], ttl: 9m, maxTtl: 5m }',
      '  - { name: b, who: [{ identities: opps }], hosts: [a], logins: [b], ttl: 5m }',
    ].join('\n')
    expect(check({ 'b.yaml': text, 'a.yaml': 'rules: {}\n', 'c.yaml': 'rules: [' })).toEqual([
      'a.yaml:1:8: rules: must be a list, as [a, b]',
      `b.yaml:2:8: ${emptyList}`,
      'b.yaml:3:1: unknown key "rulez"; did you mean "rules"?',
      'b.yaml:5:5: "name" is missing',
      'b.yaml:5:5: unknown key "nme"; did you mean "name"?',
      'b.yaml:6:11: who: everyone stands only in the who of a deny rule',
      'b.yaml:7:13: hosts: must be in lower case: "web-1"',
      'b.yaml:7:20: hosts: there is no "!": write a deny rule for what must stay out',
      `b.yaml:9:10: ttl: ${duration}; is it "60s" or "60m"?`,
      'b.yaml:10:74: ttl: is more than maxTtl, 5m; lower it',
      'b.yaml:11:13: name: is the name of the rule at b.yaml:10 already; choose another',
      'b.yaml:11:36: identities: unknown name of identities "opps"; did you mean "ops"?',
      'c.yaml:1:8: the list that opens here is not closed; write its ]',
    ])
  })

  test('name the other file where two rules have one name', () => {
    expect(check({ 'a.yaml': rules(rule('a')), 'b.yaml': rules(rule('a')) })).toEqual([
      'b.yaml:2:13: name: is the name of the rule at a.yaml:2 already; choose another',
    ])
  })

  test.each([
    ['a list', '- a\n', 'policy.yaml:1:1: must be a map of keys'],
    ['a word', 'allow\n', 'policy.yaml:1:1: must be a map of keys'],
    [
      'identities that are a list',
      'identities: []\n',
      'policy.yaml:1:13: identities: must be a map of keys',
    ],
    [
      'rules of null',
      'rules:\n',
      'policy.yaml:1:7: rules: is empty: write a value, or leave the key out',
    ],
    ['a rule that is a word', 'rules: [allow]\n', 'policy.yaml:1:9: must be a map of keys'],
    [
      'allow: {} [ATTACKS 145]',
      'allow: {}\n',
      'policy.yaml:1:1: unknown key "allow"; known are identities, hostGroups, hosts, roles, rules, tests',
    ],
  ])('are told for a file that is %s', (_name, text, message) => {
    expect(check(text)).toEqual([message])
  })
})

describe('a policy that loads', () => {
  test.each(['', '# only a comment\n', '{}\n', 'rules: []\n', 'identities: {}\n'])(
    'but has no rules is warned about: %j [ATTACKS 145]',
    (text) => {
      expect(warn(text)).toEqual([
        '*.yaml:1:1: there are no rules, so every request is refused; write one',
      ])
    },
  )

  test('says in words what opens another login than the one that is asked for', () => {
    const text = (logins: readonly string[]) =>
      rules(rule('up', { logins, principals: ['root@{host}', 'up:{host}', '{login}@{host}'] }))
    for (const logins of [['deploy'], ['root', 'deploy']]) {
      expect(warn(text(logins))).toEqual([
        expect.stringMatching(
          /^policy\.yaml:2:\d+: principals: a certificate by up opens root on the host whatever login was asked for, past every rule that denies root \("root@\{host\}"\); write \{login\}$/,
        ),
      ])
    }
    expect(warn(text(['root']))).toEqual([])
  })

  test('says in words what opens the whole fleet', () => {
    const text = rules(rule('wide', { principals: ['{login}', '{login}@{host}'], fleetWide: true }))
    expect(warn(text)).toEqual([
      expect.stringMatching(
        /^policy\.yaml:2:\d+: principals: a certificate by wide can open every host that trusts the CA, not only the one asked for \("\{login\}"\)$/,
      ),
    ])
    expect(warn(rules(rule('narrow')))).toEqual([])
  })

  test('warns of a star where there are no patterns [ATTACKS 129]', () => {
    const oidc = {
      issuer: 'https://a.example',
      subject: 'repo:acme/*',
      claims: { ref: ['main', 'v*'] },
    }
    const message = (name: string) =>
      expect.stringContaining(
        `${name}: ${name} is compared whole: "*" stands for itself, it is no pattern here`,
      )
    expect(warn(rules(rule('a', { who: [{ oidc }] })))).toEqual([
      message('subject'),
      message('ref'),
    ])
    expect(warn(`identities: { ops: ${JSON.stringify([{ oidc }])} }\n${rules(rule('a'))}`)).toEqual(
      [message('subject'), message('ref')],
    )
  })

  test('has one hash for one set of files, and another for any other', () => {
    const files = { 'a.yaml': rules(rule('a')), 'b.yaml': rules(rule('b')) }
    const hash = load(files).sha256
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(load({ 'b.yaml': files['b.yaml'], 'a.yaml': files['a.yaml'] }).sha256).toBe(hash)
    expect(load({ ...files, 'b.yaml': `${files['b.yaml']}#` }).sha256).not.toBe(hash)
    expect(load({ 'a.yaml': files['a.yaml'], 'c.yaml': files['b.yaml'] }).sha256).not.toBe(hash)
    expect(load({ ...files, 'c.yaml': '' }).sha256).not.toBe(hash)
  })

  test('holds its files as they were read, and cannot be changed', () => {
    const text = `# kept\n${rules(rule('a'))}`
    const policy = load({ 'a.yaml': text })
    expect(policy.files).toEqual({ 'a.yaml': text })
    expect(policy.ruleCount).toBe(1)
    expect(Object.isFrozen(policy)).toBe(true)
    expect(Object.isFrozen(policy.files)).toBe(true)
  })
})

describe('a policy directory', () => {
  let directory: string
  const write = (name: string, text: string | Uint8Array) => writeFile(join(directory, name), text)
  const read = async () => formatResult(await loadPolicy(directory))
  const formatResult = (result: PolicyResult) =>
    (result.ok ? [`${result.policy.ruleCount} rules`] : result.problems.map(formatProblem)).map(
      (line) => line.replace(directory, 'DIR'),
    )

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-policy-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test('is read whole: each *.yaml directly in it, links followed, hidden files left alone', async () => {
    await write('b.yaml', rules(rule('b')))
    await write('a.yaml', rules(rule('a')))
    await write('notes.txt', 'not ours')
    await write('.#a.yaml', 'an editor’s: [')
    await mkdir(join(directory, 'data'))
    await writeFile(join(directory, 'data', 'c.yaml'), rules(rule('c')))
    await symlink(join('data', 'c.yaml'), join(directory, 'c.yaml'))
    const result = await loadPolicy(directory)
    expect(result.ok && Object.keys(result.policy.files)).toEqual(['a.yaml', 'b.yaml', 'c.yaml'])
  })

  test('is refused where it is not there [ATTACKS 156]', async () => {
    await rm(directory, { recursive: true })
    expect(await read()).toEqual([
      "DIR:1:1: the policy directory can't be read (ENOENT); create it, or mend policyDir",
    ])
    await mkdir(directory)
  })

  test('may be empty, and then refuses everything [ATTACKS 145]', async () => {
    const result = await loadPolicy(directory)
    expect(result.ok && result.warnings).toHaveLength(1)
  })

  test('is refused whole for one file that is half written, gone, or not a file [ATTACKS 156]', async () => {
    await write('a.yaml', rules(rule('a')))
    await write('b.yaml', 'rules:\n  - name: b\n    hosts: ["web-1')
    await symlink('nowhere', join(directory, 'c.yaml'))
    await mkdir(join(directory, 'd.yaml'))
    expect(await read()).toEqual([
      'b.yaml:3:12: the list that opens here is not closed; write its ]',
      'b.yaml:3:13: the text that opens here is not closed; write its "',
      "c.yaml:1:1: can't be read (ENOENT)",
      'd.yaml:1:1: is not a file; move it away',
    ])
  })

  test('is refused for a file that looks like policy but would not be read', async () => {
    await write('a.yml', rules(rule('a')))
    await write('B.YAML', rules(rule('b')))
    await write('my rules.yaml', rules(rule('c')))
    const message =
      'is not read by this name: call it NAME.yaml, of letters, digits, ".", "_" and "-"'
    expect(await read()).toEqual([
      `B.YAML:1:1: ${message}`,
      `a.yml:1:1: ${message}`,
      `my rules.yaml:1:1: ${message}`,
    ])
  })

  test('is refused where anyone may write [ATTACKS 156]', async () => {
    await write('a.yaml', rules(rule('a')))
    await chmod(join(directory, 'a.yaml'), 0o666)
    expect(await read()).toEqual([
      'a.yaml:1:1: anyone on this machine may write here, and so grant themselves anything: chmod o-w',
    ])
    await chmod(join(directory, 'a.yaml'), 0o664)
    expect(await read()).toEqual(['1 rules'])
    await chmod(directory, 0o777)
    expect(await read()).toEqual([
      'DIR:1:1: anyone on this machine may write here, and so grant themselves anything: chmod o-w',
    ])
  })

  // ATTACKS 156
  test('is refused to a service for what belongs to somebody else', async () => {
    await write('a.yaml', rules(rule('a')))
    const { uid } = await stat(join(directory, 'a.yaml'))
    const words = `belongs to the user ${uid}, who is neither root nor the service's own and may grant themselves anything: chown root`
    const readAs = async (...owners: readonly number[]) =>
      formatResult(await loadPolicy(directory, { owners })).map((line) =>
        line.replace(directory, 'DIR'),
      )
    expect(await readAs(uid + 1)).toEqual([`DIR:1:1: ${words}`])
    expect(await readAs(uid + 1, uid)).toEqual(['1 rules'])
    expect(await read()).toEqual(['1 rules'])
  })

  test('is never read from another file than the one that was looked at', async () => {
    const kept = await mkdtemp(join(tmpdir(), 'postern-swap-'))
    await writeFile(join(kept, 'ours'), rules(rule('ours')))
    await writeFile(join(kept, 'anyones'), rules(rule('anyones')))
    await chmod(join(kept, 'anyones'), 0o666)
    const swap = async (name: string) => {
      await symlink(join(kept, name), join(kept, 'link'))
      await rename(join(kept, 'link'), join(directory, 'a.yaml'))
    }
    await swap('ours')
    let isOver = false
    const swaps = (async () => {
      while (!isOver) for (const name of ['anyones', 'ours']) await swap(name)
    })()
    const names = new Set<string>()
    for (let reads = 0; reads < 300; reads++) {
      const result = await loadPolicy(directory)
      if (result.ok) for (const { ref } of result.policy.rules) names.add(ref.name)
    }
    isOver = true
    await swaps
    await rm(kept, { recursive: true })
    expect([...names]).toEqual(['ours'])
  })

  // Only root may give a file to another group.
  test.skipIf(process.getuid?.() !== 0)(
    'warns a service of a group that may write, unless it is the owner’s own',
    async () => {
      await write('a.yaml', rules(rule('a')))
      const path = join(directory, 'a.yaml')
      await chmod(path, 0o664)
      const { uid } = await stat(path)
      const warningsOf = async (group: number) => {
        await chown(path, uid, group)
        const result = await loadPolicy(directory, { owners: [uid] })
        return result.ok ? result.warnings.map(formatProblem) : undefined
      }
      expect(await warningsOf(uid)).toEqual([])
      expect(await warningsOf(4711)).toEqual([
        'a.yaml:1:1: everybody in the group 4711 may write here, and so grant themselves anything: chmod g-w, unless that is meant',
      ])
    },
  )

  test('is refused for a file too large to be one, without reading it [ATTACKS 138]', async () => {
    await write('a.yaml', new Uint8Array(5 * 1024 * 1024))
    expect(await read()).toEqual(['a.yaml:1:1: the file is larger than 1 MiB; split it'])
  })

  test('of examples comes with the source, and loads with no warning but of its principal for a fleet', async () => {
    const examples = fileURLToPath(new URL('../../policies', import.meta.url))
    const result = await loadPolicy(examples, { maxTtlSeconds: 3600 })
    expect(formatResult(result)).toEqual(['9 rules'])
    expect(result.ok && result.warnings).toMatchObject([{ file: 'databases.yaml', line: 50 }])
  })
})
