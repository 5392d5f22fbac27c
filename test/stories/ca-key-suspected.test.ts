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

/** What each step of the runbook took, printed at the end: orders take effect when they are answered. */
const timings: string[] = []
const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const begun = performance.now()
  const result = await work()
  timings.push(`${what}: ${Math.round(performance.now() - begun)} ms`)
  return result
}
const keysOf = async () => {
  const { stdout } = await cli('ca', 'list', '--json')
  const { keys } = JSON.parse(stdout) as {
    keys: readonly Readonly<Record<'fingerprint' | 'state' | 'certificatesAlive', unknown>>[]
  }
  return keys
}
const refusedFor = /Failed publickey|not trusted|Connection closed/

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
  const suspected = String((await keysOf())[0]?.fingerprint)

  await run(async (url) => {
    const ours = await buy(url, 'ours-cert.pub')
    expect(await enter(ours)).toMatchObject({ code: 0 })
    expect(await enter(theirs)).toMatchObject({ code: 0 })

    // 1. Nothing new is issued under the key.
    const frozen = () => cli('freeze', '--reason', 'the CA key may be stolen')
    expect((await timed('freeze', frozen)).code).toBe(0)
    const refused = await ask(url)
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'frozen' })

    // 2. Another key takes its place. It is made and signs at once; nobody waits for a host.
    expect((await timed('ca next', () => cli('ca', 'next'))).code).toBe(0)
    const activated = await timed('ca activate --force', () => cli('ca', 'activate', '--force'))
    expect(activated).toMatchObject({ code: 0, stdout: expect.stringMatching(/ is active since /) })

    // 3. What stops working is said first, and then done.
    const before = await cli('ca', 'remove', suspected)
    expect(before).toMatchObject({ code: 1, stdout: '' })
    expect(before.stderr).toMatch(/^error: The key has a certificate that is alive until /m)
    const remove = () => cli('ca', 'remove', suspected, '--force')
    const removed = await timed('ca remove --force', remove)
    expect(removed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ is removed since /),
      stderr: expect.stringMatching(/^warning: The key has a certificate that is alive until /m),
    })

    // 4. No host takes the key any more, with no restart of sshd: the script's timer sees to that
    // within a minute; on a host without it, the new lines are put in place by hand.
    const { stdout } = await cli('ca', 'show')
    const trusted = await (await fetch(`${url}/v1/ca/user.pub`)).text()
    expect(stdout.split('\n')[0]).toBe(trusted.trim())
    writeFileSync(trustFile(), stdout)
    for (const certificate of [ours, theirs]) {
      const refuse = () => expectRefused(sshd, () => enter(certificate), refusedFor)
      await timed('a login that is refused', refuse)
    }

    // The list of what is revoked names the key too, for a host that trusts it by another file.
    const krl = await (await fetch(`${url}/v1/krl`)).arrayBuffer()
    writeFileSync(pathOf('krl'), new Uint8Array(krl))
    for (const certificate of [ours, theirs]) {
      const { code, stdout } = await execute('ssh-keygen', ['-Qf', pathOf('krl'), certificate])
      expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining('REVOKED') })
    }

    // 5. The host's log names every login by serial and key: one of them nobody here has issued.
    await sshd.waitForLog(/\(serial 4242\) CA /)
    expect(serialsIn(sshd.readLog())).toHaveLength(2)
    const reconcile = () => cli('audit', 'reconcile', pathOf('web-1/log'))
    const { code, stdout: findings } = await timed('audit reconcile', reconcile)
    expect(code).toBe(3)
    expect(findings).toContain('4242')

    // 6. Issuing goes on.
    expect((await ask(url)).status).toBe(503)
    expect((await timed('unfreeze', () => cli('unfreeze'))).code).toBe(0)
    const fresh = await buy(url, 'new-cert.pub')
    expect(await enter(fresh)).toMatchObject({ code: 0 })
    const { stdout: verdict } = await execute('ssh-keygen', ['-Qf', pathOf('krl'), fresh])
    expect(verdict).toMatch(/: ok$/m)
  })

  // The key stays out of it, also after a restart, and although ca.userKey still names its file.
  await run(async (url) => {
    expect(await enter(await buy(url, 'later-cert.pub'))).toMatchObject({ code: 0 })
    await expectRefused(sshd, () => enter(theirs), refusedFor)
  })
  expect((await keysOf()).map(({ state }) => state)).toEqual(['removed', 'active'])
  expect((await cli('audit', 'verify')).code).toBe(0)
  await stolen.close()
  process.stdout.write(`CA key suspected, step by step:\n  ${timings.join('\n  ')}\n`)
})
