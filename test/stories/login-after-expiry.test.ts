import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { startTestApp } from '../app.ts'
import { expectRefused, logIn, ownLogin, refusals } from '../ssh/client.ts'
import { startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

/**
 * Maya leaves the company while she is logged in, with a certificate in her pocket. sshd looks at a
 * certificate once, at the login: what bounds her is its life, and a running session nothing of
 * ours. The README says so; these are the limits as they are (ATTACKS 57).
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-login-'))
const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
const host = 'web-1.example.com'

const { privateKey } = generateKeyPairSync('ed25519')
const startService = (group: string) =>
  startTestApp({
    overrides: { signer: createMemorySigner(privateKey) },
    policies: (issuer) => ({
      'a.yaml': `rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [${group}] } }]
    hosts: [${host}]
    logins: ["${ownLogin}"]
    ttl: 6s
`,
    }),
  })
const service = await startService('platform')
const caKey = (await (await service.request('/v1/ca/user.pub')).text()).trim()
const web1 = await startSshd({
  name: host,
  dir: join(dir, 'web-1'),
  caKeys: [caKey],
  logins: { [ownLogin]: [`${ownLogin}@${host}`] },
})
afterAll(async () => {
  await web1.stop()
  await service.close()
  rmSync(dir, { recursive: true })
})

test('a changed policy stops new certificates; one that is out lives on, for its ttl and no longer', async () => {
  const ask = { publicKey, login: ownLogin, host }
  const bought = await service.ask('maya', ask)
  expect(bought.status).toBe(201)
  const { certificate, validBefore } = (await bought.json()) as Record<string, string>
  const path = join(dir, 'key-cert.pub')
  writeFileSync(path, `${certificate}\n`)

  const changed = await startService('sales')
  expect((await changed.ask('maya', ask)).status).toBe(403)
  await changed.close()

  const attempt = (command?: string) =>
    logIn({ sshd: web1, key, certificate: path, ...(command === undefined ? {} : { command }) })
  expect(await attempt()).toMatchObject({ code: 0 })
  // A session that began in time outlives the certificate.
  const session = attempt('sleep 8; echo still here')
  const end = Date.parse(validBefore as string)
  await wait(Math.max(0, end + 1000 - Date.now()))
  await expectRefused(web1, () => attempt(), refusals.expired)
  expect(await session).toMatchObject({ code: 0, stdout: 'still here\n' })
})

test('the README names both limits', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(
    'A session outlives its certificate, and its revocation: sshd checks at login only.',
  )
  expect(readme).toContain('A certificate without extensions still allows commands and sftp')
})
