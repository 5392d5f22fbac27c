/**
 * The CA key is stolen and nobody knows. Certificates made with it by `ssh-keygen -s` open the host
 * like ours: the host's log, held against what was issued, is what tells (README, reconciliation).
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, startCli, writeFiles } from '../cli/run.ts'
import { createService } from '../cli/service.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { logIn, ownLogin } from '../ssh/client.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

const host = 'web-1.example.com'
let issuer: OidcIssuer
let sshd: Sshd
let cwd = ''
let ours = ''
let serial = ''
const pathOf = (name: string) => join(cwd, name)

beforeAll(async () => {
  issuer = await startOidcIssuer()
  cwd = await createService(issuer.issuer)
  writeFiles(cwd, {
    'policies/web.yaml': `rules:
  - name: deploy
    who: [{ oidc: { issuer: "${issuer.issuer}", groups: [platform] } }]
    hosts: [${host}]
    logins: ["${ownLogin}"]
    ttl: 5m
`,
  })
  // In OpenSSH's own form, which the thief's ssh-keygen reads; init writes PKCS#8.
  for (const name of ['user_ca', 'user_ca.pub']) rmSync(pathOf(name), { force: true })
  for (const name of ['id', 'user_ca']) {
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', pathOf(name)])
  }
  const { stdout } = await runCli(['ca', 'show'], { cwd })
  sshd = await startSshd({
    name: 'web-1',
    dir: pathOf('web-1'),
    caKeys: [stdout.trim()],
    logins: { [ownLogin]: [`${ownLogin}@${host}`] },
  })
  const { child, ended, firstLine } = startCli(['serve'], { cwd })
  try {
    const url = (await firstLine).replace('postern: ready on ', '')
    const response = await fetch(`${url}/v1/certificates`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await issuer.mintFor('maya')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        publicKey: readFileSync(pathOf('id.pub'), 'utf8').trim(),
        host,
        login: ownLogin,
      }),
    })
    const issued = (await response.json()) as { certificate: string; serial: string }
    serial = issued.serial
    ours = pathOf('ours-cert.pub')
    writeFileSync(ours, `${issued.certificate}\n`)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
})
afterAll(async () => {
  await sshd?.stop()
  await issuer?.close()
})

/** Logs in, and answers what the host's log has of it. */
const enter = async (certificate: string): Promise<string> => {
  const from = sshd.readLog().length
  expect(await logIn({ sshd, key: pathOf('id'), certificate })).toMatchObject({ code: 0 })
  await sshd.waitForLog(/Accepted publickey for [^\n]*\n/, from)
  return sshd.readLog().slice(from)
}

/** What the thief makes on a machine of their own. */
const forge = async (keyId: string, withSerial: string): Promise<string> => {
  const args = ['-q', '-s', pathOf('user_ca'), '-I', keyId, '-z', withSerial, '-V', '+5m']
  await execute('ssh-keygen', [...args, '-n', `${ownLogin}@${host}`, pathOf('id.pub')])
  return pathOf('id-cert.pub')
}

const reconcile = async (log: string) => {
  writeFileSync(pathOf('sshd.log'), log)
  const { code, stdout } = await runCli(['audit', 'reconcile', '--json', 'sshd.log'], { cwd })
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  return { code, found: lines.slice(0, -1), summary: lines.at(-1).summary }
}

test('an ordinary login is accounted for', async () => {
  expect(await reconcile(await enter(ours))).toMatchObject({
    code: 0,
    found: [],
    summary: { logins: 1, findings: 0, foreign: 0, unknown: 0 },
  })
})

test('a certificate made with the stolen key is the finding, whatever it calls itself', async () => {
  const keyId = /ID ([^\s"]+) \(serial/.exec(sshd.readLog())?.[1] ?? ''
  const ca = /CA ED25519 (\S+)/.exec(sshd.readLog())?.[1] ?? ''

  const plain = await reconcile(await enter(await forge('maya', '4242')))
  expect(plain.code).toBe(3)
  expect(plain.found).toMatchObject([{ kind: 'never-issued', serial: '4242', keyId: 'maya', ca }])

  // The end of a line of ours, inside the key id.
  const posing = await reconcile(
    await enter(await forge(`${keyId} (serial ${serial}) CA ED25519 ${ca}`, '0')),
  )
  expect(posing.code).toBe(3)
  expect(posing.found).toMatchObject([{ kind: 'never-issued', serial: '0' }])

  // So long that sshd cuts its line right behind such an end.
  const tail = ` (serial ${serial}) CA ED25519 ${ca}`
  const long = await reconcile(await enter(await forge(`${'x'.repeat(1000)}${tail}`, '7')))
  expect(long.code).toBe(3)
  expect(long.found).toMatchObject([{ kind: 'unreadable', login: ownLogin }])

  // A serial that was issued, on a certificate that was not.
  const twin = await reconcile(await enter(await forge('twin', serial)))
  expect(twin.code).toBe(3)
  expect(twin.found).toMatchObject([{ kind: 'key-id', expected: keyId, serial }])
})
