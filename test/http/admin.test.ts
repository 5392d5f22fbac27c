import { chmodSync, lstatSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Signer } from '../../src/ca/signer.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createPublicKeyLine, readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'
import { findSocket, formatRolePolicy, sendLocal } from './admin.ts'

const createDirectory = useDirectories()

const kim = { groups: [], sub: 'u-1003', preferred_username: 'kim' }

const start = (more: Parameters<typeof startTestApp>[0] = {}) =>
  startTestApp({
    policies: formatRolePolicy,
    ...more,
    overrides: { store: createFakeStore(), ...more.overrides },
  })

/** `METHOD PATH` with a token of maya (admin), kim (auditor) or sam (neither). */
const send = async (service: TestApp, user: string, line: string, body?: unknown) => {
  const [method = '', path = ''] = line.split(' ')
  const credentials =
    user === 'kim' ? await service.issuer.mint(kim) : await service.issuer.mintFor(user)
  return service.request(path, {
    method,
    headers: {
      authorization: `Bearer ${credentials}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const needs = (role: string) => ({
  status: 403,
  code: 'role_required',
  detail: `This needs the role ${role}: ask an administrator to name you under roles in the policy.`,
})
const stolen = { reason: 'a laptop was stolen' }

test('a person who is revoked has no role, whatever the policy says', async () => {
  const service = await start()
  try {
    const subject = { issuer: service.issuer.issuer, subject: 'u-1001' }
    const zoe = { groups: ['platform'], sub: 'u-9', preferred_username: 'zoe' }
    const headers = { authorization: `Bearer ${await service.issuer.mint(zoe)}` }
    const ask = { host: 'web-1.example.com', login: 'deploy', publicKey: createPublicKeyLine() }
    const body = JSON.stringify(ask)
    const json = { ...headers, 'content-type': 'application/json' }
    const path = '/v1/certificates'
    expect((await service.request(path, { method: 'POST', headers: json, body })).status).toBe(201)
    expect((await service.ask('maya')).status).toBe(201)
    expect((await send(service, 'maya', 'GET /v1/policy')).status).toBe(200)
    await send(service, 'maya', 'POST /v1/revocations', { subject, reason: 'a token was stolen' })
    for (const [line, body] of [
      ['GET /v1/policy', undefined],
      ['GET /v1/audit', undefined],
      ['POST /v1/freeze', stolen],
      ['DELETE /v1/freeze', undefined],
      ['POST /v1/revocations', { subject: { ...subject, subject: 'u-1003' }, ...stolen }],
      ['DELETE /v1/revocations', { subject, ...stolen }],
      ['POST /v1/hosts/invitations', { name: 'web-1.example.com', logins: ['deploy'] }],
      ['GET /v1/certificates?subject=u-1002', undefined],
    ] as const) {
      expect(await readProblem(await send(service, 'maya', line, body)), line).toEqual({
        status: 403,
        code: 'subject_revoked',
        detail:
          'Everything you hold is revoked: ask an administrator to lift that with "postern unrevoke".',
      })
      expect((await service.rows()).at(-1)?.entry).toMatchObject({
        type: 'deny',
        code: 'subject_revoked',
        identity: { subject: 'u-1001' },
      })
    }
    const own = await send(service, 'maya', 'GET /v1/certificates')
    expect(await own.json()).toMatchObject({ certificates: [{ subject: 'u-1001' }] })
  } finally {
    await service.close()
  }
})

describe('a route with a role', () => {
  let service: TestApp
  beforeAll(async () => {
    service = await start()
  })
  afterAll(() => service.close())
  const last = async () => (await service.rows()).at(-1)?.entry

  test.each([
    ['sam', 'GET /v1/policy', undefined, 'auditor'],
    ['sam', 'POST /v1/freeze', stolen, 'admin'],
    ['sam', 'DELETE /v1/freeze', undefined, 'admin'],
    ['kim', 'POST /v1/freeze', stolen, 'admin'],
    ['kim', 'DELETE /v1/freeze', undefined, 'admin'],
  ])('refuses %s %s, and that is an entry', async (user, line, body, role) => {
    const before = (await service.rows()).length
    const response = await send(service, user, line, body)
    expect(await readProblem(response)).toEqual(needs(role))
    expect(await service.rows()).toHaveLength(before + 1)
    expect(await last()).toMatchObject({
      type: 'deny',
      code: 'role_required',
      identity: { name: user },
      request: { id: response.headers.get('x-request-id'), address: '198.51.100.7' },
      detail: line,
    })
    expect((await service.ask('maya')).status).toBe(201)
  })

  test('is closed without a token, and to one that is not accepted', async () => {
    for (const { method, path } of service.app.table.filter(
      ({ access }) => typeof access === 'object',
    )) {
      const init = { method: method.toUpperCase() }
      expect((await service.request(path, init)).status).toBe(401)
      const headers = { authorization: 'Bearer nonsense' }
      expect((await service.request(path, { ...init, headers })).status).toBe(401)
    }
  })

  test.each(['kim', 'maya'])('GET /v1/policy answers %s what is in force', async (user) => {
    const response = await send(service, user, 'GET /v1/policy')
    expect(response.status).toBe(200)
    const texts = formatRolePolicy(service.issuer.issuer)
    expect(await response.json()).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      files: texts,
      rules: [{ kind: 'allow', name: 'platform-deploy', file: 'a.yaml', line: 5 }],
      problems: [],
    })
  })

  test.each([
    ['no reason', {}, 'The member "reason" is missing: send it as a string.'],
    [
      'an empty reason',
      { reason: '' },
      'The reason is not valid: send 1 to 512 characters, none of them a control character.',
    ],
    ['a list', [], 'The body is not a JSON object: send {"reason": …}.'],
    [
      'another member',
      { reason: 'x', by: 'sam' },
      'The member "by" is not known here. Known are reason.',
    ],
  ])('POST /v1/freeze with %s is refused, and freezes nothing', async (_what, body, detail) => {
    const response = await send(service, 'maya', 'POST /v1/freeze', body)
    expect(await readProblem(response)).toEqual({ status: 400, code: 'invalid_request', detail })
    expect((await service.ask('maya')).status).toBe(201)
  })

  test('freezes and lifts for an admin; each is an entry, and each refused ask', async () => {
    const answer = await send(service, 'maya', 'POST /v1/freeze', stolen)
    const state = (await answer.json()) as Record<string, unknown>
    expect(state).toEqual({ frozen: true, by: 'maya', since: expect.any(String), ...stolen })
    expect(await last()).toMatchObject({
      type: 'freeze',
      identity: { issuer: service.issuer.issuer, subject: 'u-1001' },
      request: { id: answer.headers.get('x-request-id') },
      ...stolen,
    })

    expect(await readProblem(await service.ask('maya'))).toEqual({
      status: 503,
      code: 'frozen',
      detail: `All issuing is frozen by maya since ${state['since']}: ask an administrator when it goes on.`,
    })
    expect(await last()).toMatchObject({
      type: 'error',
      code: 'frozen',
      identity: { name: 'maya' },
      ask: { host: 'web-1.example.com' },
    })
    const ready = await service.request('/readyz')
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({
      status: 'degraded',
      checks: expect.arrayContaining([
        { name: 'issuing', ok: false, reason: `All issuing is frozen since ${state['since']}.` },
      ]),
    })

    const lifted = await send(service, 'maya', 'DELETE /v1/freeze')
    expect(await lifted.json()).toEqual({ ...state, frozen: false })
    expect(await last()).toMatchObject({ type: 'unfreeze', identity: { name: 'maya' } })
    expect((await service.ask('maya')).status).toBe(201)
    expect(await (await send(service, 'maya', 'DELETE /v1/freeze')).json()).toEqual({
      frozen: false,
    })
  })

  test('takes no other method', async () => {
    const response = await send(service, 'maya', 'PUT /v1/freeze')
    expect(response.headers.get('allow')).toBe('POST, DELETE')
    expect(await readProblem(response)).toEqual({
      status: 405,
      code: 'method_not_allowed',
      detail: 'This path takes POST and DELETE only.',
    })
  })
})

test('a policy without roles makes nobody admin', async () => {
  const service = await startTestApp({ overrides: { store: createFakeStore() } })
  try {
    const response = await send(service, 'maya', 'GET /v1/policy')
    expect(await readProblem(response)).toEqual(needs('auditor'))
  } finally {
    await service.close()
  }
})

describe('while it is frozen', () => {
  let service: TestApp
  afterEach(() => service.close())

  test('a certificate that is being signed is not released', async () => {
    const signer = createMemorySigner()
    const reached = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let isSlow = false
    const sign: Signer['sign'] = async (data) => {
      if (isSlow) {
        reached.resolve()
        await gate.promise
      }
      return signer.sign(data)
    }
    service = await start({ overrides: { signer: { ...signer, sign } } })
    isSlow = true
    const asked = service.ask('maya')
    await reached.promise
    await send(service, 'maya', 'POST /v1/freeze', stolen)
    gate.resolve()
    expect(await readProblem(await asked)).toMatchObject({ status: 503, code: 'frozen' })
    expect((await service.rows()).slice(-2).map(({ entry }) => entry.type)).toEqual([
      'freeze',
      'error',
    ])
  })

  test('no certificate follows the freeze in the log, however many are asked for', async () => {
    service = await start()
    const asks = Array.from({ length: 100 }, async (_, at) => {
      if (at === 50) await send(service, 'maya', 'POST /v1/freeze', stolen)
      return (await service.ask('maya')).status
    })
    const statuses = await Promise.all(asks)
    const types = (await service.rows()).map(({ entry }) => entry.type)
    const end = types.indexOf('freeze')
    expect(types.slice(end)).not.toContain('allow')
    expect(types.filter((type) => type === 'allow')).toHaveLength(
      statuses.filter((status) => status === 201).length,
    )
    expect(statuses).toContain(503)
  })
})

describe('the admin socket', () => {
  let service: TestApp
  beforeAll(async () => {
    service = await start({
      config: { limits: { perAddress: 'off', perIdentity: 'off', inFlight: 1 } },
    })
    await service.app.listen()
  })
  afterAll(() => service.close())

  test('is for its owner alone, in a directory for its owner alone', () => {
    expect(lstatSync(findSocket(service)).isSocket()).toBe(true)
    expect(statSync(findSocket(service)).mode & 0o777).toBe(0o600)
    expect(statSync(service.config.dataDir).mode & 0o777).toBe(0o700)
  })

  test('makes an admin without a token; entries say local, and who they say they are', async () => {
    const { username } = userInfo()
    const answer = await sendLocal(service, 'POST', '/v1/freeze', { body: stolen })
    expect(answer).toMatchObject({ status: 200, body: { by: `local:${username}` } })
    expect((await service.rows()).at(-1)?.entry).toMatchObject({
      type: 'freeze',
      identity: { kind: 'local', issuer: 'local', subject: username, name: username },
      request: { address: 'unix' },
    })
    const headers = { 'postern-user': 'kim', 'x-forwarded-for': '192.0.2.66' }
    await sendLocal(service, 'DELETE', '/v1/freeze', { headers })
    expect((await service.rows()).at(-1)?.entry).toMatchObject({
      type: 'unfreeze',
      identity: { subject: username, name: 'kim' },
      request: { address: 'unix' },
    })
  })

  test.each(['kim\u00e9', 'a b', 'ROOT', 'x'.repeat(40)])(
    'takes no name that is none: %j',
    async (name) => {
      const headers = { 'postern-user': name }
      await sendLocal(service, 'POST', '/v1/freeze', { body: stolen, headers })
      const { entry } = (await service.rows()).at(-1) ?? {}
      expect(entry).toMatchObject({ identity: { name: userInfo().username } })
      await sendLocal(service, 'DELETE', '/v1/freeze')
    },
  )

  test('certifies nobody: an ask wants a token there too', async () => {
    const answer = await sendLocal(service, 'POST', '/v1/certificates', { body: {} })
    expect(answer).toMatchObject({ status: 401, body: { code: 'authentication_required' } })
    expect(await sendLocal(service, 'GET', '/v1/whoami')).toMatchObject({ status: 401 })
  })

  test('is no header that a request over the network could send', async () => {
    const headers = { 'postern-user': 'root' }
    expect((await service.request('/v1/policy', { headers })).status).toBe(401)
  })

  test('answers while identity providers are down and the service is full', async () => {
    service.issuer.switches.discovery = 'error'
    service.issuer.switches.keys = 'error'
    const hanging = new AbortController()
    const body = new ReadableStream({ start() {} })
    const occupied = service
      .request('/v1/certificates', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await service.token()}`,
          'content-type': 'application/json',
        },
        body,
        duplex: 'half',
        signal: hanging.signal,
      } as RequestInit)
      .catch(() => undefined)
    expect(await readProblem(await service.ask('maya'))).toMatchObject({ status: 503 })
    expect(await sendLocal(service, 'POST', '/v1/freeze', { body: stolen })).toMatchObject({
      status: 200,
    })
    expect(await sendLocal(service, 'DELETE', '/v1/freeze')).toMatchObject({ status: 200 })
    hanging.abort()
    await occupied
  })
})

describe('a start', () => {
  const close: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const one of close.splice(0)) await one()
  })
  const refused = { code: 'invalid_config', message: expect.stringMatching(/admin\.sock .*EADDR/) }

  test('beside somebody else who listens on the admin socket is refused', async () => {
    const service = await start()
    close.push(service.close)
    const other = createServer()
    await new Promise<void>((resolve) => {
      other.listen(findSocket(service), resolve)
    })
    await expect(service.app.listen()).rejects.toMatchObject(refused)
    await new Promise((resolve) => other.close(resolve))
  })

  test('on data that everyone may write to, or too deep for a socket, is refused', async () => {
    const open = createDirectory()
    chmodSync(open, 0o777)
    await expect(start({ config: { dataDir: open } })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'dataDir can be written by everyone on this machine.',
      hint: `chmod 700 ${open}`,
    })
    const deep = join(createDirectory(), 'd'.repeat(100))
    await expect(start({ config: { dataDir: deep } })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'dataDir is too long a path for the admin socket in it.',
      hint: 'name a directory whose path has at most 96 bytes',
    })
  })

  test('replaces nothing there that is no socket', async () => {
    const service = await start()
    close.push(service.close)
    writeFileSync(join(service.config.dataDir, 'admin.sock'), 'mine')
    await expect(service.app.listen()).rejects.toMatchObject(refused)
    expect(lstatSync(findSocket(service)).isFile()).toBe(true)
  })
})
