import { afterEach, describe, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

let service: TestApp
afterEach(() => service.close())

/** A service whose limits are counted by a clock that stands still. */
const start = async (limits: { perAddress?: number; perIdentity?: number; inFlight?: number }) => {
  let now = 0
  const store = createFakeStore()
  const rate = (count?: number) => (count === undefined ? 'off' : { count, windowSeconds: 60 })
  service = await startTestApp({
    config: {
      limits: {
        perAddress: rate(limits.perAddress),
        perIdentity: rate(limits.perIdentity),
        inFlight: limits.inFlight ?? 64,
      },
    },
    overrides: { monotonic: () => now, store },
  })
  const wait = (millis: number) => {
    now += millis
  }
  return { wait, store }
}

const refused = (address: string, headers: Record<string, string> = {}) =>
  service.request('/v1/whoami', { headers }, { address })

const allowed = async (user: string, address = '198.51.100.7') =>
  service.request(
    '/v1/whoami',
    { headers: { authorization: `Bearer ${await service.token(user)}` } },
    { address },
  )

// ATTACKS 128, 172
describe('the limit per address', () => {
  test('counts what is refused, then refuses before any work, and says for how long', async () => {
    const { wait } = await start({ perAddress: 3 })
    for (let at = 0; at < 3; at++) expect((await refused('192.0.2.1')).status).toBe(401)
    const entries = (await service.rows()).length
    const limited = await refused('192.0.2.1', { authorization: 'Bearer x' })
    expect(limited.headers.get('retry-after')).toBe('20')
    expect(await readProblem(limited)).toEqual({
      status: 429,
      code: 'rate_limited',
      detail: 'Too many requests: wait 20 s, then try again.',
    })
    expect(await service.rows()).toHaveLength(entries)
    wait(20_000)
    expect((await refused('192.0.2.1')).status).toBe(401)
    expect((await refused('192.0.2.1')).status).toBe(429)
  })

  test('costs nothing where the answer is a success', async () => {
    await start({ perAddress: 3 })
    for (let at = 0; at < 10; at++) expect((await allowed('maya')).status).toBe(200)
    for (let at = 0; at < 10; at++) {
      expect((await service.request('/v1/ca/user.pub')).status).toBe(200)
    }
  })

  test('counts every refusal: of the policy, of the body, of a path that is not there', async () => {
    await start({ perAddress: 3 })
    expect((await service.ask('sam')).status).toBe(403)
    expect((await service.ask('maya', { host: '-' })).status).toBe(400)
    expect((await service.request('/nowhere')).status).toBe(404)
    expect((await service.ask('maya')).status).toBe(429)
  })

  test('is one for a /64 of IPv6, and each address of IPv4 has its own', async () => {
    await start({ perAddress: 1 })
    expect((await refused('2001:db8::1')).status).toBe(401)
    expect((await refused('2001:db8::ffff:2')).status).toBe(429)
    expect((await refused('2001:db8:0:1::1')).status).toBe(401)
    expect((await refused('192.0.2.1')).status).toBe(401)
    expect((await refused('192.0.2.2')).status).toBe(401)
    expect((await refused('::ffff:192.0.2.1')).status).toBe(429)
  })

  test('is not got round by what a client writes about itself', async () => {
    await start({ perAddress: 1 })
    expect((await refused('192.0.2.1')).status).toBe(401)
    for (const name of ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'X_Forwarded_For', 'Via']) {
      const headers = { [name]: name === 'Forwarded' ? 'for=203.0.113.9' : '203.0.113.9' }
      expect((await refused('192.0.2.1', headers)).status).toBe(429)
    }
    const target = '/v1/WHOAMI/'
    const other = await service.request('/', {}, { address: '192.0.2.1', target })
    expect(other.status).toBe(429)
  })

  test('never shuts out the probes', async () => {
    await start({ perAddress: 1 })
    await refused('192.0.2.1')
    for (const path of ['/healthz', '/readyz']) {
      expect((await service.request(path, {}, { address: '192.0.2.1' })).status).toBe(200)
    }
  })
})

describe('the limit per identity', () => {
  test('counts every request of a person, from wherever, and of nobody else', async () => {
    await start({ perIdentity: 3 })
    for (let at = 0; at < 3; at++) {
      expect((await allowed('maya', `192.0.2.${at}`)).status).toBe(200)
    }
    const limited = await allowed('maya', '192.0.2.9')
    expect(limited.headers.get('retry-after')).toBe('20')
    expect(await readProblem(limited)).toMatchObject({ status: 429, code: 'rate_limited' })
    expect((await allowed('sam')).status).toBe(200)
  })

  test('is not counted against the address as well', async () => {
    await start({ perIdentity: 1, perAddress: 2 })
    const statuses = []
    for (let at = 0; at < 5; at++) statuses.push((await allowed('maya')).status)
    expect(statuses).toEqual([200, 429, 429, 429, 429])
    expect((await allowed('sam')).status).toBe(200)
  })
})

test('with both limits off nothing is ever 429', async () => {
  await start({})
  const answers = await Promise.all(Array.from({ length: 60 }, () => refused('192.0.2.1')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
})

test('more at once than the service may hold is 503, and the probes still answer', async () => {
  const { store } = await start({ inFlight: 2 })
  const appended = store.batches.length
  store.breakNext('hang')
  const held = [service.ask('maya'), service.ask('maya')]
  await expect.poll(() => store.batches.length).toBeGreaterThan(appended)
  const status = async () => (await service.request('/v1/ca/user.pub')).status
  await expect.poll(status).toBe(503)
  const third = await service.request('/v1/ca/user.pub')
  expect(third.headers.get('retry-after')).toBe('1')
  expect(await readProblem(third)).toEqual({
    status: 503,
    code: 'overloaded',
    detail: 'The service is busy: try again in a second.',
  })
  expect((await service.request('/healthz')).status).toBe(200)
  store.release()
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([201, 201])
  expect((await service.request('/v1/ca/user.pub')).status).toBe(200)
})

test('a body that is slow to come takes no place, until it is there', async () => {
  const { store } = await start({ inFlight: 2 })
  const status = async () => (await service.request('/v1/ca/user.pub')).status
  const ends: (() => void)[] = []
  const sendSlowly = () => {
    const body = new ReadableStream({
      start: (controller) => void ends.push(() => controller.close()),
    })
    const headers = { 'content-type': 'text/plain' }
    const init = { method: 'POST', headers, body, duplex: 'half' } as const
    return service.request('/v1/hosts/web-1.example.com/report', init)
  }
  const slow = [sendSlowly(), sendSlowly(), sendSlowly()]
  expect(await status()).toBe(200)

  const appended = store.batches.length
  store.breakNext('hang')
  const held = [service.ask('maya'), service.ask('maya')]
  await expect.poll(() => store.batches.length).toBeGreaterThan(appended)
  await expect.poll(status).toBe(503)
  ends[0]?.()
  expect(await readProblem(await (slow[0] as Promise<Response>))).toMatchObject({
    code: 'overloaded',
  })
  store.release()
  await Promise.all(held)
  for (const end of ends.slice(1)) end()
  const answers = await Promise.all(slow.slice(1))
  expect(answers.map((answer) => answer.status)).toEqual([404, 404])
  expect(await Promise.all([status(), status()])).toEqual([200, 200])
})

test('whoever is refused at the door leaves it again, is counted, and has a line in the log', async () => {
  await start({ inFlight: 1, perAddress: 5 })
  const refusals = [
    { path: '/v1/whoami?token=x', code: 'token_in_url' },
    { path: '/v1/whoami', headers: { host: 'evil.example.com' }, code: 'misdirected_request' },
    { path: '/v1/whoami', headers: { 'content-length': '65537' }, code: 'body_too_large' },
    { path: '/nowhere', code: 'not_found' },
    { path: '/v1/explain', code: 'method_not_allowed' },
    { path: '/v1/whoami', code: 'rate_limited' },
  ]
  const from = { address: '192.0.2.1' }
  for (const { path, headers, code } of refusals) {
    const seen = service.lines.length
    const answer = await service.request(path, headers === undefined ? {} : { headers }, from)
    expect(await readProblem(answer)).toMatchObject({ code })
    const requests = service.lines.slice(seen).map((line) => JSON.parse(line))
    expect(requests).toMatchObject([{ msg: 'request', code, status: answer.status }])
  }
  expect((await allowed('maya')).status).toBe(200)
})
