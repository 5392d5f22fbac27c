import { expect, test } from 'vitest'
import { formatBundle } from '../../src/hosts/bundle.ts'
import { createPublicKeyLine } from '../app.ts'

const caKey = createPublicKeyLine()
const contents = {
  host: 'web-1.example.com',
  version: 42,
  caKeys: [caKey],
  logins: ['deploy'],
  krl: new Uint8Array(44),
}

test('a bundle has a line for each thing, and a principal of its own host alone', () => {
  expect(formatBundle(contents)).toBe(
    [
      'postern-trust v1',
      'host web-1.example.com',
      'version 42',
      `ca ${caKey}`,
      'principal deploy deploy@web-1.example.com',
      `krl 44 ${Buffer.alloc(44).toString('base64')}`,
      'end',
      '',
    ].join('\n'),
  )
})

test.each([
  ['a login with a line of its own', { logins: ['deploy\nprincipal root root@web-1.example.com'] }],
  ['a login that is a comment', { logins: ['web#prod'] }],
  ['a login with options', { logins: ['cert-authority ssh-rsa'] }],
  ['a login that is a path', { logins: ['../../root/.ssh/authorized_keys'] }],
  ['a login in quotes', { logins: ['"deploy"'] }],
  ['a login with a carriage return', { logins: ['web\r'] }],
  ['a login in capitals', { logins: ['Deploy'] }],
  ['a login of 33 characters', { logins: ['a'.repeat(33)] }],
  ['a host that is a path', { host: '../db-1' }],
  ['a host with a line of its own', { host: 'web-1\nca ssh-ed25519 AAAA' }],
  ['a CA key with options', { caKeys: [`cert-authority ${caKey}`] }],
  ['a CA key with another behind it', { caKeys: [`${caKey}\n${createPublicKeyLine()}`] }],
])('%s is never written (ATTACKS 228, 231, 235)', (_what, changes) => {
  expect(() => formatBundle({ ...contents, ...changes })).toThrow(TypeError)
})
