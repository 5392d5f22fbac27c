/**
 * OpenBao CVE-2026-33758 and zrok CVE-2026-40302 wrote what they were sent, or what an identity
 * provider said, into a page. Coder CVE-2026-55438 let an origin that only looked like its own read
 * answers, Boundary CVE-2022-36182 let itself be framed. Vault CVE-2025-4166 put what it could not
 * read into the error it answered with. A label of Sigstore's timestamp service, CVE-2026-49835, came
 * from the request, so that anybody could make it remember without end.
 *
 * Here no answer is a page, none has a CORS header, none repeats what was sent or what a provider
 * said, and every label has a closed set of values. ATTACKS 179, 180, 182, 184
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

let service: TestApp
beforeAll(async () => {
  const place = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
  service = await startTestApp({
    config: { metrics: { listen: place } },
    overrides: { store: createFakeStore() },
  })
})
afterAll(() => service.close())

const markup = '"><img src=x onerror=alert(1)>'

test('what was sent is not said again, nor what a provider said', async () => {
  service.issuer.switches.keys = 'error'
  service.issuer.switches.discovery = 'error'
  const unavailable = await service.ask('maya')
  expect(unavailable.status).toBe(503)
  const text = await unavailable.text()
  for (const inside of ['upstream-secret', service.issuer.issuer, '127.0.0.1', '500', ' at ']) {
    expect(text).not.toContain(inside)
  }
  service.issuer.switches.keys = undefined
  service.issuer.switches.discovery = undefined

  for (const changes of [
    { host: markup },
    { login: markup },
    { publicKey: markup },
    { [markup]: 1 },
  ]) {
    expect(await (await service.ask('maya', changes)).text()).not.toContain('onerror')
  }
})

test.each([
  'null',
  'https://postern.example.com.evil.example',
  'https://evil-postern.example.com',
  'https://postern.example.com',
])('the origin %s is told nothing it may read', async (origin) => {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  }
  const preflight = await service.request('/v1/certificates', { method: 'OPTIONS', headers })
  expect(preflight.status).toBe(405)
  for (const answer of [preflight, await service.request('/v1/ca/user.pub', { headers })]) {
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual(
      [],
    )
    expect(answer.headers.get('x-frame-options')).toBe('DENY')
  }
})

test('a thousand made-up requests add no series to the figures', async () => {
  const { metricsUrl } = await service.app.listen()
  const count = async () => {
    const text = await (await fetch(`${metricsUrl}/metrics`)).text()
    return text.split('\n').filter((line) => line.startsWith('postern_')).length
  }
  const send = (at: number) =>
    service.request('/', { method: at % 2 === 0 ? 'GET' : 'PUT' }, { target: `/made/up/${at}` })
  await send(0)
  const before = await count()
  for (let at = 0; at < 1_000; at++) await send(at)
  expect(await count()).toBe(before)
})
