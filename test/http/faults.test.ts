import { afterEach, describe, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { createFakeSigner } from '../fakes/signer.ts'

let service: TestApp
afterEach(() => service.close())

const withStore = async () => {
  const store = createFakeStore()
  service = await startTestApp({ overrides: { store } })
  return store
}

const logDown = { status: 503, code: 'audit_unavailable' }

describe('a log that cannot be written', () => {
  test.each(['lose', 'keep', 'conflict'] as const)(
    'drops the certificate (%s), and the next ask goes through',
    async (fault) => {
      const store = await withStore()
      store.breakNext(fault)
      expect(await readProblem(await service.ask('maya'))).toMatchObject(logDown)
      expect((await service.ask('maya')).status).toBe(201)
    },
  )

  test('answers 503 to a refusal that could not be recorded, by policy or by token', async () => {
    const store = await withStore()
    store.breakNext('lose')
    expect(await readProblem(await service.ask('sam'))).toMatchObject(logDown)
    store.breakNext('lose')
    const headers = { authorization: 'Bearer x' }
    const refused = await service.request('/v1/whoami', { headers })
    expect(await readProblem(refused)).toMatchObject(logDown)
    expect(refused.headers.has('www-authenticate')).toBe(false)
  })

  test('is what /readyz says, naming the part and not the reason', async () => {
    const store = await withStore()
    await store.close()
    const response = await service.request('/readyz')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      status: 'unavailable',
      checks: expect.arrayContaining([
        { name: 'log', ok: false },
        { name: 'signer', ok: true },
      ]),
    })
    expect((await service.request('/healthz')).status).toBe(200)
  })
})

describe('a signer', () => {
  test.each([
    ['fails', 503, 'signer_unavailable'],
    ['answers garbage', 500, 'signer_selfcheck'],
    ['signs other data', 500, 'signer_selfcheck'],
    ['signs with another key', 500, 'signer_selfcheck'],
  ] as const)(
    'that %s is %i %s, and an entry; no certificate leaves',
    async (fault, status, code) => {
      const fake = createFakeSigner()
      service = await startTestApp({ overrides: { signer: fake.signer, store: createFakeStore() } })
      fake.break(fault)
      expect(await readProblem(await service.ask('maya'))).toMatchObject({ status, code })
      expect((await service.rows()).at(-1)?.entry).toMatchObject({ type: 'error', code })
      fake.break('none')
      expect((await service.ask('maya')).status).toBe(201)
    },
  )
})

test('an identity provider that is down degrades the service, and no more', async () => {
  service = await startTestApp({ overrides: { store: createFakeStore() } })
  service.issuer.switches.discovery = 'error'
  service.issuer.switches.keys = 'error'
  const response = await service.request('/readyz')
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ status: 'degraded' })
})

// ATTACKS 182
test('a failure nobody foresaw says nothing of the inside, in the answer or the log', async () => {
  const store = createFakeStore()
  service = await startTestApp({
    overrides: {
      store,
      random: (length) => {
        if (length === 8) throw new Error('/etc/secret SELECT 1 Bearer canary')
        return new Uint8Array(length).fill(1)
      },
    },
  })
  const response = await service.ask('maya')
  expect(await readProblem(response)).toEqual({
    status: 500,
    code: 'internal',
    detail:
      'Something went wrong on our side. Try again, and give the requestId to an administrator if it stays.',
  })
  expect(service.lines.join('')).toContain('"cause":"Error"')
  expect(service.lines.join('')).toContain('issue.ts')
  expect(service.lines.join('')).not.toContain('canary')
})
