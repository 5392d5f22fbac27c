import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { createPublicKeyLine, readProblem, startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp()
})
afterAll(() => service.close())

const last = async () => (await service.rows()).at(-1)?.entry

describe('POST /v1/certificates', () => {
  test('answers a certificate for exactly what was allowed, and its entry', async () => {
    const publicKey = createPublicKeyLine()
    const response = await service.ask('maya', { publicKey, ttl: '10m', reason: 'a new release' })
    expect(response.status).toBe(201)
    expect(response.headers.get('content-type')).toBe('application/json')
    const issued = (await response.json()) as Record<string, unknown>
    expect(Object.keys(issued).sort()).toEqual([
      'certificate',
      'criticalOptions',
      'extensions',
      'host',
      'keyId',
      'principals',
      'rule',
      'serial',
      'shortenedBy',
      'validAfter',
      'validBefore',
    ])
    expect(issued).toMatchObject({
      principals: ['deploy@web-1.example.com'],
      rule: 'platform-deploy',
      criticalOptions: {},
      extensions: { 'permit-pty': '' },
      host: { name: 'web-1.example.com' },
      shortenedBy: 'token',
      serial: expect.stringMatching(/^[1-9][0-9]{0,18}$/),
    })
    const certificate = parseCertificate(String(issued['certificate']))
    expect(certificate.serial).toBe(BigInt(String(issued['serial'])))
    expect(certificate.keyId).toBe(issued['keyId'])
    expect(await last()).toMatchObject({
      type: 'allow',
      request: { id: response.headers.get('x-request-id'), address: '198.51.100.7' },
      identity: { subject: 'u-1001', name: 'maya', groups: ['platform'] },
      ask: { ttlSeconds: 600, reason: 'a new release' },
      certificate: { serial: issued['serial'], text: issued['certificate'] },
    })
  })

  test('refuses what the policy does not allow, in a sentence, with one entry', async () => {
    const before = (await service.rows()).length
    const response = await service.ask('sam')
    expect(await readProblem(response)).toMatchObject({ status: 403, code: 'policy_denied' })
    expect(await service.rows()).toHaveLength(before + 1)
    expect(await last()).toMatchObject({
      type: 'deny',
      code: 'policy_denied',
      identity: { subject: 'u-1002' },
      request: { id: response.headers.get('x-request-id') },
    })
  })
})

const member = (name: string) => `The member "${name}" is missing: send it as a string.`
const host =
  'The host is not a host name: send it in lower case, with letters, digits, hyphens and dots, without a trailing dot, and not as an IP address.'
const login =
  'The login is not valid: send a lower-case letter or "_", then at most 31 of a-z, 0-9, "_", "." and "-".'
const ttl =
  'The ttl is not a duration: send a whole number from 1 and one of s, m, h, d, like "15m".'
const reason =
  'The reason is not valid: send at most 512 characters, none of them a control character.'
const command = 'The command is not a name: send the name of one of the commands of the rule.'
const known = 'Known are publicKey, host, login, ttl, command, reason, proof.'

describe('an ask that is not one', () => {
  test.each([
    // ATTACKS 167: what is not known is refused, never ignored.
    [
      'an unknown member',
      { principals: ['root'] },
      'invalid_request',
      `The member "principals" is not known here. ${known}`,
    ],
    [
      'a near miss',
      { principal: 'root' },
      'invalid_request',
      `The member "principal" is not known here. ${known}`,
    ],
    [
      'a host certificate',
      { type: 'host' },
      'invalid_request',
      `The member "type" is not known here. ${known}`,
    ],
    [
      'an unknown member with a strange name',
      { 'a\nb': 1 },
      'invalid_request',
      `A member of the body is not known here. ${known}`,
    ],
    ['no key', { publicKey: undefined }, 'invalid_request', member('publicKey')],
    ['no host', { host: undefined }, 'invalid_request', member('host')],
    ['no login', { login: undefined }, 'invalid_request', member('login')],
    ['a host that is a list', { host: ['web-1.example.com'] }, 'invalid_host', host],
    ['a host in upper case', { host: 'WEB-1.example.com' }, 'invalid_host', host],
    ['a host with a trailing dot', { host: 'web-1.example.com.' }, 'invalid_host', host],
    ['an address as host', { host: '127.0.0.1' }, 'invalid_host', host],
    ['a number as host', { host: '2130706433' }, 'invalid_host', host],
    ['a host with a newline', { host: 'web-1\n.example.com' }, 'invalid_host', host],
    ['a host with a wildcard', { host: 'web-*.example.com' }, 'invalid_host', host],
    ['a host beyond ASCII', { host: 'wéb-1.example.com' }, 'invalid_host', host],
    ['a login in upper case', { login: 'ROOT' }, 'invalid_login', login],
    ['a login with a comma', { login: 'deploy,root' }, 'invalid_login', login],
    ['a fullwidth login', { login: 'ｒｏｏｔ' }, 'invalid_login', login],
    ['a login that is an option', { login: '-oProxyCommand=x' }, 'invalid_login', login],
    ['a null login', { login: null }, 'invalid_login', login],
    // ATTACKS 39
    ['a ttl of zero', { ttl: '0s' }, 'invalid_ttl', ttl],
    ['a negative ttl', { ttl: '-5m' }, 'invalid_ttl', ttl],
    ['a ttl as a number', { ttl: 300 }, 'invalid_ttl', ttl],
    ['a ttl without a unit', { ttl: '300' }, 'invalid_ttl', ttl],
    ['a ttl in scientific notation', { ttl: '1e9s' }, 'invalid_ttl', ttl],
    ['a ttl with a statement', { ttl: '1h; drop' }, 'invalid_ttl', ttl],
    ['a fraction of an hour', { ttl: '1.5h' }, 'invalid_ttl', ttl],
    ['NaN', { ttl: 'NaN' }, 'invalid_ttl', ttl],
    ['forever', { ttl: '18446744073709551615s' }, 'invalid_ttl', ttl],
    ['a command line as command', { command: 'rm -rf /' }, 'invalid_request', command],
    ['a reason of 513 characters', { reason: 'x'.repeat(513) }, 'invalid_request', reason],
    ['a reason with a newline', { reason: 'fine\nAccepted' }, 'invalid_request', reason],
    ['a reason with an escape', { reason: '\u001b[2J' }, 'invalid_request', reason],
    ['a reason that turns text around', { reason: 'abc\u202edcba' }, 'invalid_request', reason],
  ])('%s is refused', async (_what, changes, code, detail) => {
    const before = (await service.rows()).length
    const response = await service.ask('maya', changes)
    expect(await readProblem(response)).toEqual({ status: 400, code, detail })
    expect(await service.rows()).toHaveLength(before)
  })

  test.each([
    ['invalid_public_key', 'ssh-ed25519 AAAA'],
    ['invalid_public_key', `${createPublicKeyLine()}\n${createPublicKeyLine()}`],
    ['unsupported_key_type', 'ssh-dss AAAAB3NzaC1kc3M='],
    ['private_key_submitted', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n'],
  ])('%s', async (code, publicKey) => {
    const response = await service.ask('maya', { publicKey })
    expect(await readProblem(response)).toMatchObject({ status: 400, code })
  })

  test('more than the rule allows is refused, and never clipped', async () => {
    const response = await service.ask('maya', { ttl: '16m' })
    expect(await readProblem(response)).toMatchObject({ status: 403, code: 'ttl_too_long' })
  })

  test.each([
    ['a list', '[]'],
    ['text', '"web-1"'],
    ['null', 'null'],
    ['a number', '1'],
  ])('a body that is %s is refused', async (_what, body) => {
    const authorization = `Bearer ${await service.token()}`
    const response = await service.request('/v1/certificates', {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body,
    })
    expect(await readProblem(response)).toEqual({
      status: 400,
      code: 'invalid_request',
      detail: 'The body is not a JSON object: send {"publicKey": …, "host": …, "login": …}.',
    })
  })
})

describe('the other routes', () => {
  test('GET /v1/whoami says who the service takes the caller for', async () => {
    const authorization = `Bearer ${await service.token('sam')}`
    const response = await service.request('/v1/whoami', { headers: { authorization } })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      kind: 'oidc',
      issuer: service.issuer.issuer,
      subject: 'u-1002',
      name: 'sam',
      groups: [],
      mfa: false,
      expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    })
  })

  test('GET /v1/ca/user.pub is one line for TrustedUserCAKeys', async () => {
    const response = await service.request('/v1/ca/user.pub')
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]+=*\n$/)
  })

  test('GET /healthz and GET /readyz answer anybody', async () => {
    expect(await (await service.request('/healthz')).json()).toEqual({ status: 'ok' })
    const ready = await service.request('/readyz')
    expect(ready.status).toBe(200)
    expect(await ready.json()).toEqual({
      status: 'ok',
      checks: [
        { name: 'signer', ok: true },
        { name: 'log', ok: true },
        { name: 'clock', ok: true },
        { name: 'policy', ok: true },
        { name: 'issuing', ok: true },
        { name: 'checkpoints', ok: true },
        { name: `oidc ${service.issuer.issuer}`, ok: true },
      ],
    })
  })

  test('HEAD is GET without the body', async () => {
    const response = await service.request('/v1/ca/user.pub', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })
})

describe('GET /openapi.json', () => {
  interface Operation {
    readonly security: readonly unknown[]
    readonly responses: Record<
      string,
      { readonly content: Record<string, { readonly examples?: Record<string, unknown> }> }
    >
    readonly requestBody?: { readonly content: Record<string, { readonly example: unknown }> }
  }
  const read = async () => {
    const response = await service.request('/openapi.json')
    return (await response.json()) as {
      readonly openapi: string
      readonly paths: Record<string, Record<string, Operation>>
      readonly components: { readonly schemas: Record<string, { additionalProperties?: boolean }> }
    }
  }

  test('describes every route, and no other', async () => {
    const { openapi, paths } = await read()
    expect(openapi).toBe('3.1.0')
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    )
    expect(described.sort()).toEqual(
      service.app.table.map(({ method, path }) => `${method} ${path}`).sort(),
    )
  })

  test('asks for a token exactly where the route does', async () => {
    const { paths } = await read()
    for (const { method, path, access } of service.app.table) {
      expect(paths[path]?.[method]?.security).toEqual(
        access === 'public' ? [] : [{ [access === 'enrolment' ? 'invitation' : 'token']: [] }],
      )
    }
  })

  test('says that unknown members are refused, and shows an ask that is understood', async () => {
    const { components, paths } = await read()
    expect(components.schemas['Ask']?.additionalProperties).toBe(false)
    const example = paths['/v1/certificates']?.['post']?.requestBody?.content['application/json']
    const ask = example?.example as Record<string, unknown>
    const response = await service.ask('maya', ask)
    expect(await readProblem(response)).toMatchObject({ code: 'policy_denied' })
  })

  test('shows the problem of every code a route declares', async () => {
    const { paths } = await read()
    const refused = paths['/v1/certificates']?.['post']?.responses ?? {}
    const problem = refused['403']?.content['application/problem+json']
    expect(Object.keys(problem?.examples ?? {}).sort()).toEqual([
      'address_denied',
      'command_required',
      'host_unknown',
      'insufficient_scope',
      'key_in_use',
      'key_revoked',
      'mfa_required',
      'policy_denied',
      'proof_required',
      'quota_exceeded',
      'reason_required',
      'subject_revoked',
      'token_too_old',
      'ttl_too_long',
      'untrusted_peer',
    ])
    const codesOf = (path: string, method: string, status: string) =>
      Object.keys(
        paths[path]?.[method]?.responses[status]?.content['application/problem+json']?.examples ??
          {},
      )
    expect(codesOf('/v1/whoami', 'get', '503')).toContain('clock_untrusted')
    expect(codesOf('/v1/freeze', 'delete', '413')).toEqual(['body_too_large'])
    const unready = paths['/readyz']?.['get']?.responses['503']?.content ?? {}
    expect(Object.keys(unready).sort()).toEqual(['application/json', 'application/problem+json'])
  })
})
