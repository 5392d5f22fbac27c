import { generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { build, createCaKeyFile, openAuthority, openLog } from '../src/app.ts'
import { createMemorySigner } from '../src/ca/signers/memory.ts'
import type { Config } from '../src/config.ts'
import { createLogger } from '../src/lib/log.ts'
import { openLock } from '../src/store/index.ts'
import { createPublicKeyLine, createTestConfig, startTestApp, type TestApp } from './app.ts'
import { createFakeStore } from './fakes/audit-store.ts'
import { openSocket } from './http/raw.ts'
import { createTlsPair } from './http/x509.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'postern-app-'))
  mkdirSync(join(dir, 'policies'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const issuer = 'https://idp.example.com'
const caKey = generateKeyPairSync('ed25519').privateKey
const quiet = createLogger('error', { write: () => {} })
const start = (changes: Partial<Config> = {}, overrides = {}) =>
  build(createTestConfig(dir, issuer, changes), {
    logger: quiet,
    signer: createMemorySigner(),
    store: createFakeStore(),
    ...overrides,
  })
/** On the real database, which starts a worker: only where the file itself is looked at. */
const startOnDisk = () =>
  build(createTestConfig(dir, issuer), { logger: quiet, signer: createMemorySigner(caKey) })
const isLocked = () => {
  try {
    openLock(join(dir, 'data', 'postern.lock')).close()
    return false
  } catch {
    return true
  }
}

describe('a start', () => {
  test('without an identity provider is refused, saying what to run; nothing is made', async () => {
    await expect(start({ identity: { github: [], oidc: [] } })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'No identity provider is configured: nobody could ask.',
      hint: expect.stringContaining('postern init'),
    })
    expect(existsSync(join(dir, 'data'))).toBe(false)
  })

  test('with a policy that does not load is refused, with every problem by its place', async () => {
    writeFileSync(join(dir, 'policies', 'a.yaml'), 'rules:\n  - nmae: x\n')
    writeFileSync(join(dir, 'policies', 'b.yaml'), 'rules: 3\n')
    const failure = await start().catch((error) => error)
    expect(failure).toMatchObject({
      code: 'invalid_policy',
      hint: expect.stringContaining('postern policy check'),
    })
    expect(failure.message).toMatch(/a\.yaml:2:\d+: /)
    expect(failure.message).toMatch(/b\.yaml:1:\d+: /)
    expect(existsSync(join(dir, 'data'))).toBe(false)
  })

  test('with no rule at all says so loudly, and refuses everyone', async () => {
    const lines: string[] = []
    const logger = createLogger('warn', { write: (line) => lines.push(line) })
    const app = await start({}, { logger })
    await app.close()
    expect(lines.join('')).toContain('the policy has no rule: everyone is refused')
  })

  test('beside a running service on the same data is refused, and harms it not', async () => {
    const app = await start()
    await expect(start()).rejects.toMatchObject({ code: 'already_running' })
    expect((await app.fetch(new Request('https://postern.example.com/readyz'))).status).toBe(200)
    await app.close()
    expect(isLocked()).toBe(false)
  })

  test('on a log that does not verify is refused, naming the entry', async () => {
    const store = createFakeStore()
    await (await start({}, { store })).close()
    const rows = store.rows.map((row) => ({ ...row }))
    const forged = rows.map((row) =>
      row.seq === 2 ? { ...row, body: row.body.replace('"rules":0', '"rules":9') } : row,
    )
    const tampered = {
      ...createFakeStore(),
      head: async () => ({ seq: 2, hash: rows[1]?.hash ?? '' }),
      read: async (from: number, limit: number) =>
        forged.filter(({ seq }) => seq >= from).slice(0, limit),
    }
    await expect(start({}, { store: tampered })).rejects.toMatchObject({
      code: 'log_corrupt',
      message: 'Entry 2 of the log does not verify.',
      hint: 'postern audit verify',
    })
    expect(isLocked()).toBe(false)
  })

  test('whose signer is missing is refused, and gives everything back', async () => {
    const overrides = { logger: quiet, store: createFakeStore() }
    await expect(build(createTestConfig(dir, issuer), overrides)).rejects.toMatchObject({
      code: 'invalid_config',
    })
    expect(isLocked()).toBe(false)
  })

  test('with a key in an agent that nobody names is refused', async () => {
    const ca = {
      userKey: { kind: 'agent', fingerprint: 'SHA256:x' },
      maxTtlSeconds: 3600,
      backdateSeconds: 60,
    } as const
    await expect(openAuthority(createTestConfig(dir, issuer, { ca }))).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'ca.userKey is held by an ssh-agent, and none is named.',
    })
  })

  // ATTACKS 55
  test.each([
    ['ed25519', () => generateKeyPairSync('ed25519')],
    ['ECDSA', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 3072 })],
  ])('with the CA key as TLS key is refused: %s', async (_kind, generate) => {
    const { privateKey } = generate()
    const tls = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
    const pair = createTlsPair(privateKey)
    writeFileSync(tls.cert, pair.cert)
    writeFileSync(tls.key, pair.key)
    const signer = createMemorySigner(privateKey)
    await expect(start({ tls }, { signer })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The CA key is also the TLS key.',
    })
    expect(isLocked()).toBe(false)
  })

  test.each([
    ['of another key', createTlsPair().cert],
    ['that is none', 'hello\n'],
    ['that is empty', ''],
    ['that is a key', createTlsPair().key],
  ])('with a TLS certificate %s is refused, and nothing is opened', async (_what, cert) => {
    const tls = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
    writeFileSync(tls.cert, cert)
    writeFileSync(tls.key, createTlsPair().key)
    await expect(start({ tls })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'tls: the certificate or the key cannot be read, or is not of the other.',
    })
    expect(existsSync(join(dir, 'data'))).toBe(false)
  })

  test('is on the record: the start, and the policy with its text once', async () => {
    writeFileSync(join(dir, 'policies', 'a.yaml'), policyText)
    await (await startOnDisk()).close()
    await (await startOnDisk()).close()
    const reader = await openLog(createTestConfig(dir, issuer))
    const entries = (await reader.read(1, 10)).map(({ body }) => JSON.parse(body))
    await reader.close()
    expect(entries.map(({ type }) => type)).toEqual(['start', 'policy', 'start', 'policy'])
    expect(entries[0]).toMatchObject({ ca: expect.stringMatching(/^SHA256:/), version: '0.1.0' })
    expect(Object.keys(entries[1].files)).toEqual(['a.yaml'])
    expect(entries[3].files).toBeUndefined()
    expect(entries[3].policy).toBe(entries[1].policy)
  })

  test('makes a data directory nobody else can read', async () => {
    await (await startOnDisk()).close()
    expect(statSync(join(dir, 'data')).mode & 0o777).toBe(0o700)
    expect(statSync(join(dir, 'data', 'postern.db')).mode & 0o077).toBe(0)
  })

  test('with a key file of its own signs with it', async () => {
    await createCaKeyFile(join(dir, 'user_ca'))
    const config = createTestConfig(dir, issuer)
    const app = await build(config, { logger: quiet, store: createFakeStore() })
    const shown = await app.fetch(new Request('https://postern.example.com/v1/ca/user.pub'))
    const authority = await openAuthority(config)
    expect(await shown.text()).toBe(`${authority.publicKey}\n`)
    await authority.close()
    await app.close()
  })
})

const policyText = `rules:
  - name: deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    ttl: 5m
`

describe('a listener', () => {
  test('where something else listens is refused, saying where', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const app = await start({ listen: { kind: 'tcp', host: '127.0.0.1', port } })
    await expect(app.listen()).rejects.toMatchObject({
      code: 'invalid_config',
      message: `listen: 127.0.0.1:${port} cannot be listened on (EADDRINUSE).`,
    })
    await app.close()
    other.close()
  })

  test('on a unix socket is for its owner and group, and outlives a kill of the one before', async () => {
    const path = join(dir, 'postern.sock')
    const listen = { kind: 'unix', path } as const
    const get = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { host: 'postern.example.com' }
        const request = httpRequest({ socketPath: path, path: '/v1/ca/user.pub', headers })
        request.on('response', (response) => resolve(response.resume().statusCode))
        request.on('error', reject).end()
      })
    const app = await start({ listen })
    expect(await app.listen()).toEqual({ url: `unix:${path}` })
    expect(statSync(path).mode & 0o777).toBe(0o660)
    expect(await get()).toBe(200)
    await app.close()
    expect(existsSync(path)).toBe(false)

    const stale = createServer()
    await new Promise<void>((resolve) => stale.listen({ path: `${path}.old` }, resolve))
    linkSync(`${path}.old`, path)
    await new Promise((resolve) => stale.close(resolve))
    const next = await start({ listen, audit: { checkpoints: join(dir, 'checkpoints') } })
    await next.listen()
    expect(await get()).toBe(200)
    await next.close()
  })

  test('never removes a file that is no socket', async () => {
    const path = join(dir, 'precious')
    writeFileSync(path, 'keep me')
    const app = await start({ listen: { kind: 'unix', path } })
    await expect(app.listen()).rejects.toMatchObject({ code: 'invalid_config' })
    await app.close()
    expect(readFileSync(path, 'utf8')).toBe('keep me')
  })

  // ATTACKS 339
  test('with TLS speaks 1.2 and 1.3, and nothing older', async () => {
    const tls = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
    const pair = createTlsPair()
    writeFileSync(tls.cert, pair.cert)
    writeFileSync(tls.key, pair.key)
    const app = await start({ tls }, { deadlines: { drain: 200 } })
    const { url } = await app.listen()
    const get = (maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = {
          ca: pair.cert,
          minVersion: 'TLSv1',
          maxVersion,
          ciphers: 'DEFAULT@SECLEVEL=0',
        } as const
        const request = httpsRequest(`${url}/v1/ca/user.pub`, options)
        request.on('response', (response) => resolve(response.resume().statusCode))
        request.on('error', reject).end()
      })
    expect(url).toMatch(/^https:/)
    expect(await get('TLSv1.3')).toBe(200)
    expect(await get('TLSv1.2')).toBe(200)
    await expect(get('TLSv1.1')).rejects.toThrow()
    // Whoever never begins the handshake does not keep the service from stopping.
    const silent = await openSocket(url)
    const closed = new Promise((resolve) => silent.resume().once('close', resolve))
    await app.close()
    await closed
  })

  test.each([
    ['a stranger', '198.51.100.7', 403],
    ['another service of this machine', '127.0.0.1', 403],
    ['a trusted proxy', '10.2.0.9', 200],
  ])(
    'over plain HTTP beyond loopback answers %s (%s) with %i',
    async (_who, remoteAddress, status) => {
      const app = await start({
        listen: { kind: 'tcp', host: '0.0.0.0', port: 8422 },
        trustedProxies: [{ text: '10.2.0.0/16', family: 'ipv4', address: '10.2.0.0', prefix: 16 }],
      })
      const get = (url: string) =>
        app.fetch(new Request(`https://postern.example.com${url}`), {
          incoming: { url, socket: { remoteAddress } },
        })
      const response = await get('/v1/ca/user.pub')
      expect(response.status).toBe(status)
      if (status === 403) {
        expect(await response.json()).toMatchObject({
          code: 'untrusted_peer',
          detail:
            'This address speaks plain HTTP to its trusted proxies only: connect through the proxy, over HTTPS.',
        })
      }
      for (const probe of ['/healthz', '/readyz']) expect((await get(probe)).status).toBe(200)
      await app.close()
    },
  )

  // ATTACKS 184
  test('of its own has the figures, and nobody else does', async () => {
    const place = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
    const app = await start({ metrics: { listen: place } })
    const { url, metricsUrl } = await app.listen()
    for (let at = 0; at < 50; at++) await fetch(`${url}/made-up-${at}`, { method: 'PUT' })
    expect((await fetch(`${url}/metrics`)).status).toBe(404)
    expect((await fetch(`${metricsUrl}/v1/whoami`)).status).toBe(404)
    const response = await fetch(`${metricsUrl}/metrics`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=/)
    const text = await response.text()
    expect(text).toContain(
      'postern_http_requests_total{route="none",status="404",code="not_found"} 51',
    )
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).not.toContain('made-up')
    await app.close()
  })
})

// ATTACKS 186
describe('a stop', () => {
  let service: TestApp
  const compose = async (drain: number) => {
    const store = createFakeStore()
    service = await startTestApp({ overrides: { store, deadlines: { drain } } })
    const { url } = await service.app.listen()
    const headers = {
      authorization: `Bearer ${await service.token()}`,
      'content-type': 'application/json',
    }
    const ask = () =>
      fetch(`${url}/v1/certificates`, {
        method: 'POST',
        headers,
        body: JSON.stringify({
          publicKey: createPublicKeyLine(),
          host: 'web-1.example.com',
          login: 'deploy',
        }),
      })
    await ask()
    return { store, url, ask }
  }

  test('lets an issuance in flight finish, on the record, and takes no other', async () => {
    const { store, url, ask } = await compose(5_000)
    store.breakNext('hang')
    const before = store.batches.length
    const inFlight = ask()
    await expect.poll(() => store.batches.length).toBe(before + 1)
    const stopped = service.app.close()
    const refused = await service.app.fetch(new Request('https://postern.example.com/v1/whoami'))
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(await refused.json()).toMatchObject({
      code: 'stopping',
      detail: 'The service is stopping: try again in a few seconds.',
    })
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
    store.release()
    const response = await inFlight
    expect(response.status).toBe(201)
    const { serial } = (await response.json()) as { serial: string }
    await stopped
    expect(store.rows.at(-1)?.body).toContain(`"serial":"${serial}"`)
    await service.close()
  })

  test('cuts what does not finish, and no certificate leaves', async () => {
    const { store, ask } = await compose(200)
    store.breakNext('hang')
    const before = store.batches.length
    const inFlight = ask().then(
      ({ status }) => status,
      () => 'cut',
    )
    await expect.poll(() => store.batches.length).toBe(before + 1)
    const start = performance.now()
    const stopped = service.app.close()
    expect(await inFlight).toBe('cut')
    store.release()
    await stopped
    expect(performance.now() - start).toBeLessThan(9_000)
    await service.close()
  })
})
