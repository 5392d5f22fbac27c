/**
 * Termix CVE-2025-59951 took every visitor for localhost, since its proxy was; Fastify CVE-2026-3635
 * and oauth2-proxy CVE-2025-64484 and CVE-2026-40575 believed forwarded headers from whoever sent
 * them, also under another spelling. Vault CVE-2025-6004 and CVE-2025-6015, Fleet CVE-2026-24000 and
 * PinchTab CVE-2026-33621 had limits that another spelling, another header or a forgotten line in
 * the list of middleware got round.
 *
 * Here X-Forwarded-For alone is read, from trusted proxies alone, from the right. ATTACKS 170, 172
 */
import { afterEach, expect, test } from 'vitest'
import type { Config } from '../../src/config.ts'
import { parseCidr } from '../../src/lib/address.ts'
import { startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

let service: TestApp
afterEach(() => service.close())

const proxy = '10.2.0.9'
const start = async (changes: Partial<Config> = {}) => {
  service = await startTestApp({
    config: {
      limits: { perAddress: { count: 3, windowSeconds: 60 }, perIdentity: 'off', inFlight: 64 },
      ...changes,
    },
    overrides: { store: createFakeStore(), monotonic: () => 0 },
  })
}
const trusting = {
  trustedProxies: [parseCidr('10.2.0.0/16')].filter((block) => block !== undefined),
}

const addressOf = async (address: string, headers: Record<string, string>) => {
  const authorization = 'Bearer x'
  await service.request('/v1/whoami', { headers: { authorization, ...headers } }, { address })
  const entry = (await service.rows()).at(-1)?.entry
  return entry !== undefined && 'request' in entry ? entry.request.address : undefined
}

test.each([
  'X-Forwarded-For',
  'x_forwarded_for',
  'Forwarded',
  'X-Real-IP',
  'X-Client-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
])('a stranger who sends %s is recorded under his own address', async (name) => {
  await start(trusting)
  const value = name === 'Forwarded' ? 'for=127.0.0.1' : '127.0.0.1'
  expect(await addressOf('198.51.100.7', { [name]: value })).toBe('198.51.100.7')
})

test('behind a trusted proxy only what the proxy itself wrote is believed', async () => {
  await start(trusting)
  const forwarded = '127.0.0.1, 10.2.0.1, 203.0.113.5'
  expect(await addressOf(proxy, { 'x-forwarded-for': forwarded })).toBe('203.0.113.5')
  expect(await addressOf(proxy, { forwarded: 'for=127.0.0.1' })).toBe(proxy)
})

test('nobody behind the proxy is taken for the proxy, or for this machine', async () => {
  await start({ ...trusting, listen: { kind: 'tcp', host: '0.0.0.0', port: 8422 } })
  const headers = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https' }
  const response = await service.request('/v1/ca/user.pub', { headers })
  expect(response.status).toBe(403)
  expect(await response.json()).toMatchObject({ code: 'untrusted_peer' })
})

test('a name for another host in X-Forwarded-Host changes nothing', async () => {
  await start(trusting)
  const headers = { host: 'evil.example', 'x-forwarded-host': 'postern.example.com' }
  const response = await service.request('/v1/ca/user.pub', { headers }, { address: proxy })
  expect(response.status).toBe(421)
})

test('the limit is mounted before every route, and no spelling has one of its own', async () => {
  await start()
  const tries = [
    { path: '/v1/whoami' },
    { path: '/v1/whoami?x=1' },
    { path: '/V1/whoami' },
    ...service.app.table.filter(({ path }) => path !== '/healthz' && path !== '/readyz'),
  ]
  const statuses = []
  for (const [at, { path }] of tries.entries()) {
    const headers = {
      'x-forwarded-for': `203.0.113.${at}`,
      authorization: `bearer x${at}`,
      'user-agent': `agent ${at}`,
    }
    statuses.push((await service.request('/', { headers }, { target: path })).status)
  }
  expect(statuses.slice(0, 3)).toEqual([401, 400, 404])
  expect(new Set(statuses.slice(3))).toEqual(new Set([429]))
})
