import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { concat, encodeBase64, isEqual } from '../../src/lib/bytes.ts'
import { type KeyType, keyTypes } from '../../src/ssh/algorithms.ts'
import { type Certificate, encodeCertificate, parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import {
  encodeString,
  encodeStrings,
  encodeUint32,
  encodeUint64,
  WireError,
} from '../../src/ssh/wire.ts'
import { createLines } from '../ca/keys.ts'
import { createDirectory, runTool } from '../ca/tools.ts'

const directory = createDirectory()
afterAll(directory.remove)

const lines = createLines()
const types = Object.keys(keyTypes) as readonly KeyType[]

/** What ssh-keygen makes of an order: OpenSSH's own writer, to hold ours against. */
const createByTool = (subject: string, args: readonly string[]): string => {
  const path = `${directory.path}/subject`
  writeFileSync(`${path}.pub`, `${subject} comment\n`)
  runTool('ssh-keygen', ['-q', '-s', authorityPath, ...args, `${path}.pub`])
  return readFileSync(`${path}-cert.pub`, 'utf8')
}

const authorityPath = `${directory.path}/authority`
runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', authorityPath])
const authority = parsePublicKey(readFileSync(`${authorityPath}.pub`, 'utf8'))

const order = [
  ['-I', 'github:583231:maya/runner-setup/req_1'],
  ['-z', '9223372036854775807'],
  ['-n', 'deploy@web-1.example.com,ops@web-1.example.com'],
  ['-V', '20261122100000Z:20261122100500Z'],
  ['-O', 'clear'],
  ['-O', 'force-command=/usr/bin/true "a b"'],
  ['-O', 'source-address=10.2.0.0/16,2001:db8::/32'],
  ['-O', 'permit-pty'],
  ['-O', 'permit-agent-forwarding'],
].flat()

describe('a certificate of ssh-keygen', () => {
  test.each(types)('for %s is read exactly', (type) => {
    const found = parseCertificate(createByTool(lines[type], order))
    expect(found).toMatchObject({
      type: keyTypes[type].certificate,
      kind: 'user',
      serial: 9223372036854775807n,
      keyId: 'github:583231:maya/runner-setup/req_1',
      principals: ['deploy@web-1.example.com', 'ops@web-1.example.com'],
      validAfter: BigInt(Date.UTC(2026, 10, 22, 10, 0) / 1000),
      validBefore: BigInt(Date.UTC(2026, 10, 22, 10, 5) / 1000),
      criticalOptions: [
        { name: 'force-command', value: '/usr/bin/true "a b"' },
        { name: 'source-address', value: '10.2.0.0/16,2001:db8::/32' },
      ],
      extensions: [
        { name: 'permit-agent-forwarding', value: '' },
        { name: 'permit-pty', value: '' },
      ],
    })
    expect(isEqual(found.publicKey, parsePublicKey(lines[type]).blob)).toBe(true)
    expect(isEqual(found.authority, authority.blob)).toBe(true)
    expect(verifySignature(authority.blob, found.signed, found.signature)).toBe(true)
  })

  test.each(types)('for %s is written by our encoder byte for byte', (type) => {
    const found = parseCertificate(createByTool(lines[type], order))
    const shuffled = {
      ...found,
      criticalOptions: found.criticalOptions.toReversed(),
      extensions: found.extensions.toReversed(),
    }
    expect(isEqual(encodeCertificate(shuffled), found.signed)).toBe(true)
  })

  test('for a host, without principals, options or an end, is read as what it is', () => {
    const args = ['-h', '-I', 'web-1', '-O', 'clear']
    expect(parseCertificate(createByTool(lines['ssh-ed25519'], args))).toMatchObject({
      kind: 'host',
      serial: 0n,
      principals: [],
      validAfter: 0n,
      validBefore: 2n ** 64n - 1n,
      criticalOptions: [],
      extensions: [],
    })
  })

  test('does not verify once any byte of it has been changed', () => {
    const { signed, signature } = parseCertificate(createByTool(lines['ssh-ed25519'], order))
    for (let at = 0; at < signed.length; at++) {
      const changed = Uint8Array.from(signed)
      changed[at] = (changed[at] as number) ^ 1
      expect(verifySignature(authority.blob, changed, signature)).toBe(false)
    }
  })
})

/** A certificate with any of its fields replaced by other bytes. */
const forge = (fields: {
  readonly type?: string
  readonly kind?: number
  readonly keyId?: Uint8Array
  readonly principals?: Uint8Array
  readonly criticalOptions?: Uint8Array
  readonly extensions?: Uint8Array
  readonly reserved?: string
  readonly authority?: Uint8Array
  readonly after?: Uint8Array
}): Uint8Array =>
  concat(
    encodeStrings(fields.type ?? 'ssh-ed25519-cert-v01@openssh.com', 'nonce'),
    encodeString(new Uint8Array(32).fill(7)),
    encodeUint64(1n),
    encodeUint32(fields.kind ?? 1),
    encodeString(fields.keyId ?? new Uint8Array()),
    encodeString(fields.principals ?? encodeString('deploy')),
    encodeUint64(0n),
    encodeUint64(1n),
    encodeString(fields.criticalOptions ?? new Uint8Array()),
    encodeString(fields.extensions ?? new Uint8Array()),
    encodeString(fields.reserved ?? ''),
    encodeString(fields.authority ?? authority.blob),
    encodeString(encodeStrings('ssh-ed25519', new Uint8Array(64))),
    fields.after ?? new Uint8Array(),
  )

describe('a certificate', () => {
  const value = encodeString('x')

  test('that is forged as below, but in nothing, is read', () => {
    expect(parseCertificate(forge({})).principals).toEqual(['deploy'])
  })

  test.each<[string, Parameters<typeof forge>[0], string]>([
    ['a plain key', { type: 'ssh-ed25519' }, 'not a certificate of a known type'],
    ['DSA', { type: 'ssh-dss-cert-v01@openssh.com' }, 'not a certificate of a known type'],
    ['v00', { type: 'ssh-rsa-cert-v00@openssh.com' }, 'not a certificate of a known type'],
    ['a third kind', { kind: 3 }, 'neither a user nor a host certificate'],
    ['kind 0', { kind: 0 }, 'neither a user nor a host certificate'],
    ['a key id of wrong bytes', { keyId: Uint8Array.of(0xff) }, 'a text is not UTF-8'],
    ['a cut principal', { principals: encodeUint32(9) }, 'the data ends early'],
    [
      '257 principals',
      { principals: encodeStrings(...Array.from({ length: 257 }, String)) },
      'there are over 256 principals',
    ],
    [
      'unsorted options, ATTACKS 48',
      { criticalOptions: encodeStrings('source-address', value, 'force-command', value) },
      'the options are not sorted by name, each once',
    ],
    [
      'an option twice, ATTACKS 47',
      { criticalOptions: encodeStrings('force-command', value, 'force-command', value) },
      'the options are not sorted by name, each once',
    ],
    [
      'an extension twice, ATTACKS 47',
      { extensions: encodeStrings('permit-pty', '', 'permit-pty', '') },
      'the options are not sorted by name, each once',
    ],
    ['an option without data', { criticalOptions: encodeString('x') }, 'the data ends early'],
    [
      'a bare value',
      { criticalOptions: encodeStrings('force-command', '/bin/true') },
      'the data ends early',
    ],
    [
      'two values',
      { criticalOptions: encodeStrings('force-command', concat(value, value)) },
      'bytes are left over',
    ],
    [
      'an empty value',
      { criticalOptions: encodeStrings('force-command', encodeString('')) },
      'an option has an empty value',
    ],
    ['something reserved', { reserved: 'x' }, 'the reserved field is not empty'],
    [
      'a certificate as its CA, ATTACKS 3',
      { authority: encodeStrings('ssh-ed25519-cert-v01@openssh.com', 'nonce') },
      'the signing key is of no type a CA may have',
    ],
    [
      'a FIDO key as its CA',
      { authority: encodeStrings('sk-ssh-ed25519@openssh.com', new Uint8Array(32), 'ssh:') },
      'the signing key is of no type a CA may have',
    ],
    ['bytes after it', { after: Uint8Array.of(0) }, 'bytes are left over'],
  ])('with %s is refused', (_what, fields, message) => {
    expect(() => parseCertificate(forge(fields))).toThrow(new WireError(message))
  })

  test('cut anywhere is refused', () => {
    const whole = forge({})
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseCertificate(whole.subarray(0, length))).toThrow(WireError)
    }
  })

  test.each([
    [
      'another type in front',
      'ssh-rsa-cert-v01@openssh.com ',
      'the line names another type than the blob',
    ],
    ['no type in front', '', 'not one line of type and base64'],
    [
      'an option in front',
      'no-pty ssh-ed25519-cert-v01@openssh.com ',
      'not one line of type and base64',
    ],
  ])('with %s is refused', (_what, front, message) => {
    expect(() => parseCertificate(`${front}${encodeBase64(forge({}))}`)).toThrow(
      new WireError(message),
    )
  })

  test.each(['', ' ', 'abcd', 'abcd\n', ' abcd', 'abcd '])('is not the line %j', (line) => {
    expect(() => parseCertificate(line)).toThrow(new WireError('not one line of type and base64'))
  })

  test('is read from every text that has the form of its line, and from no other', () => {
    const form = /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n\0]*)?\n?$/
    const type = 'ssh-ed25519-cert-v01@openssh.com'
    const base64 = encodeBase64(forge({}))
    const wrong = new WireError('not one line of type and base64')
    const part = fc.constantFrom(
      ...[' ', '\n', '\r', '\0', '\t', '=', '', 'ａ', 'é', '-', 'QQ==', type],
    )
    const parts = fc.array(part, { maxLength: 3 }).map((some) => some.join(''))
    fc.assert(
      fc.property(parts, parts, parts, fc.boolean(), (front, middle, end, isPlain) => {
        const line = `${front}${type}${isPlain ? ' ' : middle}${base64}${end}`
        const [, named, written] = form.exec(line) ?? []
        const parse = () => parseCertificate(line)
        if (written === undefined) expect(parse).toThrow(wrong)
        else if (written !== base64) expect(parse).toThrow(WireError)
        else if (named !== type) expect(parse).toThrow('the line names another type than the blob')
        else expect(parse().principals).toEqual(['deploy'])
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the encoder', () => {
  const fields: Certificate = parseCertificate(forge({}))

  test.each([
    ['a serial of 65 bits', { serial: 2n ** 64n }, 'not an unsigned 64-bit number'],
    ['a time before 1970', { validAfter: -1n }, 'not an unsigned 64-bit number'],
    [
      'an option twice, ATTACKS 47',
      {
        extensions: [
          { name: 'permit-pty', value: '' },
          { name: 'permit-pty', value: '' },
        ],
      },
      'an option stands twice',
    ],
    ['a key it does not know', { publicKey: encodeStrings('ssh-dss', 'p') }, 'no key type of ours'],
  ])('refuses %s', (_what, change, message) => {
    expect(() => encodeCertificate({ ...fields, ...change })).toThrow(new RangeError(message))
  })
})
