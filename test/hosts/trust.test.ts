import { generateKeyPairSync } from 'node:crypto'
import { afterAll, describe, expect, test, vi } from 'vitest'
import type { Store } from '../../src/audit/store.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createPublicKeyLine, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

const policies = (issuer: string) => ({
  'a.yaml': `roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
`,
})

const services: TestApp[] = []
afterAll(() => Promise.all(services.map(({ close }) => close())))
const { privateKey } = generateKeyPairSync('ed25519')

/** A service in which it takes until `release` to find what the newest revocation reaches. */
const start = async (store = createFakeStore()) => {
  const held = Promise.withResolvers<void>()
  const slow: Store = {
    ...store,
    async find(filter, limit, before) {
      const isRevoked = store.rows.some(({ body }) => body.includes('"type":"revoke"'))
      if (isRevoked && filter.rule !== undefined) await held.promise
      return store.find(filter, limit, before)
    },
    // It is opened again.
    close: async () => {},
  }
  const signer = createMemorySigner(privateKey)
  const started = await startTestApp({ policies, overrides: { store: slow, signer } })
  services.push(started)
  const send = async (method: string, path: string, token: string, body: unknown) =>
    started.request(path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const admin = await started.token('maya')
  return {
    store,
    started,
    release: held.resolve,
    types: async () => (await started.rows()).map(({ entry }) => entry.type),
    revoke: (body: object) => send('POST', '/v1/revocations', admin, { reason: 'stolen', ...body }),
    async invite(body: object): Promise<string> {
      const answer = await send('POST', '/v1/hosts/invitations', admin, body)
      return ((await answer.json()) as { readonly token: string }).token
    },
    enrol: (token: string, body: object = {}) =>
      send('POST', '/v1/hosts/enrol', token, { hostKeys: [createPublicKeyLine()], ...body }),
  }
}
const read = (bundle: string) => ({
  version: Number(/^version (\d+)$/m.exec(bundle)?.[1]),
  krl: /^krl .*$/m.exec(bundle)?.[0],
})
const name = 'web-1.example.com'
const path = `/v1/hosts/${name}/trust`

describe('a bundle', () => {
  test('that was made before a revocation had found what it reaches is not the newest', async () => {
    const { started, revoke, enrol, invite, release, types } = await start()
    const token = await invite({ name, logins: ['deploy'] })
    await started.ask('maya')
    const revoked = revoke({ rule: 'platform-deploy' })
    await vi.waitFor(async () => expect(await types()).toContain('revoke'), { interval: 0 })
    const early = read(await (await enrol(token)).text())
    release()
    expect((await revoked).status).toBe(200)
    const answer = await started.request(path, {
      headers: { 'if-none-match': `"${early.version}"` },
    })
    expect(answer.status).toBe(200)
    const late = read(await answer.text())
    expect(late.krl).not.toBe(early.krl)
    expect(late.version).toBeGreaterThan(early.version)
  })

  test('that is not there yet after a start is waited for, before a token is spent', async () => {
    const first = await start()
    await first.started.ask('maya')
    first.release()
    expect((await first.revoke({ rule: 'platform-deploy' })).status).toBe(200)
    await first.started.app.close()
    const { invite, enrol, release } = await start(first.store)
    const enrolled = enrol(await invite({ name, logins: ['deploy'] }))
    setTimeout(release, 50)
    expect((await enrolled).status).toBe(201)
  })
})
