import { expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/parse.ts'
import { createPublicKeyLine } from '../app.ts'

const key = createPublicKeyLine()
const parse = (hosts: string, rules = '') =>
  parsePolicy({ 'a.yaml': Buffer.from(`hosts:\n${hosts}${rules}`) })
const listMessages = (hosts: string, rules?: string) => {
  const result = parse(hosts, rules)
  return (result.ok ? result.warnings : result.problems).map(
    ({ line, message }) => `${line}: ${message}`,
  )
}

test.each([
  [
    'two hosts of one name',
    '  - { name: a }\n  - { name: a }\n',
    '3: name: is the name of the host at a.yaml:2 already; keep one',
  ],
  [
    'an alias that is a host’s name',
    '  - { name: a }\n  - { name: b, aliases: [a] }\n',
    '3: aliases: is the name of the host at a.yaml:2 already; keep one',
  ],
  ['a port that is none', '  - { name: a, port: 0 }\n', '2: port: must be a port, from 1 to 65535'],
  [
    'an address that is none',
    '  - { name: a, address: "10.0.0.1/8" }\n',
    '2: address: must be an address in its plain form, as 10.2.0.17 or 2001:db8::17, or a host name',
  ],
  [
    'a key with a comment',
    `  - { name: a, hostKeys: ["${key} root@a"] }\n`,
    '2: hostKeys: must be a public host key, "TYPE BASE64" without a comment, as /etc/ssh/ssh_host_ed25519_key.pub has it',
  ],
])('%s is refused', (_what, hosts, message) => {
  expect(listMessages(hosts)).toEqual([message])
})

test('a key of two hosts is a warning', () => {
  const hosts = `  - { name: a, hostKeys: ["${key}"] }\n  - { name: b, hostKeys: ["${key}"] }\n`
  const rules =
    'rules: [{ name: r, who: [{ oidc: { issuer: "https://i.example.com", groups: [g] } }], hosts: [a], logins: [d], ttl: 5m }]\n'
  expect(listMessages(hosts, rules).join('\n')).toContain(
    'is a key of a too, so each can pose as the other; make one of them new keys',
  )
})

test('the name of the rule by which hosts enrol is taken', () => {
  const rules =
    'rules: [{ name: enrolment-proof, who: [{ oidc: { issuer: "https://i.example.com", groups: [g] } }], hosts: [a], logins: [d], ttl: 5m }]\n'
  expect(listMessages('  - { name: a }\n', rules).join('\n')).toContain(
    'is the name of the rule by which hosts enrol; choose another',
  )
})

const who = 'who: [{ oidc: { issuer: "https://i.example.com", groups: [g] } }]'
const web = '  - { name: web-1.example.com, aliases: [web-1], labels: { env: prod } }\n'

// Else it would match nothing, and what a rule that denies is to refuse would be allowed.
test.each([
  [
    'a rule that allows',
    `rules: [{ name: r, ${who}, hosts: [web-1], logins: [d], ttl: 5m }]\n`,
    '3: hosts: is an alias of web-1.example.com, and an ask for it is taken for one for that; write the name',
  ],
  [
    'a rule that denies',
    'rules: [{ name: r, deny: "no", who: [everyone], hosts: [db-1, web-1], logins: [d] }]\n',
    '3: hosts: is an alias of web-1.example.com, and an ask for it is taken for one for that; write the name',
  ],
  [
    'a pattern of a rule that denies',
    'rules: [{ name: r, deny: "no", who: [everyone], hosts: ["web-?"], logins: [d] }]\n',
    '3: hosts: matches web-1, an ask for which is taken for one for web-1.example.com, and not that; name that host as well',
  ],
  [
    'a group of hosts',
    `hostGroups: { g: [web-1] }\nrules: [{ name: r, ${who}, hosts: [{ hostGroup: g }], logins: [d], ttl: 5m }]\n`,
    '3: is an alias of web-1.example.com, and an ask for it is taken for one for that; write the name',
  ],
  [
    'a group of hosts that a rule denies',
    'hostGroups: { g: [db-1, "web-?"] }\nrules: [{ name: r, deny: "no", who: [everyone], hosts: [{ hostGroup: g }], logins: [d] }]\n',
    '4: hosts: matches web-1, an ask for which is taken for one for web-1.example.com, and not that; name that host as well',
  ],
])('a host is not spoken of by its alias in %s', (_what, rules, message) => {
  expect(listMessages(web, rules)).toEqual([message])
})

test.each(['"web-?", web-1.example.com', '"web-?", { label: env=prod }', '"web-*"'])(
  'a rule that denies may match an alias where it holds the name too: %s',
  (hosts) => {
    const deny = `{ name: r, deny: "no", who: [everyone], hosts: [${hosts}], logins: [d] }`
    expect(parse(web, `rules: [${deny}]\n`).ok).toBe(true)
  },
)

test('a test of the policy may ask for an alias, as people do', () => {
  const rules = `rules: [{ name: r, ${who}, hosts: [web-1.example.com], logins: [d], ttl: 5m }]
tests:
  - name: by its alias
    who: { oidc: { issuer: "https://i.example.com", subject: u-1, groups: [g] } }
    ask: { host: web-1, login: d }
    expect: { allow: r, principals: [d@web-1.example.com] }
`
  expect(parse(web, rules).ok).toBe(true)
})
