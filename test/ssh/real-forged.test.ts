import { sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { decodePublicKey, formatPublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeStrings } from '../../src/ssh/wire.ts'
import { createPrivate } from '../ca/keys.ts'
import { createDirectory, createKeyFile } from '../ca/tools.ts'
import { execute } from '../tools.ts'
import { logIn, ownLogin } from './client.ts'
import { flag, forgeCertificate, value } from './forge.ts'
import { startSshd } from './sshd.ts'

/**
 * What a real sshd makes of certificates that Postern never signs: the reasons for the checks in
 * ca/check.ts. Whoever wants to loosen one finds here what it would cost.
 */
const directory = createDirectory()
const key = join(directory.path, 'key')
const publicKey = createKeyFile('ssh-ed25519', key).trim()
const signer = createMemorySigner()
const rsa = createPrivate('ssh-rsa')
const rsaBlob = encodePublicKey(rsa)
if (rsaBlob === undefined) throw new Error('RSA has a blob')
const lineOf = (blob: Uint8Array) => formatPublicKey(decodePublicKey(blob))

const web1 = await startSshd({
  name: 'web-1',
  dir: join(directory.path, 'web-1'),
  caKeys: [lineOf(signer.publicKey), lineOf(rsaBlob)],
  logins: { [ownLogin]: [`${ownLogin}@web-1`] },
})
afterAll(async () => {
  await web1.stop()
  directory.remove()
})

type Forged = Partial<Parameters<typeof forgeCertificate>[0]>
let count = 0
const attempt = async (changes: Forged, command = 'id -un') => {
  const certificate = join(directory.path, `${++count}-cert.pub`)
  const principals = [`${ownLogin}@web-1`]
  const text = await forgeCertificate({ signer, publicKey, principals, ...changes })
  writeFileSync(certificate, `${text}\n`)
  return logIn({ sshd: web1, key, certificate, command })
}

test('a forged certificate with nothing wrong logs in, so that a refusal below is for its reason', async () => {
  expect(await attempt({})).toMatchObject({ code: 0, stdout: `${ownLogin}\n` })
})

describe('sshd refuses', () => {
  test.each<[string, Forged]>([
    ['a certificate without principals, ATTACKS 21', { principals: [] }],
    ['one with an empty principal, ATTACKS 22', { principals: [''] }],
    [
      'one with 257 principals, the right one among them, ATTACKS 29',
      {
        principals: Array.from({ length: 257 }, (_, at) => (at ? `p-${at}` : `${ownLogin}@web-1`)),
      },
    ],
    ['a host certificate for a user, ATTACKS 44', { kind: 'host' }],
    ['an unknown critical option, ATTACKS 45', { criticalOptions: [['no-such-option', flag]] }],
    [
      'force-command twice, ATTACKS 47',
      {
        criticalOptions: [
          ['force-command', value('echo one')],
          ['force-command', value('echo two')],
        ],
      },
    ],
    [
      'source-address twice, ATTACKS 47',
      {
        criticalOptions: [
          ['source-address', value('127.0.0.1/32')],
          ['source-address', value('10.0.0.0/8')],
        ],
      },
    ],
  ])('%s', async (_what, changes) => {
    expect(await attempt(changes)).toMatchObject({ code: 255, stdout: '' })
  })

  // Each of these is refused at issue time, for it would lock its holder out.
  test.each([
    ['host bits', '127.0.0.1/8'],
    ['a blank after the comma', '127.0.0.1/32, 10.0.0.0/8'],
    ['a negation', '!127.0.0.1/32'],
    ['nothing', ''],
    ['a comma at its end', '127.0.0.1/32,'],
    ['garbage', 'localhost'],
  ])('a source-address with %s, ATTACKS 49', async (_what, addresses) => {
    const criticalOptions = [['source-address', value(addresses)]] as const
    expect(await attempt({ criticalOptions })).toMatchObject({ code: 255, stdout: '' })
  })

  test('a signature with SHA-1 by an RSA CA, and takes the same with SHA-512, ATTACKS 54', async () => {
    const signWith = (algorithm: string, hash: string) => ({
      publicKey: rsaBlob,
      sign: async (data: Uint8Array) => encodeStrings(algorithm, sign(hash, data, rsa)),
    })
    const old = await attempt({ signer: signWith('ssh-rsa', 'sha1') })
    expect(old).toMatchObject({ code: 255, stdout: '' })
    const current = await attempt({ signer: signWith('rsa-sha2-512', 'sha512') })
    expect(current).toMatchObject({ code: 0 })
  })
})

describe('sshd takes, and so we must never write', () => {
  test('force-command as an extension, and forces nothing, ATTACKS 46', async () => {
    const extensions = [['force-command', value('echo forced')]] as const
    expect(await attempt({ extensions }, 'echo asked')).toMatchObject({ stdout: 'asked\n' })
    const criticalOptions = extensions
    expect(await attempt({ criticalOptions }, 'echo asked')).toMatchObject({ stdout: 'forced\n' })
  })

  test('an unknown extension, which can therefore never restrict, ATTACKS 45', async () => {
    expect(await attempt({ extensions: [['no-login-at-all', flag]] })).toMatchObject({ code: 0 })
  })

  test('options out of order and extensions twice, which others refuse, ATTACKS 47 and 48', async () => {
    const extensions = [
      ['permit-user-rc', flag],
      ['permit-pty', flag],
      ['permit-pty', flag],
    ] as const
    expect(await attempt({ extensions })).toMatchObject({ code: 0 })
  })
})

test('a serial of 0 can be named in no revocation list, ATTACKS 35', async () => {
  const ca = join(directory.path, 'ca.pub')
  writeFileSync(ca, `${lineOf(signer.publicKey)}\n`)
  const revoke = (serial: string) =>
    execute('ssh-keygen', ['-q', '-k', '-f', join(directory.path, 'krl'), '-s', ca, '-'], {
      input: `serial: ${serial}\n`,
    })
  expect((await revoke('1')).code).toBe(0)
  expect((await revoke('0')).code).not.toBe(0)
})
