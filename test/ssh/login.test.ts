import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Authority, type CertificateIntent, createAuthority } from '../../src/ca/index.ts'
import { openAgentSigner } from '../../src/ca/signers/agent.ts'
import { openFileSigner } from '../../src/ca/signers/file.ts'
import { systemClock, toSeconds } from '../../src/lib/clock.ts'
import { createSerial, systemRandom } from '../../src/lib/ids.ts'
import { type KeyType, keyTypes } from '../../src/ssh/algorithms.ts'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { authorityTypes } from '../ca/keys.ts'
import { createDirectory, createKeyFile, startAgent } from '../ca/tools.ts'
import { authenticator, execute } from '../tools.ts'
import { expectRefused, logIn, ownLogin, refusals, transfer } from './client.ts'
import { startSshd } from './sshd.ts'

const directory = createDirectory()
const inDirectory = (name: string) => join(directory.path, name)

/** One user key of each type we certify; the FIDO ones by OpenSSH's software authenticator. */
const keygenArgs = {
  'ssh-ed25519': ['-t', 'ed25519'],
  'ecdsa-sha2-nistp256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-sha2-nistp384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-sha2-nistp521': ['-t', 'ecdsa', '-b', '521'],
  'ssh-rsa': ['-t', 'rsa', '-b', '3072'],
  'sk-ssh-ed25519@openssh.com': ['-t', 'ed25519-sk', '-w', authenticator],
  'sk-ecdsa-sha2-nistp256@openssh.com': ['-t', 'ecdsa-sk', '-w', authenticator],
} as const satisfies Record<KeyType, readonly string[]>
const userTypes = Object.keys(keyTypes) as readonly KeyType[]
const keyOf = (type: KeyType) => inDirectory(`user-${type}`)
for (const type of userTypes) {
  const made = await execute('ssh-keygen', [
    ...['-q', '-N', '', '-C', '', '-f', keyOf(type)],
    ...keygenArgs[type],
  ])
  if (made.code !== 0) throw new Error(made.stderr)
}
const isFido = (type: KeyType) => type.startsWith('sk-')

const limits = { clock: systemClock, maxTtlSeconds: 3600, backdateSeconds: 60 }
const caFileOf = (type: string) => inDirectory(`ca-${type}`)
const caLines = authorityTypes.map((type) => createKeyFile(type, caFileOf(type)).trim())
const openFromFile = async (type: string) =>
  createAuthority({ ...limits, signer: await openFileSigner({ path: caFileOf(type) }) })
const authority = await openFromFile('ssh-ed25519')

mkdirSync(inDirectory('hosts'))
const start = (name: string) =>
  startSshd({
    name,
    dir: inDirectory(`hosts/${name}`),
    caKeys: caLines,
    logins: { [ownLogin]: [`${ownLogin}@${name}`] },
  })
const [web1, web2] = await Promise.all([start('web-1'), start('web-2')])
afterAll(async () => {
  await Promise.all([web1.stop(), web2.stop()])
  directory.remove()
})

let count = 0
/** A certificate of ours in a file, for this host and login unless changed. */
const certify = async (
  changes: Partial<CertificateIntent> & { readonly by?: Authority; readonly type?: KeyType } = {},
): Promise<{ readonly path: string; readonly intent: CertificateIntent }> => {
  const { by = authority, type = 'ssh-ed25519', ...given } = changes
  const now = toSeconds(systemClock())
  const { text, intent } = await by.certify({
    publicKey: parsePublicKey(readFileSync(`${keyOf(type)}.pub`, 'utf8')),
    serial: createSerial(systemRandom),
    keyId: `oidc:idp.example.com:u-1:maya/deploy/req_${++count}`,
    principals: [`${ownLogin}@web-1`],
    validAfter: now - 60,
    validBefore: now + 300,
    criticalOptions: {},
    extensions: {},
    ...given,
  })
  const path = inDirectory(`${count}-cert.pub`)
  writeFileSync(path, `${text}\n`)
  return { path, intent }
}

const attempt = (certificate: string, more: Partial<Parameters<typeof logIn>[0]> = {}) =>
  logIn({ sshd: web1, key: keyOf('ssh-ed25519'), certificate, ...more })

describe('a certificate of ours logs in', () => {
  test.each(userTypes)('with a user key of type %s', async (type) => {
    const { path, intent } = await certify({ type })
    const args = isFido(type) ? ['-o', `SecurityKeyProvider=${authenticator}`] : []
    expect(await attempt(path, { key: keyOf(type), args })).toMatchObject({
      code: 0,
      stdout: `${ownLogin}\n`,
    })
    await web1.waitForLog(new RegExp(`ID ${intent.keyId} \\(serial ${intent.serial}\\)`))
  })

  test.each(authorityTypes)('under a CA key of type %s in a file', async (type) => {
    const by = await openFromFile(type)
    const { path } = await certify({ by })
    expect(await attempt(path)).toMatchObject({ code: 0, stdout: `${ownLogin}\n` })
    await by.close()
  })

  test.each(authorityTypes)('under a CA key of type %s in a real ssh-agent', async (type) => {
    const socket = inDirectory(`agent-${type}`)
    const agent = await startAgent(socket)
    try {
      agent.add(caFileOf(type))
      const { fingerprint } = parsePublicKey(readFileSync(`${caFileOf(type)}.pub`, 'utf8'))
      const by = await createAuthority({
        ...limits,
        signer: await openAgentSigner({ socket, fingerprint }),
      })
      const { path } = await certify({ by })
      expect(await attempt(path)).toMatchObject({ code: 0, stdout: `${ownLogin}\n` })
      await by.close()
    } finally {
      await agent.stop()
    }
  })

  test('with 32 principals, the most we put into one, ATTACKS 29', async () => {
    const others = Array.from({ length: 31 }, (_, at) => `deploy@host-${at}`)
    const { path } = await certify({ principals: [...others, `${ownLogin}@web-1`] })
    expect(await attempt(path)).toMatchObject({ code: 0 })
  })

  test('and sshd names it by key id, serial and CA, which joins its log to ours', async () => {
    const { path, intent } = await certify()
    await attempt(path)
    const [, keyId, serial, fingerprint] = await web1.waitForLog(
      new RegExp(`Accepted publickey .* ID (\\S+) \\(serial (${intent.serial})\\) CA \\S+ (\\S+)`),
    )
    expect({ keyId, serial, fingerprint }).toEqual({
      keyId: intent.keyId,
      serial: intent.serial.toString(),
      fingerprint: authority.fingerprint,
    })
  })
})

describe('a certificate of ours is refused', () => {
  test('by another host under the same CA', async () => {
    const { path } = await certify()
    await expectRefused(web2, () => attempt(path, { sshd: web2 }), refusals.principal)
  })

  test('for another login', async () => {
    const { path } = await certify()
    const login = ownLogin === 'nobody' ? 'daemon' : 'nobody'
    await expectRefused(web1, () => attempt(path, { login }), refusals.login)
  })

  test('a second after its end, ATTACKS 41', async () => {
    // The authority lived an hour ago, when this was still sound.
    const past = new Date(systemClock().getTime() - 3_600_000)
    const by = await createAuthority({
      ...limits,
      clock: () => past,
      signer: await openFileSigner({ path: caFileOf('ssh-ed25519') }),
    })
    const now = toSeconds(systemClock())
    const { path } = await certify({ by, validAfter: now - 3600, validBefore: now - 1 })
    await expectRefused(web1, () => attempt(path), refusals.expired)
  })

  test('a minute before its start, ATTACKS 41', async () => {
    const { path } = await certify({ validAfter: toSeconds(systemClock()) + 60 })
    await expectRefused(web1, () => attempt(path), refusals.early)
  })

  test('when a byte of what was signed is another', async () => {
    const { path } = await certify()
    const [type, base64 = ''] = readFileSync(path, 'utf8').trim().split(' ')
    const blob = Buffer.from(base64, 'base64')
    // The principal of web-1 becomes web-2's: what a holder would want to change.
    blob.write(`${ownLogin}@web-2`, blob.indexOf(`${ownLogin}@web-1`))
    const tampered = `${type} ${blob.toString('base64')}`
    expect(parseCertificate(tampered).principals).toEqual([`${ownLogin}@web-2`])
    writeFileSync(path, `${tampered}\n`)
    expect(await attempt(path, { sshd: web2 })).toMatchObject({ code: 255, stdout: '' })
  })

  test('with a key it was not made for', async () => {
    const { path } = await certify({ type: 'ecdsa-sha2-nistp256' })
    expect(await attempt(path)).toMatchObject({ code: 255, stdout: '' })
  })

  test('as a bare key without its certificate', async () => {
    expect(await logIn({ sshd: web1, key: keyOf('ssh-ed25519') })).toMatchObject({
      code: 255,
      stdout: '',
    })
  })
})

describe('what a certificate of ours restricts', () => {
  test('force-command runs in place of whatever is asked for, ATTACKS 46', async () => {
    const { path } = await certify({ criticalOptions: { 'force-command': 'echo forced' } })
    expect(await attempt(path, { command: 'echo asked' })).toMatchObject({ stdout: 'forced\n' })
    const input = 'pwd\n'
    const sftp = await transfer({ sshd: web1, key: keyOf('ssh-ed25519'), certificate: path, input })
    expect(sftp.code).not.toBe(0)
    expect(sftp.stdout).not.toContain('Remote working directory')
  })

  test.each([
    ['the very address', '127.0.0.1/32', true],
    ['a block around it, among others', '10.2.0.0/16,127.0.0.0/8', true],
    ['another block', '10.2.0.0/16', false],
  ])('source-address with %s', async (_what, addresses, isAllowed) => {
    const { path } = await certify({ criticalOptions: { 'source-address': addresses } })
    if (isAllowed) expect(await attempt(path)).toMatchObject({ code: 0 })
    else await expectRefused(web1, () => attempt(path), refusals.address)
  })

  test('without extensions exec and sftp still work, and a terminal does not, ATTACKS 52', async () => {
    const { path } = await certify()
    expect(await attempt(path)).toMatchObject({ code: 0 })
    const input = 'pwd\n'
    const sftp = await transfer({ sshd: web1, key: keyOf('ssh-ed25519'), certificate: path, input })
    expect(sftp).toMatchObject({ code: 0 })
    expect(sftp.stdout).toContain('Remote working directory')
    const args = ['-tt']
    const refusal = 'PTY allocation request failed'
    expect((await attempt(path, { args })).stderr).toContain(refusal)
    const { path: withPty } = await certify({ extensions: { 'permit-pty': '' } })
    expect((await attempt(withPty, { args })).stderr).not.toContain(refusal)
  })
})
