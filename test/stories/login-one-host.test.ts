import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../app.ts'
import { expectRefused, logIn, ownLogin, refusals } from '../ssh/client.ts'
import { startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

/**
 * Two hosts trust one CA. Maya may log in to web-1 for the shop and to web-2 for nothing; somebody
 * who has read web-1's disk has her certificate. What is it worth on web-2? (DESIGN: promise 4)
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-login-'))
const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()

const hosts = ['web-1.example.com', 'web-2.example.com'] as const
const service = await startTestApp({
  policies: (issuer) => ({
    'a.yaml': `rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    ttl: 5m
  - name: whole-fleet
    who: [{ oidc: { issuer: "${issuer}", claims: { on_call: "yes" } } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    principals: ["{login}"]
    fleetWide: true
    ttl: 5m
`,
  }),
})
const caKey = (await (await service.request('/v1/ca/user.pub')).text()).trim()
const [web1, web2] = await Promise.all(
  hosts.map((name) =>
    startSshd({
      name,
      dir: join(dir, name),
      caKeys: [caKey],
      logins: { [ownLogin]: [`${ownLogin}@${name}`] },
    }),
  ) as [ReturnType<typeof startSshd>, ReturnType<typeof startSshd>],
)
afterAll(async () => {
  await Promise.all([web1.stop(), web2.stop(), service.close()])
  rmSync(dir, { recursive: true })
})

type Ask = Parameters<TestApp['ask']>[1]
/** Buys a certificate over HTTP, as a backend would. */
const buy = async (ask: Ask = {}) => {
  const response = await service.ask('maya', { publicKey, login: ownLogin, ...ask })
  expect(response.status).toBe(201)
  const issued = (await response.json()) as Record<'certificate' | 'serial' | 'keyId', string>
  const path = join(dir, `${issued.serial}-cert.pub`)
  writeFileSync(path, `${issued.certificate}\n`)
  return { ...issued, path }
}

describe('a certificate for one host', () => {
  test('opens that host, and not the other, though both trust the CA', async () => {
    const { path } = await buy({ host: hosts[0] })
    const attempt = (sshd: typeof web1) => logIn({ sshd, key, certificate: path })
    expect(await attempt(web1)).toMatchObject({ code: 0, stdout: `${ownLogin}\n` })
    await expectRefused(web2, () => attempt(web2), refusals.principal)
  })

  test('and the other way round', async () => {
    const { path } = await buy({ host: hosts[1] })
    const attempt = (sshd: typeof web1) => logIn({ sshd, key, certificate: path })
    expect(await attempt(web2)).toMatchObject({ code: 0 })
    await expectRefused(web1, () => attempt(web1), refusals.principal)
  })

  test("is named in the host's log by the serial of its entry in ours", async () => {
    const { path, serial, keyId } = await buy({ host: hosts[0] })
    await logIn({ sshd: web1, key, certificate: path })
    const [, loggedId, loggedSerial] = await web1.waitForLog(
      new RegExp(`Accepted publickey .* ID (\\S+) \\(serial (${serial})\\) CA `),
    )
    const entries = (await service.rows()).map(({ entry }) => entry)
    const entry = entries.find(
      (one) => one.type === 'allow' && one.certificate.serial === loggedSerial,
    )
    expect(entry).toMatchObject({
      type: 'allow',
      identity: { subject: 'u-1001', name: 'maya' },
      ask: { host: hosts[0], login: ownLogin },
      certificate: { keyId: loggedId },
    })
    expect(loggedId).toBe(keyId)
  })
})

describe('what a rule that says fleetWide costs', () => {
  test('its certificate opens no host of ours, for their principals name the host', async () => {
    const token = await service.issuer.mintFor('sam', { on_call: 'yes' })
    const response = await service.request('/v1/certificates', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ publicKey, host: hosts[0], login: ownLogin }),
    })
    const { certificate, principals } = (await response.json()) as {
      readonly certificate: string
      readonly principals: readonly string[]
    }
    expect(principals).toEqual([ownLogin])
    const path = join(dir, 'fleet-cert.pub')
    writeFileSync(path, `${certificate}\n`)
    const attempt = () => logIn({ sshd: web1, key, certificate: path })
    await expectRefused(web1, attempt, refusals.principal)
  })
})
