/**
 * oauth2-proxy CVE-2025-54576 and CVE-2026-41059: a list of paths that need no login, matched against
 * a URL the attacker spells, let requests for closed paths through; the proxy and the service behind
 * it read one URL in two ways. Nezha CVE-2026-53528: a route was added, and nobody put the check
 * before it. oauth2-proxy CVE-2026-34457: a User-Agent of a health checker was let in everywhere.
 *
 * Here no path is excepted from a check: each route carries its own, one that declares none cannot
 * be mounted, and a path is compared byte by byte as it came over the wire. ATTACKS 169, 171
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { sendRaw } from '../http/raw.ts'

let service: TestApp
let url: string
beforeAll(async () => {
  service = await startTestApp({ overrides: { store: createFakeStore() } })
  ;({ url } = await service.app.listen())
})
afterAll(() => service.close())

const closed = '/v1/whoami'

test.each([
  `/healthz/..${closed}`,
  `/healthz/%2e%2e${closed}`,
  `/healthz/..%2f..${closed}`,
  `/healthz%2f..${closed}`,
  `/healthz;${closed}`,
  `/healthz?${closed}`,
  `/healthz#${closed}`,
  `/healthz%3f/..${closed}`,
  `/healthz%23/..${closed}`,
  `/healthz\t${closed}`,
  `//healthz/..${closed}`,
  `${closed}/healthz`,
  `${closed}?/healthz`,
  `${closed}#/healthz`,
  `${closed};/healthz`,
  `${closed}%3f/healthz`,
  `/.${closed}`,
  `/%76%31/whoami`,
  '/v1/WhoAmI',
  '/v1/whoami/',
  '//v1/whoami',
])('%s leads nobody past the check', async (target) => {
  const answer = await sendRaw(url, `GET ${target} HTTP/1.1\r\nHost: {host}\r\n\r\n`)
  expect([400, 401, 404]).toContain(answer.status)
  expect(answer.headers['content-type']).toBe('application/problem+json')
})

test.each([
  'X-Original-URL: /healthz',
  'X-Rewrite-URL: /healthz',
  'X-Original-URI: /healthz',
  'X-Forwarded-Uri: /healthz',
  'X-Forwarded-Method: OPTIONS',
  'X-HTTP-Method-Override: OPTIONS',
  'X-Forwarded-User: maya',
  'X-Auth-Request-User: maya',
  'User-Agent: GoogleHC/1.0',
  'User-Agent: kube-probe/1.31',
  'User-Agent: ELB-HealthChecker/2.0',
  'Connection: Authorization',
])('neither does the header %s', async (header) => {
  const answer = await sendRaw(url, `GET ${closed} HTTP/1.1\r\nHost: {host}\r\n${header}\r\n\r\n`)
  expect(answer.status).toBe(401)
})

test.each(['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'])(
  'nor the method %s',
  async (method) => {
    const answer = await sendRaw(url, `${method} ${closed} HTTP/1.1\r\nHost: {host}\r\n\r\n`)
    expect([401, 405]).toContain(answer.status)
  },
)
