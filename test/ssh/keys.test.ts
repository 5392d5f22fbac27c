import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError, type Code } from '../../src/errors.ts'
import { concat, decodeBase64, encodeBase64 } from '../../src/lib/bytes.ts'
import { keyTypes } from '../../src/ssh/algorithms.ts'
import { checkPublicKey, formatPublicKey, parsePublicKey } from '../../src/ssh/keys.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { createFromSeed, createLines, fidoLines, formatLine, line, rsaLine } from '../ca/keys.ts'
import { createDirectory, runTool } from '../ca/tools.ts'

const lines = createLines()
const ed25519 = lines['ssh-ed25519']
const blobOf = (text: string) => decodeBase64(text.split(' ')[1] as string) as Uint8Array

const messages = {
  invalid_public_key:
    'The public key must be one line, "TYPE BASE64", as ssh-keygen writes it to a .pub file.',
  private_key_submitted:
    'This is a private key: send the public one (the .pub file), and replace this key, for it has left your hands.',
  unsupported_key_type:
    'Keys of this type are not certified: use ed25519, ECDSA, RSA, or a FIDO key (ed25519-sk, ecdsa-sk).',
  weak_key: 'The key is too weak to be certified: make a new one with "ssh-keygen -t ed25519".',
} as const satisfies Partial<Record<Code, string>>

const refusalOf = (text: string): AppError => {
  try {
    parsePublicKey(text)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was accepted')
}

const expectRefused = (text: string, code: keyof typeof messages, detail?: string) => {
  const start = process.cpuUsage()
  const error = refusalOf(text)
  expect(process.cpuUsage(start).user).toBeLessThan(50_000)
  expect([error.code, error.message]).toEqual([code, messages[code]])
  if (detail !== undefined) expect(error.detail).toBe(detail)
}

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
    ]) {
      expect(() => checkPublicKey(forged)).toThrow(
        expect.objectContaining({ code: 'invalid_public_key', detail }),
      )
    }
  })
})

describe('an RSA key', () => {
  const power = (bits: number) => 2n ** BigInt(bits)
  /** The product of the primes up to 167. */
  const primorial = Array.from({ length: 168 }, (_, n) => n)
    .filter(
      (n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
    )
    .reduce((product, prime) => product * BigInt(prime), 1n)
  /** A number of exactly so many bits that leaves this residue modulo each of those primes. */
  const withResidue = (bits: number, residue: bigint) =>
    (power(bits - 1) / primorial + 1n) * primorial + residue
  const good = withResidue(3072, 173n)

  test.each([
    ['1024 bits', power(1024) - 1n, 65_537n, 'the modulus has 1024 bits'],
    ['2048 bits', power(2048) - 1n, 65_537n, 'the modulus has 2048 bits'],
    ['3071 bits', power(3071) - 1n, 65_537n, 'the modulus has 3071 bits'],
  ])('of %s is too weak, ATTACKS 6', (_what, n, e, detail) => {
    expectRefused(rsaLine(n, e), 'weak_key', detail)
  })

  test.each([
    ['16384 bits', power(16_384) - 1n, 65_537n, 'the modulus has 16384 bits or more'],
    ['60000 bits', power(60_000) - 1n, 65_537n, 'the modulus has 16384 bits or more'],
    ['exponent 1', good, 1n, 'the exponent is 1 or even'],
    ['an even exponent', good, 65_536n, 'the exponent is 1 or even'],
    ['an exponent over 2^33', good, power(33) + 1n, 'the exponent is over 2^33'],
    ['an exponent of 3000 bits', good, power(3000) + 1n, 'the exponent is over 2^33'],
    ['an even modulus', good + 1n, 65_537n, 'the modulus is even'],
    [
      'a modulus 167 divides',
      withResidue(3072, 167n),
      65_537n,
      'a small prime divides the modulus',
    ],
  ])('with %s is refused at once, ATTACKS 7', (_what, n, e, detail) => {
    expectRefused(rsaLine(n, e), 'weak_key', detail)
  })

  test('of 16383 bits costs under 50 ms', () => {
    const text = rsaLine(withResidue(16_383, 173n), 65_537n)
    const start = process.cpuUsage()
    expect(parsePublicKey(text).type).toBe('ssh-rsa')
    expect(process.cpuUsage(start).user).toBeLessThan(50_000)
  })

  test.each([3072, 4096])('of %i bits as Infineon made them is refused, ATTACKS 8', (bits) => {
    // Any n = k·M + (65537^a mod M) has the fingerprint, M being the product of the primes to 167.
    let n = 1n
    for (let step = 0; step < 29; step++) n = (n * 65_537n) % primorial
    const roca = withResidue(bits, n)
    expectRefused(
      rsaLine(roca, 65_537n),
      'weak_key',
      'the modulus has the ROCA fingerprint (CVE-2017-15361)',
    )
  })

  test('with a number that is negative or not in its shortest form is refused', () => {
    const n = Buffer.from(good.toString(16), 'hex')
    const e = Uint8Array.of(1, 0, 1)
    expectRefused(line('ssh-rsa', e, n), 'invalid_public_key', 'a number is not positive')
    expectRefused(
      line('ssh-rsa', concat(Uint8Array.of(0), e), concat(Uint8Array.of(0), n)),
      'invalid_public_key',
      'a number is not in its shortest form',
    )
  })
})

describe('an ECDSA key', () => {
  const blob = blobOf(lines['ecdsa-sha2-nistp256'])
  const point = blob.subarray(-65)
  const compressed = concat(Uint8Array.of(2), point.subarray(1, 33))
  const shifted = point.map((byte, at) => (at === 64 ? byte ^ 1 : byte))
  const p384 = blobOf(lines['ecdsa-sha2-nistp384']).subarray(-97)

  test.each([
    ['a point off its curve', 'nistp256', shifted],
    ['the point 0, 0', 'nistp256', Uint8Array.of(4, ...new Uint8Array(64))],
    ['a coordinate over the field', 'nistp256', Uint8Array.of(4, ...new Uint8Array(64).fill(255))],
    ['the point at infinity', 'nistp256', Uint8Array.of(0)],
    ['no point', 'nistp256', new Uint8Array()],
    ['a compressed point', 'nistp256', compressed],
    ['a hybrid point', 'nistp256', concat(Uint8Array.of(6), point.subarray(1))],
    ['a cut point', 'nistp256', point.subarray(0, 64)],
    ['a longer point', 'nistp256', concat(point, Uint8Array.of(0))],
    ['another curve’s name', 'nistp384', point],
    ['another curve’s name and point', 'nistp384', p384],
    ['another curve’s point', 'nistp256', p384],
    ['a curve of no name', 'constructor', point],
  ])('with %s is refused, ATTACKS 10', (_what, curve, bytes) => {
    expectRefused(line('ecdsa-sha2-nistp256', curve, bytes), 'invalid_public_key')
    const fido = line('sk-ecdsa-sha2-nistp256@openssh.com', curve, bytes, 'ssh:')
    expectRefused(fido, 'invalid_public_key')
  })

  test('of a curve SSH does not have is refused', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const bytes = Buffer.concat([
      Buffer.of(4),
      Buffer.from(x, 'base64url'),
      Buffer.from(y, 'base64url'),
    ])
    expectRefused(line('ecdsa-sha2-secp256k1', 'secp256k1', bytes), 'unsupported_key_type')
    expectRefused(line('ecdsa-sha2-nistp256', 'nistp256', bytes), 'invalid_public_key')
  })
})

describe('an ed25519 key', () => {
  const order = 2n ** 255n - 19n
  /** 32 bytes, little-endian, with the sign of x on top (RFC 8032 section 5.1.2). */
  const encodePoint = (y: bigint, sign = 0) => {
    const bytes = Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
    bytes[31] = (bytes[31] as number) | (sign << 7)
    return Uint8Array.from(bytes)
  }
  const orderEight = [
    2707385501144840649318225287225658788936804267575313519463743609750303402022n,
    55188659117513257062467267217118295137698188065244968500265048394206261417927n,
  ]
  const each = (type: string, bytes: Uint8Array) =>
    type === 'ssh-ed25519' ? line(type, bytes) : line(type, bytes, 'ssh:')

  describe.each(['ssh-ed25519', 'sk-ssh-ed25519@openssh.com'])('of type %s', (type) => {
    test.each([0, 31, 33, 64])('with %i bytes is refused, ATTACKS 11', (length) => {
      const bytes = new Uint8Array(length).fill(7)
      expectRefused(each(type, bytes), 'invalid_public_key', 'an ed25519 key has 32 bytes')
    })

    test.each([0n, 1n, order - 1n, ...orderEight])(
      'at the small-order point y=%s is refused, ATTACKS 11',
      (y) => {
        for (const sign of [0, 1]) {
          const detail = 'the ed25519 point has a small order'
          expectRefused(each(type, encodePoint(y, sign)), 'weak_key', detail)
        }
      },
    )

    test.each([order, order + 1n, 2n ** 255n - 1n])(
      'with the y %s, which is not below p, is refused, ATTACKS 11',
      (y) => {
        for (const sign of [0, 1]) {
          const detail = 'the ed25519 point is not in its canonical form'
          expectRefused(each(type, encodePoint(y, sign)), 'invalid_public_key', detail)
        }
      },
    )

    test('just below p is not refused for its form', () => {
      expect(parsePublicKey(each(type, encodePoint(order - 2n))).type).toBe(type)
    })
  })

  test('of order eight has one of the two y for which d·y^4 + 2·y^2 = 1', () => {
    // Doubled, such a point has y = 0, so that x^2 = -y^2 (RFC 8032 section 5.1.4); that goes into
    // the curve, -x^2 + y^2 = 1 + d·x^2·y^2, whose d is -121665/121666.
    for (const y of orderEight) {
      const square = (y * y) % order
      const left = -121665n * square * square + 121666n * (2n * square - 1n)
      expect(left % order).toBe(0n)
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
