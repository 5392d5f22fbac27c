import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { concat, decodeBase64, encodeBase64, encodeUtf8, sha256 } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { findSshsigFault } from '../../src/ssh/sshsig.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { createDirectory, runTool } from '../ca/tools.ts'
import { authenticator } from '../tools.ts'

const directory = createDirectory()
afterAll(directory.remove)

const namespace = 'postern-request@v1'
const message = encodeUtf8('{"host":"web-1"}')

const types = {
  'ssh-ed25519': ['-t', 'ed25519'],
  'ecdsa-sha2-nistp256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-sha2-nistp384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-sha2-nistp521': ['-t', 'ecdsa', '-b', '521'],
  'ssh-rsa': ['-t', 'rsa', '-b', '3072'],
  'sk-ssh-ed25519@openssh.com': ['-t', 'ed25519-sk', '-w', authenticator],
  'sk-ecdsa-sha2-nistp256@openssh.com': ['-t', 'ecdsa-sk', '-w', authenticator],
} as const

const isFido = (type: string): boolean => type.startsWith('sk-')
const pathOf = (type: string) => `${directory.path}/${type}`
const blobOf = (type: string) => parsePublicKey(readFileSync(`${pathOf(type)}.pub`, 'utf8')).blob

beforeAll(() => {
  for (const [type, args] of Object.entries(types)) {
    runTool('ssh-keygen', ['-q', ...args, '-N', '', '-C', '', '-f', pathOf(type)])
  }
})

/** What `ssh-keygen -Y sign` writes for the message. */
const signByTool = (type: string, more: readonly string[] = [], space = namespace): string =>
  runTool('ssh-keygen', ['-q', '-Y', 'sign', '-f', pathOf(type), '-n', space, ...more, '-'], {
    input: Buffer.from(message).toString(),
    env: isFido(type) ? { SSH_SK_PROVIDER: authenticator } : {},
  })

const armor = (blob: Uint8Array): string =>
  `-----BEGIN SSH SIGNATURE-----\n${encodeBase64(blob).replace(/.{70}/g, '$&\n')}\n-----END SSH SIGNATURE-----\n`

const disarm = (text: string): Uint8Array =>
  decodeBase64(text.replace(/-----[^-]+-----|\n/g, '')) as Uint8Array

const find = (text: string, publicKey: Uint8Array, more: Record<string, unknown> = {}) =>
  findSshsigFault(text, { publicKey, namespace, message, ...more })

describe('a signature of ssh-keygen', () => {
  test.each(Object.keys(types))('by %s verifies, with either hash, and only as it is', (type) => {
    const key = blobOf(type)
    const text = signByTool(type)
    expect(find(text, key)).toBeUndefined()
    expect(find(text.trimEnd().replaceAll('\n', '\r\n'), key)).toBeUndefined()
    if (!isFido(type)) expect(find(signByTool(type, ['-O', 'hashalg=sha256']), key)).toBeUndefined()

    const wrong = isFido(type)
      ? 'the signature does not verify, or the key was not touched'
      : 'the signature does not verify'
    expect(find(text, key, { message: encodeUtf8('{"host":"web-2"}') })).toBe(wrong)
    const blob = disarm(text)
    const last = isFido(type) ? blob.length - 10 : blob.length - 1
    blob[last] = (blob[last] as number) ^ 1
    expect(find(armor(blob), key)).toBe(wrong)
  })

  test('by another key, or for another purpose, is refused [ATTACKS 15, 17]', () => {
    const key = blobOf('ssh-ed25519')
    expect(find(signByTool('ssh-ed25519'), blobOf('ecdsa-sha2-nistp256'))).toBe(
      'it is by another key',
    )
    for (const space of ['file', 'git', 'postern-request@v2', 'postern-request']) {
      expect(find(signByTool('ssh-ed25519', [], space), key)).toBe('its namespace is another')
    }
  })
})

interface Parts {
  readonly magic?: string
  readonly version?: number
  readonly space?: string
  readonly reserved?: string
  readonly hash?: string
  readonly tail?: Uint8Array
  /** What stands for the signature, out of the bytes to sign. */
  readonly make: (signed: Uint8Array) => Uint8Array
}

/** An SSHSIG of any parts, signed as if they were right. */
const build = (publicKey: Uint8Array, parts: Parts): string => {
  const { magic = 'SSHSIG', version = 1, space = namespace, reserved = '', hash = 'sha512' } = parts
  const digest = createHash(hash === 'sha256' ? 'sha256' : 'sha512')
    .update(message)
    .digest()
  const signed = concat(encodeUtf8('SSHSIG'), encodeStrings(space, reserved, hash, digest))
  return armor(
    concat(
      encodeUtf8(magic),
      encodeUint32(version),
      encodeStrings(publicKey, space, reserved, hash, parts.make(signed)),
      parts.tail ?? new Uint8Array(),
    ),
  )
}

const blobFor = (key: KeyObject): Uint8Array => encodePublicKey(key) as Uint8Array

describe('a signature in which every part is signed, and one is wrong', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const key = blobFor(privateKey)
  const make = (signed: Uint8Array) =>
    encodeSignature('ssh-ed25519', sign(null, signed, privateKey))

  test('verifies where none is', () => {
    expect(find(build(key, { make }), key)).toBeUndefined()
    expect(find(build(key, { make, hash: 'sha256' }), key)).toBeUndefined()
  })

  test.each<[string, Omit<Parts, 'make'>, string]>([
    ['the magic', { magic: 'SSHSIF' }, 'it does not begin with SSHSIG'],
    ['the version', { version: 2 }, 'its version is not 1'],
    ['the namespace', { space: 'file' }, 'its namespace is another'],
    ['an empty namespace', { space: '' }, 'its namespace is another'],
    ['reserved bytes', { reserved: 'x' }, 'its reserved field is not empty'],
    ['the hash', { hash: 'sha1' }, 'its hash is neither sha512 nor sha256'],
    ['the hash in capitals', { hash: 'SHA512' }, 'its hash is neither sha512 nor sha256'],
    ['bytes at its end', { tail: Uint8Array.of(0) }, 'bytes are left over'],
  ])('is refused for %s [ATTACKS 17]', (_what, parts, fault) => {
    expect(find(build(key, { ...parts, make }), key)).toBe(fault)
  })

  test.each<[string, (text: string) => string]>([
    ['nothing', () => ''],
    ['words', () => 'signed, me'],
    ['its base64 alone', (text) => text.replace(/-----[^-]+-----\n/g, '')],
    ['a public key', () => '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['two of them', (text) => text + text],
    ['text before it', (text) => `x${text}`],
    ['17 KiB', (text) => text.replace('\n', `\n${'A'.repeat(17 * 1024)}`)],
    ['base64 that is not canonical', (text) => text.replace(/=*\n-----END/, '====\n-----END')],
  ])('is refused where it is %s', (_what, change) => {
    expect(find(change(build(key, { make })), key)).toBe('it is no armored SSH signature')
  })

  test('is refused where it ends early, at every byte', () => {
    const blob = disarm(build(key, { make }))
    for (let end = 0; end < blob.length; end++) {
      expect(find(armor(blob.subarray(0, end)), key)).toBeTypeOf('string')
    }
  })
})

describe('a signature that others would take [ATTACKS 18]', () => {
  test('ed25519 with s + L is refused', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const key = blobFor(privateKey)
    const make = (signed: Uint8Array) => {
      const raw = sign(null, signed, privateKey)
      let s = BigInt(`0x${Buffer.from(raw.subarray(32)).reverse().toString('hex')}`) + order
      for (let at = 32; at < 64; at++, s >>= 8n) raw[at] = Number(s & 255n)
      return encodeSignature('ssh-ed25519', raw)
    }
    expect(find(build(key, { make }), key)).toBe('the signature does not verify')
  })

  const ecdsa = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const zero = new Uint8Array(32)

  test.each<[string, (r: Uint8Array, s: Uint8Array) => Uint8Array, string]>([
    ['r of 0', (_, s) => encodeStrings(new Uint8Array(), s), 'the signature does not verify'],
    ['r and s of 0', () => encodeStrings(zero, zero), 'the signature does not verify'],
    ['fixed-length numbers', (r, s) => concat(r, s), 'the signature does not verify'],
    [
      'a DER sequence',
      () => new Uint8Array(sign('sha256', message, ecdsa)),
      'the signature does not verify',
    ],
  ])('ECDSA with %s is refused', (_what, change, fault) => {
    const key = blobFor(ecdsa)
    const make = (signed: Uint8Array) => {
      const raw = sign('sha256', signed, { key: ecdsa, dsaEncoding: 'ieee-p1363' })
      return encodeStrings('ecdsa-sha2-nistp256', change(raw.subarray(0, 32), raw.subarray(32)))
    }
    expect(find(build(key, { make }), key)).toBe(fault)
  })

  test('RSA with SHA-1, or under the name of another algorithm, is refused', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 })
    const key = blobFor(privateKey)
    const by = (hash: string, name: string) =>
      find(
        build(key, { make: (signed) => encodeStrings(name, sign(hash, signed, privateKey)) }),
        key,
      )
    expect(by('sha512', 'rsa-sha2-512')).toBeUndefined()
    expect(by('sha256', 'rsa-sha2-256')).toBeUndefined()
    for (const [hash, name] of [
      ['sha1', 'ssh-rsa'],
      ['sha256', 'rsa-sha2-512'],
      ['sha512', 'ssh-ed25519'],
    ] as const) {
      expect(by(hash, name)).toBe('the signature does not verify')
    }
  })
})

describe('a FIDO key [ATTACKS 12]', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const type = 'sk-ssh-ed25519@openssh.com'
  const point = Buffer.from(privateKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const key = encodeStrings(type, point, 'ssh:')

  const make =
    (flags: number, application = 'ssh:', name = type) =>
    (signed: Uint8Array) => {
      const rest = concat(Uint8Array.of(flags), encodeUint32(7))
      const raw = sign(
        null,
        concat(sha256(encodeUtf8(application)), rest, sha256(signed)),
        privateKey,
      )
      return concat(encodeStrings(name, raw), rest)
    }
  const refused = 'the signature does not verify, or the key was not touched'

  test('signs with a touch, also one that a PIN went with', () => {
    for (const flags of [0x01, 0x05]) {
      expect(find(build(key, { make: make(flags) }), key)).toBeUndefined()
    }
  })

  test.each([0x00, 0x04, 0xfe])('that was not touched (flags %i) is refused', (flags) => {
    expect(find(build(key, { make: make(flags) }), key)).toBe(refused)
  })

  test('that signed for another application is refused', () => {
    expect(find(build(key, { make: make(1, 'https://elsewhere.example') }), key)).toBe(refused)
  })

  test('whose signature is named otherwise, or is a plain one, is refused', () => {
    expect(find(build(key, { make: make(1, 'ssh:', 'ssh-ed25519') }), key)).toBe(refused)
    const plain = (signed: Uint8Array) =>
      encodeSignature('ssh-ed25519', sign(null, signed, privateKey))
    expect(find(build(key, { make: plain }), key)).toBe(refused)
  })

  test('whose signature has bytes at its end is refused', () => {
    const longer = (signed: Uint8Array) => concat(make(1)(signed), encodeString(''))
    expect(find(build(key, { make: longer }), key)).toBe(refused)
  })
})
