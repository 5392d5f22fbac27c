/**
 * Fastify CVE-2025-32442 and CVE-2026-25223: a content type spelt with a space, a tab or in capitals
 * chose the parser, but not the schema, so that a body was read and never checked. Vault CVE-2025-6203
 * and CVE-2025-12044 and OpenBao CVE-2025-59043: JSON that is small to send and dear to read, before
 * anybody has been authenticated.
 *
 * Here one content type leads to one reader and one schema, the caller is known first, and the text
 * is bounded in size and depth before a parser sees it. ATTACKS 165, 166
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPublicKeyLine, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { sendRaw } from '../http/raw.ts'

let service: TestApp
let url: string
beforeAll(async () => {
  service = await startTestApp({ overrides: { store: createFakeStore() } })
  ;({ url } = await service.app.listen())
})
afterAll(() => service.close())

/** What only an unchecked body could hold. */
const unchecked = () =>
  JSON.stringify({
    publicKey: createPublicKeyLine(),
    host: 'web-1.example.com',
    login: 'deploy',
    principals: ['root'],
  })

const send = async (contentType: string, body: string, authorization?: string) => {
  const bearer = authorization ?? `Bearer ${await service.token()}`
  const length = Buffer.byteLength(body)
  const headers = `Host: {host}\r\nAuthorization: ${bearer}\r\nContent-Length: ${length}\r\n`
  return sendRaw(url, `POST /v1/certificates HTTP/1.1\r\n${headers}${contentType}\r\n${body}`)
}

test.each([
  'Content-Type: application/json;\r\n',
  'Content-Type:\tapplication/json\t\r\n',
  'Content-Type: application/json ;charset=utf-8\r\n',
  'Content-Type: Application/JSON\r\n',
  'Content-Type: application/json\t; x\r\n',
  'Content-Type: application/jsonp\r\n',
  'Content-Type: text/json\r\n',
  'Content-Type: text/plain\r\n',
  'Content-Type: multipart/form-data; boundary=x\r\n',
  'Content-Type: application/json\r\nContent-Type: text/plain\r\n',
  '',
])('with %j a body is refused or checked, and never read unchecked', async (contentType) => {
  const answer = await send(contentType, unchecked())
  expect([400, 415]).toContain(answer.status)
  const { code } = JSON.parse(answer.body) as { code: string }
  expect(['invalid_request', 'unsupported_media_type']).toContain(code)
})

test.each([
  ['deep', '['.repeat(30_000)],
  ['wide', `{${'"":0,'.repeat(12_000)}"a":0}`],
  ['full of escapes', `{"reason":"${'\\u0000'.repeat(10_000)}"}`],
  ['one long number', `{"ttl":${'9'.repeat(60_000)}}`],
])('a body that is %s costs a stranger a 401, unread', async (_what, body) => {
  const answer = await send('Content-Type: application/json\r\n', body, 'Bearer x')
  expect(answer.status).toBe(401)
  const known = await send('Content-Type: application/json\r\n', body)
  expect(known.status).toBe(400)
})
