/**
 * Vault CVE-2024-8365 wrote tokens into its own audit log, OpenBao CVE-2025-62513 and CVE-2025-62705
 * secrets of requests it had failed to redact, Harbor GO-2026-4876 passwords. Here: a different
 * secret in every place a request has, on every route, in good requests and bad; then everything the
 * service has written or said is searched for every one of them. ATTACKS 199
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createPublicKeyLine, startTestApp } from '../app.ts'
import { sendRaw } from '../http/raw.ts'

test('no secret of a request is in the log, the database or an answer', async () => {
  const service = await startTestApp({ level: 'trace' })
  const { url } = await service.app.listen()
  const planted: string[] = []
  const plant = (what: string) => {
    const secret = `canary-${what}-${planted.length}-9f3b71`
    planted.push(secret)
    return secret
  }
  const answers: string[] = []
  const send = async (path: string, init: RequestInit) => {
    const response = await fetch(url + path, init)
    answers.push(JSON.stringify([...response.headers]), await response.text())
  }
  const jwt = async () => {
    const token = await service.token()
    planted.push(token, token.split('.')[2] as string)
    return token
  }

  for (const { method, path } of service.app.table) {
    const headers = () => ({
      cookie: `session=${plant('cookie')}`,
      'content-type': 'application/json',
      'proxy-authorization': plant('proxy'),
      'user-agent': plant('agent'),
      'x-api-key': plant('key'),
      'x-forwarded-for': plant('forwarded'),
      'x-request-id': plant('id'),
    })
    const body = () => ({
      publicKey: `${createPublicKeyLine()} ${plant('comment')}`,
      host: 'web-1.example.com',
      login: 'deploy',
    })
    const tries = [
      { authorization: `Bearer ${await jwt()}`, body: JSON.stringify(body()) },
      { authorization: `Bearer ${plant('token')}`, body: plant('body') },
      { authorization: `Basic ${plant('basic')}`, body: plant('body') },
      { authorization: `Bearer ${await service.issuer.mint({ aud: plant('aud') })}`, body: '{}' },
      {
        authorization: `Bearer ${await jwt()}`,
        body: JSON.stringify({ ...body(), [plant('member')]: plant('value') }),
      },
      {
        authorization: `Bearer ${await jwt()}`,
        body: `{"host":"${plant('broken')}`,
      },
      {
        authorization: `Bearer ${await jwt()}`,
        body: `{"${plant('twice')}":1,"${planted.at(-1)}":2}`,
      },
      {
        authorization: `Bearer ${await jwt()}`,
        body: JSON.stringify({
          ...body(),
          publicKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${plant('private')}\n-----END OPENSSH PRIVATE KEY-----`,
        }),
      },
    ]
    for (const { authorization, body: text } of tries) {
      const init = { method: method.toUpperCase(), headers: { ...headers(), authorization } }
      await send(path, method === 'post' ? { ...init, body: text } : init)
    }
    await send(`${path}?access_token=${plant('query')}&x=${plant('query')}`, { method })
    await send(`${path}/${plant('path')}`, { method })
    await send(path, { method: 'DELETE', headers: headers() })
  }
  answers.push((await sendRaw(url, `GET /${plant('malformed')} HTTP/9.9\r\n\r\n`)).text)

  const { dataDir } = service.config
  const written = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
  const issued = answers.filter((text) => text.startsWith('{"certificate":'))
  const rows = await service.rows()
  await service.close()

  expect(planted.length).toBeGreaterThan(100)
  expect(issued).toHaveLength(1)
  expect(rows.some(({ entry }) => entry.type === 'deny')).toBe(true)
  expect(service.lines.length).toBeGreaterThan(50)
  const found = planted.flatMap((secret) => [
    ...(service.lines.some((line) => line.includes(secret)) ? [`log: ${secret}`] : []),
    ...(written.some((text) => text.includes(secret)) ? [`database: ${secret}`] : []),
    ...(answers.some((text) => text.includes(secret)) ? [`answer: ${secret}`] : []),
  ])
  expect(found).toEqual([])
})
