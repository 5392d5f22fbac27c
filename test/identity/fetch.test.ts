import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBoundedFetch, parseProviderUrl } from '../../src/identity/fetch.ts'
import {
  answerJson,
  type LoopbackServer,
  type Misbehaviour,
  misbehave,
  serve,
} from '../fakes/http.ts'
import { refusalOf, unavailable } from './setup.ts'

let server: LoopbackServer
let seen: Record<string, string | undefined> = {}
let trapped = 0
beforeAll(async () => {
  server = await serve((request, response) => {
    const path = (request.url ?? '').split('?')[0]
    seen = { agent: request.headers['user-agent'], coding: request.headers['accept-encoding'] }
    if (path === '/trap') trapped++
    if (path === '/good') answerJson(response, 200, { good: true }, { etag: 'x' })
    else misbehave((path ?? '').slice(1) as Misbehaviour, response)
  })
})
afterAll(() => server.close())

const ask = createBoundedFetch(fetch, { maxBytes: 100_000, deadlineMilliseconds: 5_000 })
const askShortly = createBoundedFetch(fetch, { maxBytes: 100_000, deadlineMilliseconds: 100 })

describe('a bounded fetch', () => {
  test('hands back status, headers and body', async () => {
    const response = await ask(`${server.url}/good`)
    expect(response.status).toBe(200)
    expect(response.headers.get('etag')).toBe('x')
    expect(await response.json()).toEqual({ good: true })
    expect(seen).toEqual({ agent: 'postern', coding: 'identity' })
  })

  // ATTACKS 107
  test.each([
    ['stall', 'did not answer in time', askShortly],
    ['drip', 'did not answer in time', askShortly],
    ['huge', 'answered more than 100000 bytes', ask],
    ['gzip-bomb', 'answered more than 100000 bytes', ask],
    ['down', 'could not be reached (UND_ERR_SOCKET)', ask],
  ])('gives up on a server that answers: %s', async (how, detail, send) => {
    const url = `${server.url}/${how}`
    expect(await refusalOf(send(`${url}?secret=1`))).toEqual(unavailable(`${url} ${detail}`))
  })

  // ATTACKS 107
  test('does not follow a redirect', async () => {
    expect((await ask(`${server.url}/redirect`)).status).toBe(302)
    expect(trapped).toBe(0)
  })

  test('says where nobody listens', async () => {
    const nobody = await serve(() => {})
    await nobody.close()
    expect(await refusalOf(ask(nobody.url))).toEqual(
      unavailable(`${nobody.url} could not be reached (ECONNREFUSED)`),
    )
  })

  test("keeps the caller's own deadline too", async () => {
    const signal = AbortSignal.timeout(20)
    const url = `${server.url}/stall`
    expect(await refusalOf(ask(url, { signal }))).toEqual(
      unavailable(`${url} did not answer in time`),
    )
  })
})

describe("a provider's URL", () => {
  test.each([
    'https://idp.example.com',
    'https://idp.example.com/tenant/v2.0/',
    'https://idp.example.com/keys?p=policy',
    'http://127.0.0.1:8080',
    'http://127.9.9.9',
    'http://localhost:1',
    'http://[::1]:9000/x',
  ])('may be %s', (text) => {
    expect(parseProviderUrl(text)?.href).toContain(text.slice(0, 12))
  })

  test.each([
    'http://idp.example.com',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://10.0.0.1',
    'https://good.example@evil.example',
    'https://user:secret@idp.example.com',
    'https://idp.example.com/#x',
    'ftp://idp.example.com',
    'file:///etc/passwd',
    'javascript:0',
    'idp.example.com',
    '//idp.example.com',
    'https:idp.example.com',
    'https:\\\\idp.example.com',
    ' https://idp.example.com',
    'https://idp.example.com\n',
    'https://idp.exa mple.com',
    'HTTPS://idp.example.com',
    '',
  ])('is never %j', (text) => {
    expect(parseProviderUrl(text)).toBe(undefined)
  })
})
