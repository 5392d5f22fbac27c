import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createIntent, formatKeyId, type Holder } from '../../src/ca/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { fidoLines } from './keys.ts'

const publicKey = parsePublicKey(fidoLines['sk-ssh-ed25519@openssh.com'])
const at = new Date('2026-11-22T10:00:00.900Z')
const now = Date.UTC(2026, 10, 22, 10) / 1000

const maya: Holder = {
  kind: 'github',
  issuer: 'https://github.com',
  subject: '583231',
  name: 'maya',
}
const oidc: Holder = {
  kind: 'oidc',
  issuer: 'https://idp.example.com',
  subject: 'u-1',
  name: 'maya',
}

interface Given {
  readonly expiresAt?: Date
  readonly ttlSeconds?: number
  readonly shortenedBy?: 'when'
  readonly outliveToken?: boolean
}

const intend = (given: Given) =>
  createIntent({
    grant: {
      principals: ['deploy@web-1.example.com'],
      ttlSeconds: given.ttlSeconds ?? 300,
      ...(given.shortenedBy === undefined ? {} : { shortenedBy: given.shortenedBy }),
      outliveToken: given.outliveToken ?? false,
      criticalOptions: { 'force-command': '/bin/true' },
      extensions: { 'permit-pty': '' },
    },
    rule: { name: 'deploy', file: 'policies/a.yaml', line: 3 },
    holder: given.expiresAt === undefined ? maya : { ...maya, expiresAt: given.expiresAt },
    publicKey,
    requestId: 'req_1',
    serial: 7n,
    at,
    backdateSeconds: 60,
  })

const inSeconds = (seconds: number) => new Date((now + seconds) * 1000)

describe('an intent', () => {
  test('is the grant, word for word, from the backdate to the ttl, ATTACKS 41', () => {
    expect(intend({})).toEqual({
      intent: {
        publicKey,
        serial: 7n,
        keyId: 'github:583231:maya/deploy/req_1',
        principals: ['deploy@web-1.example.com'],
        validAfter: now - 60,
        validBefore: now + 300,
        criticalOptions: { 'force-command': '/bin/true' },
        extensions: { 'permit-pty': '' },
      },
    })
  })

  test.each<[string, Given, number, string | undefined]>([
    ['the token ends later', { expiresAt: inSeconds(301) }, 300, undefined],
    ['the token ends with it', { expiresAt: inSeconds(300) }, 300, undefined],
    ['the token ends sooner', { expiresAt: inSeconds(299) }, 299, 'token'],
    ['the token ends at once', { expiresAt: inSeconds(1) }, 1, 'token'],
    ['it may outlive the token', { expiresAt: inSeconds(1), outliveToken: true }, 300, undefined],
    [
      'it may outlive an ended token',
      { expiresAt: inSeconds(-9), outliveToken: true },
      300,
      undefined,
    ],
    ['the time of the rule ends', { ttlSeconds: 5, shortenedBy: 'when' }, 5, 'when'],
    [
      'the token ends before the time of the rule',
      { ttlSeconds: 120, shortenedBy: 'when', expiresAt: inSeconds(60) },
      60,
      'token',
    ],
    [
      'the time of the rule ends before the token',
      { ttlSeconds: 60, shortenedBy: 'when', expiresAt: inSeconds(120) },
      60,
      'when',
    ],
  ])('ends where it should when %s', (_what, given, seconds, shortenedBy) => {
    const made = intend(given)
    expect(made.intent.validBefore - now).toBe(seconds)
    expect(made.shortenedBy).toBe(shortenedBy)
  })

  test('is refused where the time of its rule is as good as over', () => {
    expect(() => intend({ ttlSeconds: 4, shortenedBy: 'when' })).toThrow(
      expect.objectContaining({
        code: 'policy_denied',
        message: 'The time in which this is allowed ends in a moment: ask again when it is back.',
        detail: 'the time of rule deploy ends in under 5 s',
      }),
    )
  })

  test.each([0, -1, -60])('is none where the token ended %i s from now', (seconds) => {
    expect(() => intend({ expiresAt: inSeconds(seconds) })).toThrow(
      expect.objectContaining({
        code: 'token_expired',
        message:
          'The certificate may not outlive your token, and the token has expired: send a fresh one.',
      }),
    )
  })
})

describe('a key id', () => {
  const hashOfNewline = 'sha256=01ba4719c80b6fe911b091a7c05124b6'

  test.each<[string, Holder, string]>([
    ['a GitHub user', maya, 'github:583231:maya/deploy/req_1'],
    [
      'a user of another GitHub server',
      { ...maya, issuer: 'https://ghe.example.com:8443' },
      'github:ghe.example.com:8443:583231:maya/deploy/req_1',
    ],
    ['an OIDC subject', oidc, 'oidc:idp.example.com:u-1:maya/deploy/req_1'],
    [
      'an issuer on IPv6',
      { ...oidc, issuer: 'http://[::1]:8080' },
      'oidc:::1:8080:u-1:maya/deploy/req_1',
    ],
    [
      'a name that does not fit',
      { ...oidc, name: 'Maya Ü' },
      'oidc:idp.example.com:u-1/deploy/req_1',
    ],
    ['a name with a line end', { ...oidc, name: 'a\nb' }, 'oidc:idp.example.com:u-1/deploy/req_1'],
    ['a name with a slash', { ...oidc, name: 'a/b' }, 'oidc:idp.example.com:u-1/deploy/req_1'],
    ['a name with a colon', { ...oidc, name: 'a:b' }, 'oidc:idp.example.com:u-1/deploy/req_1'],
    ['no name', { ...oidc, name: '' }, 'oidc:idp.example.com:u-1/deploy/req_1'],
    [
      'a subject with a line end',
      { ...oidc, subject: '\n' },
      `oidc:idp.example.com:${hashOfNewline}:maya/deploy/req_1`,
    ],
    [
      'a name of 300 letters',
      { ...oidc, name: 'x'.repeat(300) },
      'oidc:idp.example.com:u-1/deploy/req_1',
    ],
  ])('names %s, ATTACKS 33', (_what, holder, expected) => {
    expect(formatKeyId(holder, 'deploy', 'req_1')).toBe(expected)
  })

  test('never lets a subject pose as the hash of another', () => {
    const posing = formatKeyId({ ...oidc, subject: hashOfNewline }, 'deploy', 'req_1')
    expect(posing).not.toBe(formatKeyId({ ...oidc, subject: '\n' }, 'deploy', 'req_1'))
  })

  test('is 1 to 256 safe characters that start with a letter, ATTACKS 33 and 34', () => {
    const issuers = fc.constantFrom(
      'https://github.com',
      'https://idp.example.com',
      'http://[::1]:8080',
      `https://${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example:65535/x`,
    )
    const text = fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => Buffer.from(bytes).toString('latin1'))
    fc.assert(
      fc.property(
        fc.constantFrom<Holder['kind']>('github', 'oidc'),
        issuers,
        text,
        text,
        fc.constantFrom('a', 'runner-setup', '0'.repeat(64)),
        (kind, issuer, subject, name, rule) => {
          const keyId = formatKeyId({ kind, issuer, subject, name }, rule, `req_${'0'.repeat(24)}`)
          expect(keyId).toMatch(/^[A-Za-z][A-Za-z0-9._:/@=-]{0,255}$/)
          expect(keyId.endsWith(`/${rule}/req_${'0'.repeat(24)}`)).toBe(true)
        },
      ),
    )
  })
})
