import { execFileSync } from 'node:child_process'
import { createECDH, generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { createCaKeyFile, openFileSigner } from '../../src/ca/signers/file.ts'
import { AppError } from '../../src/errors.ts'
import { concat, encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { formatPublicKey, parsePublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import { encodeMpint, encodeStrings } from '../../src/ssh/wire.ts'
import { authorityTypes, createFromSeed, createPrivate, fidoLines, formatOpenSsh } from './keys.ts'
import { createDirectory, createKeyFile, runTool } from './tools.ts'

const directory = createDirectory()
afterAll(directory.remove)
let count = 0
const createPath = () => `${directory.path}/key-${count++}`

const writeKey = (text: string, mode = 0o600): string => {
  const path = createPath()
  writeFileSync(path, text, { mode })
  chmodSync(path, mode)
  return path
}
const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }) as string
const ed25519 = createPrivate('ssh-ed25519')

const expectRefused = async (
  given: Parameters<typeof openFileSigner>[0],
  message: string,
  hint: string,
) => {
  const before = readdirSync(directory.path)
  const error = await openFileSigner(given).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof AppError)) throw new Error('it was opened', { cause: error })
  expect([error.code, error.message, error.hint]).toEqual(['invalid_config', message, hint])
  // No new CA key takes the place of one that cannot be read.
  expect(readdirSync(directory.path)).toEqual(before)
}

const damaged = 'The CA key file is damaged, or has a passphrase and none is configured.'
const otherPassphrase = 'The CA key file is damaged, or its passphrase is another.'
const whichHint = (path: string) =>
  `ssh-keygen -y -f ${path} tells which; ca.userKeyPassphraseFile names the passphrase`

describe('a CA key file', () => {
  test.each(authorityTypes)('of ssh-keygen, type %s, is read', async (type) => {
    const path = createPath()
    const line = createKeyFile(type, path)
    const { publicKey, external } = await openFileSigner({ path })
    expect(formatPublicKey({ type, blob: publicKey })).toBe(line.trim())
    expect(external).toBe(false)
  })

  test.each(authorityTypes)('of ssh-keygen with a passphrase, type %s, is read', async (type) => {
    const path = createPath()
    const line = createKeyFile(type, path, 'correct horse')
    const { publicKey } = await openFileSigner({ path, passphrase: 'correct horse' })
    expect(formatPublicKey({ type, blob: publicKey })).toBe(line.trim())
    await expectRefused({ path, passphrase: 'wrong' }, otherPassphrase, whichHint(path))
    await expectRefused({ path, passphrase: '' }, otherPassphrase, whichHint(path))
    await expectRefused({ path }, damaged, whichHint(path))
  })

  test.each(authorityTypes)(
    'of PKCS#8, type %s, is read with and without a passphrase',
    async (type) => {
      const key = createPrivate(type)
      const blob = encodePublicKey(key)
      const passphrase = 'correct horse'
      const sealed = key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase })
      const path = writeKey(sealed as string)
      expect((await openFileSigner({ path, passphrase })).publicKey).toEqual(blob)
      expect((await openFileSigner({ path: writeKey(pem(key)) })).publicKey).toEqual(blob)
      await expectRefused({ path, passphrase: 'wrong' }, otherPassphrase, whichHint(path))
      await expectRefused({ path }, damaged, whichHint(path))
    },
  )

  test.each([0o640, 0o604, 0o660, 0o644, 0o601, 0o777])(
    'of mode %o is refused, ATTACKS 61',
    async (mode) => {
      const path = writeKey(pem(ed25519), mode)
      const message = 'Other users may read or change the CA key file.'
      await expectRefused({ path }, message, `chmod 600 ${path}`)
    },
  )

  test.each([0o600, 0o400])('of mode %o is read', async (mode) => {
    const path = writeKey(pem(ed25519), mode)
    expect((await openFileSigner({ path })).algorithm).toBe('ssh-ed25519')
  })

  test('behind a symlink is checked itself, ATTACKS 61', async () => {
    const [good, bad] = [createPath(), createPath()]
    symlinkSync(writeKey(pem(ed25519)), good)
    symlinkSync(writeKey(pem(ed25519), 0o644), bad)
    expect((await openFileSigner({ path: good })).algorithm).toBe('ssh-ed25519')
    const message = 'Other users may read or change the CA key file.'
    await expectRefused({ path: bad }, message, `chmod 600 ${bad}`)
  })

  // Only root can give a file away; anyone else finds one that is already root's.
  test('of another user is refused, ATTACKS 61', async () => {
    const isRoot = process.getuid?.() === 0
    const path = isRoot ? writeKey(pem(ed25519)) : '/etc/passwd'
    if (isRoot) chownSync(path, 65_534, 65_534)
    const message = 'The CA key file belongs to another user.'
    await expectRefused({ path }, message, `chown $(id -u) ${path}`)
  })

  test('that is missing is refused, and none is made, ATTACKS 62', async () => {
    const path = createPath()
    await expectRefused(
      { path },
      'The CA key file does not exist.',
      `look for ${path}; a new CA key is made by postern init`,
    )
  })

  test('that cannot be opened is refused, ATTACKS 62', async () => {
    const path = `${writeKey('')}/below`
    await expectRefused({ path }, 'The CA key file cannot be read.', `ls -l ${path}`)
  })

  test('that is a directory is refused, ATTACKS 62', async () => {
    const path = createPath()
    mkdirSync(path, { mode: 0o700 })
    await expectRefused({ path }, 'The CA key is not a regular file.', `ls -l ${path}`)
  })

  test('that is a pipe is refused, not waited for, ATTACKS 62', async () => {
    const path = createPath()
    execFileSync('mkfifo', ['-m', '600', path])
    await expectRefused({ path }, 'The CA key is not a regular file.', `ls -l ${path}`)
  })

  test('that is too large is refused unread', async () => {
    const path = writeKey('x'.repeat(65 * 1024))
    await expectRefused({ path }, 'The CA key file is too large.', `head ${path}`)
  })

  test.each(['ssh-ed25519', 'ssh-rsa'] as const)(
    'of ssh-keygen, type %s, cut anywhere is refused, ATTACKS 62',
    async (type) => {
      const path = createPath()
      createKeyFile(type, path)
      const text = readFileSync(path, 'utf8')
      const body = text.indexOf('-----END')
      for (const length of [60, 100, text.length >> 1, body - 30, body - 1, body]) {
        const cut = writeKey(text.slice(0, length))
        await expectRefused({ path: cut }, damaged, whichHint(cut))
      }
    },
  )

  test.each([
    ['nothing', ''],
    ['a public key', 'ssh-ed25519 AAAA'],
    ['traditional RSA', '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n'],
    ['a label of no form', '-----BEGIN constructor-----\n'],
  ])('that holds %s is refused, ATTACKS 62', async (_what, text) => {
    const path = writeKey(text)
    await expectRefused(
      { path },
      'The CA key file is neither PKCS#8 PEM nor in OpenSSH format.',
      `ssh-keygen -p -f ${path} writes it anew in OpenSSH format`,
    )
  })

  test('of PKCS#8 cut short is refused, ATTACKS 62', async () => {
    const text = pem(ed25519)
    const path = writeKey(text.slice(0, 60))
    await expectRefused({ path }, damaged, whichHint(path))
  })

  test('with RSA of 2048 bits is refused, ATTACKS 6', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await expectRefused(
      { path: writeKey(pem(privateKey)) },
      'The CA key is too weak, or is of a type no CA may have.',
      'use an ed25519 key, ECDSA, or RSA of at least 3072 bits',
    )
  })

  test('with a key of a kind no CA has is refused', async () => {
    const path = writeKey(pem(generateKeyPairSync('x25519').privateKey))
    const error = await openFileSigner({ path }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'invalid_config',
      message: 'A CA key must be ed25519, ECDSA P-256/384/521 or RSA.',
    })
  })
})

describe('an OpenSSH-format file', () => {
  const fromSeed = (seed: string) => {
    const blob = encodePublicKey(createFromSeed(seed)) as Uint8Array
    const point = blob.subarray(-32)
    return { blob, point, secret: concat(Buffer.from(seed, 'hex'), point) }
  }

  test.each(['00', '0000', '007f', '0080', 'ff', '80'])(
    'of an ed25519 seed that starts with %s is read',
    async (start) => {
      const seed = start.padEnd(64, '5')
      const { blob, point, secret } = fromSeed(seed)
      const path = writeKey(formatOpenSsh(blob, encodeStrings('ssh-ed25519', point, secret)))
      expect(runTool('ssh-keygen', ['-yf', path]).split(' ')[1]).toBe(encodeBase64(blob))
      const signer = await openFileSigner({ path })
      const data = encodeUtf8('data')
      expect(verifySignature(blob, data, await signer.sign(data))).toBe(true)
    },
  )

  test.each([
    ['nistp256', 'prime256v1', 32],
    ['nistp384', 'secp384r1', 48],
    ['nistp521', 'secp521r1', 66],
  ])('of a %s number shorter than its curve is read', async (curve, name, bytes) => {
    const d = new Uint8Array(bytes - 2).fill(0x81)
    const pair = createECDH(name)
    pair.setPrivateKey(d)
    const fields = encodeStrings(`ecdsa-sha2-${curve}`, curve, pair.getPublicKey())
    const path = writeKey(formatOpenSsh(fields, concat(fields, encodeMpint(d))))
    const signer = await openFileSigner({ path })
    expect(signer.publicKey).toEqual(fields)
    const data = encodeUtf8('data')
    expect(verifySignature(fields, data, await signer.sign(data))).toBe(true)
  })

  test('whose public half is another key’s is refused', async () => {
    const [one, two] = [fromSeed('1'.repeat(64)), fromSeed('2'.repeat(64))]
    const part = encodeStrings(
      'ssh-ed25519',
      two.point,
      concat(one.secret.subarray(0, 32), two.point),
    )
    const path = writeKey(formatOpenSsh(two.blob, part))
    const message = 'The two halves of the CA key do not belong together.'
    await expectRefused({ path }, message, `ssh-keygen -y -f ${path}`)
  })

  test.each(Object.entries(fidoLines))('of type %s is refused', async (type, line) => {
    const { blob } = parsePublicKey(line)
    const path = writeKey(formatOpenSsh(blob, encodeStrings(type, 'handle')))
    await expectRefused({ path }, damaged, whichHint(path))
  })
})

describe('a new CA key file', () => {
  test('is an ed25519 key, ours alone to read, and opens', async () => {
    const path = createPath()
    await createCaKeyFile(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect((await openFileSigner({ path })).algorithm).toBe('ssh-ed25519')
  })

  test('never takes the place of what is there', async () => {
    const path = writeKey('precious')
    await expect(createCaKeyFile(path)).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The CA key file exists already and is left as it is.',
      hint: `ls -l ${path}`,
    })
    expect(readFileSync(path, 'utf8')).toBe('precious')
    const link = createPath()
    symlinkSync(createPath(), link)
    await expect(createCaKeyFile(link)).rejects.toMatchObject({ code: 'invalid_config' })
  })

  test('in a directory that is not there is refused', async () => {
    await expect(createCaKeyFile(`${createPath()}/key`)).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The CA key file cannot be written.',
    })
  })
})
