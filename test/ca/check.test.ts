import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkIntent } from '../../src/ca/check.ts'
import type { CertificateIntent } from '../../src/ca/index.ts'
import { criticalOptions, extensions } from '../../src/ca/options.ts'
import { AppError } from '../../src/errors.ts'
import { decodeBase64 } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { createSound, limits, now } from './intents.ts'
import { fidoLines, rsaLine } from './keys.ts'

type Change = Partial<CertificateIntent>

const refusalOf = (intent: CertificateIntent): AppError | undefined => {
  try {
    checkIntent(intent, limits, now)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

const expectUnsound = (change: Change, detail: string) => {
  const error = refusalOf(createSound(change))
  expect([error?.code, error?.message, error?.detail]).toEqual([
    'unsound_certificate',
    'The certificate would have been unsound and was not signed: tell the administrator of this service.',
    detail,
  ])
}

const force = { 'force-command': '/usr/local/sbin/setup' }

describe('a sound intent', () => {
  test.each<[string, Change]>([
    ['as it is', {}],
    ['the least serial', { serial: 1n }],
    ['the greatest serial', { serial: 2n ** 63n - 1n }],
    ['a key id of one letter', { keyId: 'a' }],
    ['a key id of 256', { keyId: `a${'/'.repeat(255)}` }],
    ['32 principals', { principals: Array.from({ length: 32 }, (_, n) => `p${n}`) }],
    ['the longest principal', { principals: ['p'.repeat(286)] }],
    ['the longest ttl', { validBefore: now + 3600 }],
    ['one second', { validAfter: now, validBefore: now + 1 }],
    ['a slow decision', { validAfter: now - 180 }],
    ['no extensions', { extensions: {} }],
    ['a forced command with a terminal', { criticalOptions: force }],
    ['source addresses', { criticalOptions: { 'source-address': '10.2.0.0/16,2001:db8::/32' } }],
    [
      'every extension',
      { extensions: Object.fromEntries(Object.keys(extensions).map((n) => [n, ''])) },
    ],
    ['a FIDO key', { publicKey: parsePublicKey(fidoLines['sk-ssh-ed25519@openssh.com']) }],
  ])('passes: %s', (_what, change) => {
    expect(refusalOf(createSound(change))).toBe(undefined)
  })
})

describe('an unsound intent is refused for its', () => {
  test.each<[string, Change]>([
    ['serial 0, ATTACKS 35', { serial: 0n }],
    ['serial -1', { serial: -1n }],
    ['serial 2^63', { serial: 2n ** 63n }],
    ['serial 2^64-1, ATTACKS 36', { serial: 2n ** 64n - 1n }],
  ])('%s', (_what, change) => expectUnsound(change, 'the serial is outside 1 to 2^63-1'))

  test.each([
    ['empty', ''],
    ['of 257', 'a'.repeat(257)],
    ['starting with a hyphen, ATTACKS 34', '-a'],
    ['starting with a digit', '1a'],
    ['with a line end, ATTACKS 33', 'a\nAccepted publickey for root'],
    ['ending in a line end', 'a\n'],
    ['with an escape', 'a\u001b[31m'],
    ['with a quote', 'a"'],
    ['with a space', 'a b'],
    ['with another alphabet', 'аbc'],
  ])('key id %s', (_what, keyId) => {
    expectUnsound({ keyId }, 'the key id has a wrong character or length')
  })

  test('lack of principals, ATTACKS 21', () => {
    expectUnsound({ principals: [] }, 'there is no principal')
  })

  test('33 principals, ATTACKS 29', () => {
    const principals = Array.from({ length: 33 }, (_, n) => `p${n}`)
    expectUnsound({ principals }, 'there are over 32 principals')
  })

  test('principal that stands twice, ATTACKS 31', () => {
    expectUnsound({ principals: ['a', 'b', 'a'] }, 'a principal stands twice')
  })

  test.each([
    ['22, empty', ''],
    ['23, a comma', 'deploy,root'],
    ['24, a star', 'web-*'],
    ['24, a question mark', 'web-?'],
    ['25, a space', 'my role'],
    ['25, a tab', 'web\tprod'],
    ['25, a hash', 'web#prod'],
    ['25, a quote', 'web"prod'],
    ['25, an apostrophe', "web'prod"],
    ['25, a carriage return', 'web\rprod'],
    ['25, a line end', 'web\nprod'],
    ['25, a last line end', 'web\n'],
    ['25, a NUL', 'web\0prod'],
    ['25, DEL', 'web\u007fprod'],
    ['25, a C1 control', 'web\u0085prod'],
    ['26, a leading hyphen', '-oProxyCommand=x'],
    ['26, a dot', '.'],
    ['26, two dots', '..'],
    ['26, a slash', 'a/b'],
    ['26, a percent', 'a%b'],
    ['27, fullwidth', 'ｒｏｏｔ'],
    ['27, the Kelvin sign', 'wor\u212a'],
    ['27, a long s', 'u\u017fer'],
    ['27, a dotless i', 'adm\u0131n'],
    ['28, upper case', 'ROOT'],
    ['287 letters', 'p'.repeat(287)],
  ])('principal, ATTACKS %s', (_what, principal) => {
    const detail = 'a principal has a wrong character or length'
    expectUnsound({ principals: [principal] }, detail)
    expectUnsound({ principals: ['deploy', principal] }, detail)
  })

  test.each<[string, Change, string]>([
    ['39, NaN', { validBefore: Number.NaN }, 'a time is not in whole seconds'],
    ['39, Infinity', { validBefore: Number.POSITIVE_INFINITY }, 'a time is not in whole seconds'],
    ['39, a fraction', { validBefore: now + 0.5 }, 'a time is not in whole seconds'],
    ['39, the end 2^64-1', { validBefore: 2 ** 64 - 1 }, 'a time is not in whole seconds'],
    ['39, the end 2^53-1', { validBefore: 2 ** 53 - 1 }, 'it is valid for longer than ca.maxTtl'],
    ['39, too long', { validBefore: now + 3601 }, 'it is valid for longer than ca.maxTtl'],
    ['39, zero', { validAfter: now, validBefore: now }, 'it ends before it begins'],
    ['39, negative', { validAfter: now, validBefore: now - 1 }, 'it ends before it begins'],
    ['39, before 1970', { validAfter: -1 }, 'it ends before it begins'],
    ['41, ended', { validBefore: now - 1 }, 'it has already ended'],
    ['41, ending now', { validBefore: now }, 'it has already ended'],
    ['41, too far back', { validAfter: now - 181 }, 'it begins further back than ca.backdate'],
  ])('time, ATTACKS %s', (_what, change, detail) => expectUnsound(change, detail))

  test.each(['verify-required', 'permit-pty', 'Force-Command', 'toString', '__proto__', ''])(
    'critical option "%s", ATTACKS 45',
    (name) => {
      const options = Object.fromEntries([[name, 'x']])
      expectUnsound({ criticalOptions: options }, 'a critical option is not one of ours')
    },
  )

  test.each(['no-touch-required', 'permit-everything', 'Permit-Pty', 'constructor', ''])(
    'extension "%s", ATTACKS 12, 45 and 53',
    (name) => {
      const options = Object.fromEntries([[name, '']])
      expectUnsound({ extensions: options }, 'an extension is not one of ours')
    },
  )

  test.each(Object.keys(criticalOptions))('%s among the extensions, ATTACKS 46', (name) => {
    expectUnsound({ extensions: { [name]: '' } }, 'an extension is not one of ours')
    expectUnsound({ extensions: { [name]: 'x' } }, 'an extension is not one of ours')
  })

  test('extension with a value', () => {
    expectUnsound({ extensions: { 'permit-pty': 'x' } }, 'permit-pty has a value')
  })

  test.each(['', 'a\nb', 'a\rb', 'a\0b', 'a\u001bb', 'a\tb', 'a\u0085b', 'a\u2028b', 'a\ud800b'])(
    'forced command %j',
    (value) => {
      const options = { 'force-command': value }
      expectUnsound({ criticalOptions: options }, 'the value of force-command is not sound')
    },
  )

  test.each([
    '',
    '10.2.0.1/16',
    '10.2.0.0/16, 10.3.0.0/16',
    '!10.2.0.0/16',
    '10.2.0.0/16,',
    ',10.2.0.0/16',
    'everywhere',
    '10.2.0.0',
    '10.2.0.0/33',
    '10.2.0.0/016',
    '::ffff:10.2.0.0/112',
    'fe80::1%eth0/128',
  ])('source address "%s", ATTACKS 49 and 50', (value) => {
    const options = { 'source-address': value }
    expectUnsound({ criticalOptions: options }, 'the value of source-address is not sound')
  })

  test.each(['permit-X11-forwarding', 'permit-agent-forwarding', 'permit-port-forwarding'])(
    '%s beside a forced command, ATTACKS 51',
    (name) => {
      const change = { criticalOptions: force, extensions: { [name]: '' } }
      expectUnsound(change, `${name} goes around force-command`)
    },
  )

  test('public key that was never checked, ATTACKS 6', () => {
    const { publicKey } = createSound()
    const weak = rsaLine(2n ** 2048n - 1n, 65_537n)
    const blob = decodeBase64(weak.split(' ')[1] as string) as Uint8Array
    for (const forged of [
      { ...publicKey, type: 'ssh-rsa', blob } as const,
      { ...publicKey, fingerprint: 'SHA256:x' },
      { ...publicKey, blob: new Uint8Array() },
    ]) {
      expectUnsound({ publicKey: forged }, 'the public key does not pass its checks')
    }
  })
})

describe('no intent whatever', () => {
  const names = fc.oneof(
    fc.constantFrom(...Object.keys(criticalOptions), ...Object.keys(extensions)),
    fc.constantFrom('__proto__', 'no-touch-required', 'constructor'),
    fc.string({ maxLength: 20 }),
  )
  const values = fc.constantFrom('', '/bin/true', '10.2.0.0/16', 'x\n')
  const options = fc.dictionary(names, values, { maxKeys: 5 })

  test('passes with a restriction among its extensions, or what is unknown, ATTACKS 45 and 46', () => {
    fc.assert(
      fc.property(options, options, (critical, granted) => {
        const intent = createSound({ criticalOptions: critical, extensions: granted })
        if (refusalOf(intent) !== undefined) return
        for (const name of Object.keys(critical))
          expect(Object.keys(criticalOptions)).toContain(name)
        for (const name of Object.keys(granted)) {
          expect(Object.keys(extensions)).toContain(name)
          expect(Object.keys(criticalOptions)).not.toContain(name)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
