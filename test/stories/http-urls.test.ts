/**
 * Portainer CVE-2026-44883 and Nhost CVE-2026-34969 took tokens in the URL, and the URL went into
 * logs, histories and referrers. JumpServer GHSA-6rp5-ff2m-qfrm and ShellHub CVE-2026-44425 put names
 * from the query into their SQL. Coder agentapi CVE-2025-59956 answered to any Host, so that a page
 * whose name came to resolve to 127.0.0.1 could read it from a developer's browser.
 *
 * Here a token in a URL is refused even where another one in the header is good, no route takes a
 * query, and a Host that is not ours is misdirected. ATTACKS 111, 173, 177
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

test('a good token in the URL opens nothing, and is in no log', async () => {
  const token = await service.token()
  for (const target of [
    `/v1/whoami?access_token=${token}`,
    `/v1/whoami#access_token=${token}`,
    `/v1/whoami?jwt=${token}`,
    `/v1/whoami/${token}`,
  ]) {
    const answer = await sendRaw(url, `GET ${target} HTTP/1.1\r\nHost: {host}\r\n\r\n`)
    expect([400, 404]).toContain(answer.status)
    const both = `GET ${target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer ${token}\r\n\r\n`
    expect([400, 404]).toContain((await sendRaw(url, both)).status)
  }
  expect(service.lines.join('')).not.toContain(token.slice(0, 20))
  expect(JSON.stringify(await service.rows())).not.toContain(token.slice(0, 20))
})

test.each([
  '?sort=identity.subject',
  '?filter[login]=%27%20OR%201=1',
  '?fields=body,hash',
  '?select=*',
])('a query with names of ours reaches nothing: %s', async (query) => {
  const authorization = `Bearer ${await service.token()}`
  const response = await service.request(`/v1/whoami${query}`, { headers: { authorization } })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ code: 'invalid_request' })
})

test.each(['rebound.evil.example', 'localhost.evil.example', '127.0.0.1.nip.example', '0.0.0.0'])(
  'a page that was rebound to this machine, as %s, reads nothing, even with a token',
  async (host) => {
    const authorization = `Authorization: Bearer ${await service.token()}`
    const { port } = new URL(url)
    const text = `GET /v1/whoami HTTP/1.1\r\nHost: ${host}:${port}\r\n${authorization}\r\n\r\n`
    const answer = await sendRaw(url, text)
    expect(answer.status).toBe(421)
    expect(answer.body).not.toContain('maya')
  },
)
