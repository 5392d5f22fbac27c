/**
 * The README's runbook for a CA key that may be in other hands, walked with a real sshd: what the
 * thief's certificate is worth before and after, how it is told from ours, and that the service
 * goes on under a new key.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openFileSigner } from '../../src/ca/signers/file.ts'
import { runCli, startCli, writeFiles } from '../cli/run.ts'
import { createService } from '../cli/service.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { expectRefused, logIn, ownLogin } from '../ssh/client.ts'
import { flag, forgeCertificate } from '../ssh/forge.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

let issuer: OidcIssuer
let cwd = ''
let key = ''
let publicKey = ''
let sshd: Sshd
const host = 'web-1.example.com'
const pathOf = (name: string) => join(cwd, name)
const trustFile = () => pathOf('web-1/user_ca.pub')
const cli = (...argv: string[]) => runCli(argv, { cwd })

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
  key = pathOf('id')
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
  const { stdout } = await cli('ca', 'show')
  sshd = await startSshd({
    name: 'web-1',
    dir: pathOf('web-1'),
    caKeys: [stdout.trim()],
    logins: { [ownLogin]: [`${ownLogin}@${host}`] },
  })
})
afterAll(async () => {
  await sshd?.stop()
  await issuer?.close()
})

/** Asks the service for a certificate. */
const ask = async (url: string) =>
  fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await issuer.mintFor('maya')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ publicKey, host, login: ownLogin }),
  })
const buy = async (url: string, name: string): Promise<string> => {
  const response = await ask(url)
  expect(response.status).toBe(201)
  const { certificate } = (await response.json()) as { certificate: string }
  writeFileSync(pathOf(name), `${certificate}\n`)
  return pathOf(name)
}
const enter = (certificate: string) => logIn({ sshd, key, certificate })
const serialsIn = (log: string) =>
  [...log.matchAll(/Accepted publickey .* \(serial (\d+)\) CA /g)].map(([, serial]) => serial)
const run = async <T>(work: (url: string) => Promise<T>): Promise<T> => {
  const { child, ended, firstLine } = startCli(['serve'], { cwd })
  try {
    return await work((await firstLine).replace('postern: ready on ', ''))
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

test('the runbook stops the thief, tells their logins from ours, and leads to a new key', async () => {
  const stolen = await openFileSigner({ path: pathOf('user_ca') })
  const theirs = pathOf('theirs-cert.pub')
  const forged = await forgeCertificate({
    signer: stolen,
    publicKey,
    principals: [`${ownLogin}@${host}`],
    serial: 4_242n,
    extensions: [['permit-pty', flag]],
  })
  writeFileSync(theirs, `${forged}\n`)
  let ours = ''

  await run(async (url) => {
    ours = await buy(url, 'ours-cert.pub')
    expect(await enter(ours)).toMatchObject({ code: 0 })
    expect(await enter(theirs)).toMatchObject({ code: 0 })

    // 1. Nothing new is issued under the key.
    expect((await cli('freeze', '--reason', 'the CA key may be stolen')).code).toBe(0)
    const refused = await ask(url)
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'frozen' })
  })

  // 2. No host takes the key any more: with no restart of sshd, and an empty file trusts nobody.
  writeFileSync(trustFile(), '')
  for (const certificate of [ours, theirs]) {
    await expectRefused(
      sshd,
      () => enter(certificate),
      /Failed publickey|not trusted|Connection closed/,
    )
  }

  // 3. The host's log names every login by its serial, and ours knows those that are ours.
  await sshd.waitForLog(/\(serial 4242\) CA /)
  const serials = serialsIn(sshd.readLog())
  expect(serials).toHaveLength(2)
  const known = await Promise.all(
    serials.map(async (serial) => (await cli('audit', 'show', '--', String(serial))).code === 0),
  )
  expect(serials.filter((_, at) => known[at] === false)).toEqual(['4242'])

  // 4. A new key, on the service and on the host.
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', pathOf('user_ca.new')])
  const config = readFileSync(pathOf('postern.yaml'), 'utf8')
  writeFiles(cwd, { 'postern.yaml': config.replace('userKey: user_ca', 'userKey: user_ca.new') })
  const { stdout } = await cli('ca', 'show')
  writeFileSync(trustFile(), stdout)

  await run(async (url) => {
    expect((await ask(url)).status).toBe(503)
    // 5. Issuing goes on.
    expect((await cli('unfreeze')).code).toBe(0)
    expect(await enter(await buy(url, 'new-cert.pub'))).toMatchObject({ code: 0 })
  })
  await expectRefused(sshd, () => enter(theirs), /Failed publickey|not trusted|Connection closed/)
  expect((await cli('audit', 'verify')).code).toBe(0)
  await stolen.close()
})
