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
