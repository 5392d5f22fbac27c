import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError, type Code } from '../../src/errors.ts'
import { concat, decodeBase64, encodeBase64 } from '../../src/lib/bytes.ts'
import { keyTypes } from '../../src/ssh/algorithms.ts'
import { checkPublicKey, formatPublicKey, parsePublicKey } from '../../src/ssh/keys.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { createFromSeed, createLines, fidoLines, formatLine, line } from '../ca/keys.ts'
import { createDirectory, runTool } from '../ca/tools.ts'
import { expectRefused, messages, refusalOf } from './refusals.ts'

const lines = createLines()
const ed25519 = lines['ssh-ed25519']
const blobOf = (text: string) => decodeBase64(text.split(' ')[1] as string) as Uint8Array

describe('a public key', () => {
  test.each(Object.keys(keyTypes))('of type %s is read as ssh-keygen reads it', (type) => {
    const text = lines[type as keyof typeof lines]
    const key = parsePublicKey(text)
    const listed = runTool('ssh-keygen', ['-lf', '-'], { input: text })
    expect(key.type).toBe(type)
    expect(key.fingerprint).toBe(listed.split(' ')[1])
    expect(formatPublicKey(key)).toBe(text)
    expect(Object.isFrozen(key)).toBe(true)
  })

  test.each([
    ['5 kB', 'x'.repeat(5000)],
    ['escape sequences', '\u001b[31mred'],
    ['bidirectional controls', '\u202euser\u202c'],
    ['spaces', 'maya at her desk'],
  ])('loses a comment of %s, ATTACKS 20', (_what, comment) => {
    expect(formatPublicKey(parsePublicKey(`${ed25519} ${comment}\n`))).toBe(ed25519)
  })

  test.each([
    ['two keys', `${ed25519}\n${ed25519}`],
    ['a carriage return', `${ed25519}\r\n`],
    ['a carriage return in the comment', `${ed25519} a\rb`],
    ['a NUL', `${ed25519}\0`],
    ['a NUL in the comment', `${ed25519} a\0b`],
    ['two line ends', `${ed25519}\n\n`],
    ['an option', `command="x" ${ed25519}`],
    ['a bare option', `restrict ${ed25519}`],
    ['a space in front', ` ${ed25519}`],
    ['a tab', ed25519.replace(' ', '\t')],
    ['two spaces', ed25519.replace(' ', '  ')],
    ['nothing', ''],
    ['a type alone', 'ssh-ed25519'],
    ['base64 alone', ed25519.slice(12)],
    ['base64 without its padding', lines['ssh-rsa'].replace(/=*$/, 'A')],
    ['base64 with stray bits', `${fidoLines['sk-ssh-ed25519@openssh.com'].slice(0, -2)}p=`],
    ['base64url', ed25519.replace(/.$/, '_')],
    ['an empty blob', 'ssh-ed25519 AAAA'],
    ['a fullwidth letter', ed25519.replace('ssh', 'ｓsh')],
    ['17 kB', `${ed25519} ${'x'.repeat(17 * 1024)}`],
  ])('with %s is refused, ATTACKS 1', (_what, text) => {
    expectRefused(text, 'invalid_public_key')
  })

  test.each([
    ['OpenSSH', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA'],
    ['PKCS#8', '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ'],
    ['encrypted PKCS#8', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4CAQAwBQ'],
    ['RSA', 'junk -----BEGIN RSA PRIVATE KEY-----\\nMIIE'],
    ['ssh.com', '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----'],
    ['PuTTY', 'PuTTY-User-Key-File-3: ssh-ed25519'],
    ['OpenSSH without its armour', 'ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAABG5vbmU='],
    ['long', `-----BEGIN PRIVATE KEY-----${'A'.repeat(60_000)}`],
  ])('that is a private one (%s) is refused and repeated nowhere, ATTACKS 2', (_what, text) => {
    expectRefused(text, 'private_key_submitted')
    const error = refusalOf(text)
    expect([error.detail, error.hint, error.cause]).toEqual([undefined, undefined, undefined])
  })

  test.each([
    'ssh-ed25519-cert-v01@openssh.com',
    'ssh-rsa-cert-v00@openssh.com',
    'sk-ssh-ed25519-cert-v01@openssh.com',
    'rsa-sha2-512-cert-v01@openssh.com',
    'ssh-ed25519-cert',
    'ecdsa-sha2-nistp256-cert-v02@ietf.org',
  ])('that is a certificate (%s) is refused, ATTACKS 3', (type) => {
    const error = refusalOf(line(type, 'nonce'))
    expect([error.code, error.message]).toEqual([
      'unsupported_key_type',
      'This is a certificate: send the plain public key it was made for.',
    ])
  })

  test('whose line hides a certificate under a plain type is refused, ATTACKS 3', () => {
    const blob = encodeStrings('ssh-ed25519-cert-v01@openssh.com', 'nonce')
    expect(refusalOf(`ssh-ed25519 ${encodeBase64(blob)}`).code).toBe('unsupported_key_type')
  })

  test.each([
    ['ssh-rsa', lines['ssh-ed25519']],
    ['ssh-ed25519', lines['ssh-rsa']],
    ['ecdsa-sha2-nistp256', lines['ecdsa-sha2-nistp384']],
    ['ssh-ed25519', fidoLines['sk-ssh-ed25519@openssh.com']],
  ])('that says %s over another blob is refused, ATTACKS 4', (type, text) => {
    expectRefused(
      `${type} ${text.split(' ')[1]}`,
      'invalid_public_key',
      'the line names another type than the blob',
    )
  })

  test.each([
    ['bytes after the blob', concat(blobOf(ed25519), Uint8Array.of(0)), 'bytes are left over'],
    ['a cut blob', blobOf(ed25519).subarray(0, -1), 'the data ends early'],
    [
      'a length of 2^32-1',
      concat(encodeString('ssh-ed25519'), encodeUint32(0xffffffff), new Uint8Array(32)),
      'the data ends early',
    ],
    ['a type of 2^32-1 bytes', encodeUint32(0xffffffff), 'the blob holds no key type'],
  ])('with %s is refused, ATTACKS 5', (_what, blob, detail) => {
    expectRefused(`ssh-ed25519 ${encodeBase64(blob)}`, 'invalid_public_key', detail)
  })

  test('of 1 MB is refused unread, ATTACKS 5', () => {
    const text = `ssh-ed25519 ${encodeBase64(new Uint8Array(1024 * 1024))}`
    expectRefused(text, 'invalid_public_key', 'the text is longer than 16 KiB')
  })

  test.each(['ssh-dss', 'ssh-curve25519', 'webauthn-sk-ecdsa-sha2-nistp256@openssh.com'])(
    'of type %s is refused, ATTACKS 9',
    (type) => expectRefused(line(type, 'field'), 'unsupported_key_type'),
  )

  test.each(['constructor', 'toString', 'valueOf'])('of type %s is no key type', (type) => {
    expectRefused(line(type, 'field'), 'unsupported_key_type')
  })

  test('that did not come from here is checked when asked', () => {
    const key = parsePublicKey(ed25519)
    checkPublicKey(key)
    checkPublicKey({ ...key })
    const other = parsePublicKey(lines['ecdsa-sha2-nistp256'])
    const detail = 'the key says another type or fingerprint than its blob'
    for (const forged of [
      { ...key, blob: other.blob },
      { ...key, type: other.type },
      { ...key, fingerprint: other.fingerprint },
      Object.create(key, { blob: { value: other.blob } }),
    ]) {
      expect(() => checkPublicKey(forged)).toThrow(
        expect.objectContaining({ code: 'invalid_public_key', detail }),
      )
    }
  })
})

describe('a FIDO key', () => {
  test.each([
    ['nothing', ''],
    ['a line end', 'ssh:\n'],
    ['300 bytes', 'x'.repeat(300)],
  ])('for an application of %s is refused, ATTACKS 12', (_what, application) => {
    const point = blobOf(ed25519).subarray(-32)
    expectRefused(
      line('sk-ssh-ed25519@openssh.com', point, application),
      'invalid_public_key',
      'the FIDO application is not printable ASCII',
    )
  })

  test('is refused as a private one as well, ATTACKS 2', () => {
    const text = line('sk-ssh-ed25519@openssh.com', blobOf(ed25519).subarray(-32), 'ssh:', 'handle')
    expectRefused(text, 'invalid_public_key', 'bytes are left over')
  })
})

describe('whatever text is sent', () => {
  const codes = new Set<Code>([...(Object.keys(messages) as Code[])])

  test('is a key or refused with a code, and never in the refusal', () => {
    const texts = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc
        .tuple(fc.constantFrom(...Object.keys(keyTypes)), fc.uint8Array({ maxLength: 300 }))
        .map(([type, bytes]) => `${type} ${encodeBase64(concat(encodeString(type), bytes))}`),
      fc
        .tuple(fc.constantFrom(...Object.values(lines)), fc.nat(), fc.integer({ min: 1, max: 255 }))
        .map(([text, at, flip]) => {
          const blob = Uint8Array.from(blobOf(text))
          const index = at % blob.length
          blob[index] = (blob[index] as number) ^ flip
          return `${text.split(' ')[0]} ${encodeBase64(blob)}`
        }),
    )
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(formatPublicKey(parsePublicKey(text))).toBe(text.replace(/(?<= \S+)[ \n].*$/s, ''))
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          expect(codes).toContain(error.code)
          const base64 = text.split(' ')[1] ?? ''
          if (base64.length > 20) expect(`${error.message} ${error.detail}`).not.toContain(base64)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('is read as ssh-keygen reads it, for keys of real files', () => {
    const directory = createDirectory()
    try {
      const path = `${directory.path}/key`
      runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'maya@desk', '-f', path])
      const listed = runTool('ssh-keygen', ['-lf', `${path}.pub`])
      const text = runTool('ssh-keygen', ['-yf', path])
      expect(parsePublicKey(text).fingerprint).toBe(listed.split(' ')[1])
    } finally {
      directory.remove()
    }
  })

  test('of RFC 8032 is the key its section 7.1 prints', () => {
    const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
    const blob = parsePublicKey(formatLine(createFromSeed(seed))).blob
    expect(Buffer.from(blob.subarray(-32)).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    )
  })
})
