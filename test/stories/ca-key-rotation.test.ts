import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { formatFingerprint } from '../../src/ssh/keys.ts'
import { startTestApp, type TestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'
import { expectRefused, logIn, ownLogin } from '../ssh/client.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

/**
 * A CA key is changed while people work: a login every moment, through all four steps, on a host that
 * takes the keys it is told to trust. Not one of them may fail (ATTACKS 70).
 */
const dir = useDirectories()()
const host = 'web-1.example.com'
const key = join(dir, 'key')
let publicKey = ''
let service: TestApp
let sshd: Sshd
/** How far the service's clock is ahead, in milliseconds: certificates end without waiting for them. */
let ahead = 0

beforeAll(async () => {
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
  service = await startTestApp({
    policies: (issuer) => ({
      'a.yaml': `roles: { admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }] }
rules:
  - name: deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [${host}]
    logins: ["${ownLogin}"]
    ttl: 2m
`,
    }),
    config: {
      ca: {
        userKey: { kind: 'file', path: join(dir, 'user_ca') },
        maxTtlSeconds: 3600,
        // As far as the service's clock will be ahead of sshd's, and more.
        backdateSeconds: 300,
      },
    },
    overrides: { clock: () => new Date(Date.now() + ahead) },
  })
  const caKeys = (await (await service.request('/v1/ca/user.pub')).text()).trim().split('\n')
  const logins = { [ownLogin]: [`${ownLogin}@${host}`] }
  sshd = await startSshd({ name: host, dir: join(dir, 'host'), caKeys, logins })
})
afterAll(async () => {
  await sshd?.stop()
  await service?.close()
})

/** What the timer of a host does, every minute. */
const applyTrust = async () => {
  const text = await (await service.request('/v1/ca/user.pub')).text()
  writeFileSync(join(dir, 'host', 'user_ca.pub'), text)
  return text.trim().split('\n').length
}
const buy = async (name: string) => {
  const response = await service.ask('maya', { publicKey, host, login: ownLogin })
  expect(response.status).toBe(201)
  const { certificate } = (await response.json()) as { certificate: string }
  const path = join(dir, `${name}-cert.pub`)
  writeFileSync(path, `${certificate}\n`)
  return { path, ca: formatFingerprint(parseCertificate(certificate).authority) }
}
const step = async (name: string, body: Readonly<Record<string, unknown>> = {}) => {
  const response = await service.request(`/v1/ca/keys/${name}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await service.token('maya')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const enter = (certificate: string) => logIn({ sshd, key, certificate })

test('a key is changed with no failed login in between, and certificates of both log in', async () => {
  const outcomes: { readonly ca: string; readonly code: number | null }[] = []
  let isOver = false
  const working = (async () => {
    for (let n = 0; !isOver; n++) {
      const { path, ca } = await buy(`working-${n}`)
      outcomes.push({ ca, code: (await enter(path)).code })
    }
  })()
  const loggedIn = async () => {
    const before = outcomes.length
    while (outcomes.length < before + 2) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const old = await buy('old')
  await loggedIn()

  const next = await step('next')
  expect(next).toMatchObject({ status: 201, body: { state: 'next', breaks: [], silent: [] } })
  expect(await applyTrust()).toBe(2)
  await loggedIn()
  expect(new Set(outcomes.map(({ ca }) => ca))).toEqual(new Set([old.ca]))

  expect(await step('activate')).toMatchObject({ status: 200, body: { state: 'active' } })
  await loggedIn()
  const fresh = await buy('fresh')
  expect(fresh.ca).toBe(next.body['fingerprint'])
  expect(await enter(old.path)).toMatchObject({ code: 0 })
  expect(await enter(fresh.path)).toMatchObject({ code: 0 })

  expect(await step('retire')).toMatchObject({ status: 200, body: { state: 'retired' } })
  expect(await enter(old.path)).toMatchObject({ code: 0 })
  expect(await step('activate', { fingerprint: old.ca })).toMatchObject({ status: 409 })
  expect(await step('remove')).toMatchObject({
    status: 409,
    body: { code: 'certificates_alive' },
  })

  ahead = 3 * 60_000
  expect(await step('remove')).toMatchObject({
    status: 200,
    body: { state: 'removed', breaks: [] },
  })
  expect(await applyTrust()).toBe(1)
  await loggedIn()
  isOver = true
  await working

  expect(outcomes.filter(({ code }) => code !== 0)).toEqual([])
  expect(new Set(outcomes.map(({ ca }) => ca))).toEqual(new Set([old.ca, fresh.ca]))
  await expectRefused(sshd, () => enter(old.path), /Failed publickey|not trusted|closed/)
  expect(await enter(fresh.path)).toMatchObject({ code: 0 })

  const listed = (await (await service.request('/v1/ca/keys')).json()) as { keys: unknown[] }
  expect(listed.keys).toMatchObject([{ fingerprint: fresh.ca, state: 'active' }])
  const written = (await service.rows()).flatMap(({ entry }) =>
    entry.type === 'ca-key' ? [entry.state] : [],
  )
  expect(written).toEqual(['active', 'next', 'active', 'retired', 'removed'])
  expect(JSON.stringify(await service.rows())).not.toContain('PRIVATE KEY')
})
