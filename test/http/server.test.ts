import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultDeadlines, listen } from '../../src/http/server.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createPublicKeyLine, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { openSocket, type RawAnswer, sendRaw } from './raw.ts'

let service: TestApp
let url: string
beforeAll(async () => {
  service = await startTestApp({
    overrides: {
      store: createFakeStore(),
      deadlines: { headers: 600, request: 600, interval: 50, idle: 1_500, drain: 500 },
    },
  })
  ;({ url } = await service.app.listen())
})
afterAll(() => service.close())

const problemOf = ({ status, body }: RawAnswer) => {
  const { code, detail } = JSON.parse(body) as Record<string, unknown>
  return { status, code, detail }
}

const lives = async () => expect((await fetch(`${url}/healthz`)).status).toBe(200)

const malformed = {
  status: 400,
  code: 'invalid_request',
  detail: 'This is not HTTP as RFC 9112 has it: send a valid request.',
}
const post = 'POST /v1/certificates HTTP/1.1\r\nHost: {host}\r\n'

// ATTACKS 168
describe('what is not HTTP', () => {
  test.each([
    ['a TLS hello', '\x16\x03\x01\x00\xf5hello\r\n\r\n'],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['a Host that is none', 'GET /healthz HTTP/1.1\r\nHost: a b/c\r\n\r\n'],
    [
      'a length and chunks',
      `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['two lengths', `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ['a length that is no number', `${post}Content-Length: 5x\r\n\r\nhello`],
    ['a coding nobody knows', `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ['a folded header', 'GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n'],
    ['bare line feeds', 'GET /healthz HTTP/1.1\nHost: {host}\n\n'],
    ['a space before the colon', 'GET /healthz HTTP/1.1\r\nHost : {host}\r\n\r\n'],
    ['a NUL in the path', 'GET /he\0althz HTTP/1.1\r\nHost: {host}\r\n\r\n'],
    ['a NUL in a header', 'GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n'],
    ['a bad chunk', `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`],
    ['a backslash in the path', 'GET /v1\\whoami HTTP/1.1\r\nHost: {host}\r\n\r\n'],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n'],
    ['a method nobody knows', 'BREW /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n'],
  ])('%s is 400 as a problem, and the connection ends', async (_what, text) => {
    const answer = await sendRaw(url, text)
    expect(problemOf(answer)).toEqual(malformed)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers['connection']).toBe('close')
    expect(answer.isClosed).toBe(true)
    expect(answer.text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
  })

  test('a second request behind an ambiguous one is not answered', async () => {
    const smuggled = 'GET /v1/ca/user.pub HTTP/1.1\r\nHost: {host}\r\n\r\n'
    const text = `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`
    expect((await sendRaw(url, text)).text).not.toContain('ssh-ed25519')
  })

  test.each([
    [
      'headers beyond 16 KiB',
      `GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'a thousand headers beyond 16 KiB',
      `GET /healthz HTTP/1.1\r\nHost: {host}\r\n${'X-Some: header\r\n'.repeat(2_000)}\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'a URL beyond 16 KiB',
      `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: {host}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'a flood of chunk extensions',
      `${post}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`,
      413,
      'body_too_large',
    ],
    [
      'CONNECT',
      'CONNECT evil.example:22 HTTP/1.1\r\nHost: {host}\r\n\r\n',
      405,
      'method_not_allowed',
    ],
    [
      'an expectation',
      `${post}Expect: miracles\r\nContent-Length: 0\r\n\r\n`,
      400,
      'invalid_request',
    ],
  ])('%s is refused as a problem', async (_what, text, status, code) => {
    const answer = await sendRaw(url, text)
    expect(answer.status).toBe(status)
    expect(answer.text).toContain(`"code":"${code}"`)
    expect(answer.isClosed).toBe(true)
  })

  test.each([
    ['TRACE', 'TRACE /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n', 405, 'method_not_allowed'],
    [
      'another address as target',
      'GET http://evil.example/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n',
      400,
      'invalid_request',
    ],
    [
      'two hosts',
      'GET /v1/ca/user.pub HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n',
      421,
      'misdirected_request',
    ],
    ['an encoded path', 'GET /v1/%77hoami HTTP/1.1\r\nHost: {host}\r\n\r\n', 404, 'not_found'],
    [
      'dots in the path',
      'GET /healthz/../v1/whoami HTTP/1.1\r\nHost: {host}\r\n\r\n',
      404,
      'not_found',
    ],
    [
      'two Authorization headers',
      'GET /v1/whoami HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n',
      401,
      'authentication_required',
    ],
  ])('%s is refused, and the connection goes on', async (_what, text, status, code) => {
    const answer = await sendRaw(url, text)
    expect(problemOf(answer)).toMatchObject({ status, code })
    expect(answer.isClosed).toBe(false)
  })

  test('an upgrade is not made', async () => {
    const headers = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    const answer = await sendRaw(url, `GET /healthz HTTP/1.1\r\nHost: {host}\r\n${headers}\r\n`)
    expect(answer.status).toBe(200)
  })
})

// ATTACKS 163
describe('a body beyond 64 KiB', () => {
  const send = (headers: Record<string, string>, write: (write: (text: string) => void) => void) =>
    new Promise<{ status: number | undefined; text: string; connection: string | undefined }>(
      (resolve, reject) => {
        const request = httpRequest(`${url}/v1/certificates`, { method: 'POST', headers })
        request.on('error', reject)
        request.on('response', (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => {
            const { connection } = response.headers
            resolve({ status: response.statusCode, text, connection })
          })
        })
        write((text) => request.write(text))
        request.end()
      },
    )

  test('that is declared is 413, and the connection ends', async () => {
    const answer = await send({ 'content-length': '100000' }, (write) => write('x'.repeat(100_000)))
    expect(answer).toMatchObject({ status: 413, connection: 'close' })
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'body_too_large' })
  })

  test('that comes in chunks is 413, and the connection ends', async () => {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${await service.token()}`,
    }
    const answer = await send(headers, (write) => {
      for (let at = 0; at < 10; at++) write('x'.repeat(10_000))
    })
    expect(answer).toMatchObject({ status: 413, connection: 'close' })
  })
})

// ATTACKS 164
describe('a peer that is slow', () => {
  test.each([
    ['stops within the request line', 'GET /heal'],
    ['stops within the headers', 'GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: '],
  ])('%s is cut, with the reason', async (_what, text) => {
    const answer = await sendRaw(url, text, 2_000)
    expect(problemOf(answer)).toEqual({
      status: 408,
      code: 'request_timeout',
      detail: 'The request did not arrive in time: send it again.',
    })
    expect(answer.isClosed).toBe(true)
  })

  test('has under ten seconds, and so has a stop (ATTACKS 186)', () => {
    const { headers, request, interval, drain } = defaultDeadlines
    for (const most of [headers, request, drain]) expect(most + interval).toBeLessThan(10_000)
  })

  test('never says anything is cut, and told nothing', async () => {
    expect(await sendRaw(url, '', 2_000)).toMatchObject({ text: '', isClosed: true })
  })

  test('stops within the body is cut, and nothing is issued', async () => {
    const before = (await service.rows()).length
    const headers = `Authorization: Bearer ${await service.token()}\r\nContent-Type: application/json\r\n`
    const text = `${post}${headers}Content-Length: 500\r\n\r\n{"host":`
    const answer = await sendRaw(url, text, 2_000)
    expect(problemOf(answer)).toMatchObject({ status: 408, code: 'request_timeout' })
    expect(answer.isClosed).toBe(true)
    expect(await service.rows()).toHaveLength(before)
  })

  test('drips a byte now and then is cut all the same, while others are served', async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(url)))
    const start = performance.now()
    const closed = sockets.map(
      (socket) =>
        new Promise<number>((resolve) => {
          const drip = setInterval(() => socket.write('G'), 50)
          socket.on('close', () => {
            clearInterval(drip)
            resolve(performance.now() - start)
          })
          socket.resume()
        }),
    )
    let slowest = 0
    for (let at = 0; at < 20; at++) {
      const from = performance.now()
      await lives()
      slowest = Math.max(slowest, performance.now() - from)
    }
    expect(slowest).toBeLessThan(1_000)
    expect(Math.max(...(await Promise.all(closed)))).toBeLessThan(5_000)
  })
})

// ATTACKS 185: without file descriptors in stories/http-descriptors.test.ts.
test('a thousand idle connections shut nobody out, and are cut', async () => {
  const sockets = await Promise.all(Array.from({ length: 1_000 }, () => openSocket(url)))
  const closed = sockets.map((socket) => {
    socket.resume()
    // The first may be gone before the last is made.
    return socket.closed || new Promise((resolve) => socket.once('close', resolve))
  })
  await lives()
  await Promise.all(closed)
  await lives()
})

test('who asks once and keeps the connection takes nobody their place', async () => {
  const listener = await listen({
    fetch: async () => new Response('.'),
    place: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    random: systemRandom,
    logger: createLogger('error'),
    deadlines: { ...defaultDeadlines, drain: 100 },
    maxConnections: 3,
  })
  const sockets = await Promise.all(Array.from({ length: 3 }, () => openSocket(listener.url)))
  for (const socket of sockets) {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
  }
  const status = async () => (await fetch(listener.url).catch(() => undefined))?.status
  await expect.poll(status).toBe(200)
  await listener.close()
})

// ATTACKS 164
test('who has not sent the whole body has not asked yet, and makes way for others', async () => {
  let begun = 0
  const listener = await listen({
    fetch: async (request) => {
      begun++
      return new Response(await request.text())
    },
    place: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    random: systemRandom,
    logger: createLogger('error'),
    deadlines: { ...defaultDeadlines, drain: 100 },
    maxStrangers: 3,
  })
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n'
  const whole = await openSocket(listener.url)
  whole.write(`${post}body`)
  await new Promise((resolve) => whole.once('data', resolve))
  const half = await openSocket(listener.url)
  const closed = new Promise((resolve) => half.once('close', resolve))
  half.write(`${post}bo`)
  await expect.poll(() => begun).toBe(2)
  for (let n = 0; n < 4; n++) await openSocket(listener.url)
  await closed
  expect(whole.destroyed).toBe(false)
  await listener.close()
})

test('connections are kept and requests on one are answered in order', async () => {
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: {host}\r\n\r\n`
  const { text } = await sendRaw(url, get('/healthz') + get('/v1/ca/user.pub') + get('/nowhere'))
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404'])
})

describe('who sends requests ahead', () => {
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: {host}\r\n\r\n`
  const count = (text: string) => text.match(/HTTP\/1\.1 200/g)?.length ?? 0

  test('has each answered in its turn', async () => {
    expect(count((await sendRaw(url, get('/healthz').repeat(33))).text)).toBe(33)
  })

  test('is cut at far too many', async () => {
    const { text, isClosed } = await sendRaw(url, get('/docs').repeat(1_000))
    expect(isClosed).toBe(true)
    expect(count(text)).toBeLessThan(33)
  })

  test('and reads nothing is cut, and the answers are not kept', async () => {
    const socket = await openSocket(url)
    socket.pause()
    socket.write(get('/openapi.json').repeat(33).replaceAll('{host}', new URL(url).host))
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    await new Promise((resolve) => socket.once('close', resolve).resume())
    expect(count(text)).toBeLessThan(33)
    await lives()
  })
})

test('a certificate comes through the real listener, with the peer as its address', async () => {
  const response = await fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await service.token()}`,
      'content-type': 'application/json',
      'x-forwarded-for': '203.0.113.9',
    },
    body: JSON.stringify({
      publicKey: createPublicKeyLine(),
      host: 'web-1.example.com',
      login: 'deploy',
    }),
  })
  expect(response.status).toBe(201)
  expect((await service.rows()).at(-1)?.entry).toMatchObject({
    request: { address: '127.0.0.1' },
  })
})
