import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPublicKeyLine, readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

let now = new Date('2026-11-22T10:00:00Z')
const clock = () => now
const passMinutes = (minutes: number) => {
  now = new Date(now.getTime() + minutes * 60_000)
}

const pinned = createPublicKeyLine()
const policies = (issuer: string) => ({
  'a.yaml': `hosts:
  - { name: db-1.example.com, aliases: [db-1], logins: [postgres], hostKeys: ["${pinned}"] }
roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
  - name: everyone-here
    who: [{ oidc: { issuer: "https://postern.example.com", claims: { kind: enrolment } } }]
    hosts: ["*"]
    logins: [deploy, root]
    ttl: 5m
`,
})

let service: TestApp
beforeAll(async () => {
  service = await startTestApp({ policies, overrides: { clock, monotonic: () => now.getTime() } })
})
afterAll(() => service.close())

const send = async (method: string, path: string, credentials: string, body?: unknown, from = {}) =>
  service.request(
    path,
    {
      method,
      headers: {
        authorization: `Bearer ${credentials}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    from,
  )

const invite = async (body: object) => {
  const answer = await send('POST', '/v1/hosts/invitations', await service.token('maya'), body)
  expect(answer.status).toBe(201)
  return (await answer.json()) as {
    readonly token: string
    readonly command: string
    readonly id: string
  }
}

const enrol = (token: string, body: object = {}, from = {}) =>
  send('POST', '/v1/hosts/enrol', token, { hostKeys: [createPublicKeyLine()], ...body }, from)

const refusal = {
  status: 401,
  code: 'invalid_token',
  detail: 'The token is not accepted: ask for a new one, made by "postern host invite".',
}

describe('an invitation', () => {
  test('is a line to paste on the host, and of its secret only the SHA-256 is kept', async () => {
    const { token, command } = await invite({
      name: 'web-1.example.com',
      logins: ['deploy', 'root'],
    })
    expect(command).toBe(
      `curl -fsS https://postern.example.com/enrol | sh -s -- ${token} web-1.example.com`,
    )
    const [secret = '', key = ''] = token.split('.')
    expect(Buffer.from(secret, 'base64url').length).toBe(32)
    expect(key).toBe(service.app.trustKey.replace('ssh-ed25519 ', ''))
    const entry = (await service.rows()).at(-1)?.entry
    expect(entry).toMatchObject({
      type: 'host-invite',
      identity: { name: 'maya' },
      invitation: {
        name: 'web-1.example.com',
        uses: 1,
        logins: ['deploy', 'root'],
        expires: '2026-11-22T11:00:00Z',
        hash: createHash('sha256').update(secret).digest('hex'),
      },
    })
    expect(JSON.stringify(await service.rows()) + service.lines.join('')).not.toContain(secret)
  })

  test('needs the role admin', async () => {
    const answer = await send('POST', '/v1/hosts/invitations', await service.token('sam'), {
      name: 'web-1.example.com',
      logins: ['deploy'],
    })
    expect(await readProblem(answer)).toMatchObject({ status: 403, code: 'role_required' })
  })

  test.each<readonly [object, string, string]>([
    [{ logins: ['deploy'] }, 'invalid_request', 'Send either a name or a pattern of names.'],
    [
      { name: 'web-1', pattern: 'web-*', logins: ['deploy'] },
      'invalid_request',
      'Send either a name or a pattern of names.',
    ],
    [
      { name: 'WEB-1', logins: ['deploy'] },
      'invalid_host',
      'The name is not a host name: send letters, digits, hyphens and dots, in lower case.',
    ],
    [
      { pattern: '*', logins: ['deploy'] },
      'invalid_request',
      'The pattern is not one of host names: send one as "runner-*.example.com"; "*" alone is none.',
    ],
    [
      { name: 'web-1', uses: 2, logins: ['deploy'] },
      'invalid_request',
      'The uses are not a number: send a whole number from 1 to 10000, with a pattern.',
    ],
    [
      { name: 'web-1', logins: ['deploy'], from: ['10.0.0.1/8'] },
      'invalid_request',
      'The blocks are not valid: send a list of them, as ["10.2.0.0/16"].',
    ],
    [
      { name: 'web-1' },
      'invalid_login',
      'Name the logins that certificates are to open: the policy lists none for this host.',
    ],
    ...['deploy\nprincipal root', '../root', 'a b', '#root', 'Root', 'cert-authority,x'].map(
      (login) =>
        [
          { name: 'web-1', logins: [login] },
          'invalid_login',
          'The logins are not valid: send a list of names, as ["deploy", "root"].',
        ] as const,
    ),
    [
      { name: 'web-1', logins: ['deploy'], ttl: '8d' },
      'invalid_ttl',
      'The ttl is not valid: send a duration from 1m to 7d, like "1h".',
    ],
  ])('%j is refused (ATTACKS 228, 231)', async (body, code, detail) => {
    const answer = await send('POST', '/v1/hosts/invitations', await service.token('maya'), body)
    expect(await readProblem(answer)).toEqual({ status: 400, code, detail })
  })
})

describe('enrolling (ATTACKS 233)', () => {
  test('pins the keys, is an entry, and answers the bundle', async () => {
    const { token, id } = await invite({ name: 'web-1.example.com', logins: ['deploy'] })
    const hostKeys = [createPublicKeyLine()]
    const answer = await enrol(token, { name: 'web-1.example.com', hostKeys, port: 2222 })
    expect(answer.status).toBe(201)
    const bundle = await answer.text()
    expect(bundle).toContain('\nprincipal deploy deploy@web-1.example.com\n')
    const { seq, entry } = (await service.rows()).at(-1) ?? {}
    expect(entry).toMatchObject({
      type: 'host-enrol',
      identity: { kind: 'enrolment', issuer: 'https://postern.example.com', subject: id },
      host: { name: 'web-1.example.com', port: 2222, logins: ['deploy'], hostKeys },
    })
    expect(bundle).toContain(`\nversion ${seq}\n`)
    const again = await service.request('/v1/hosts/web-1.example.com/trust')
    expect(await again.text()).toBe(bundle)
  })

  test.each<readonly [string, object, object]>([
    ['that is spent', { name: 'web-2.example.com' }, {}],
    ['for another name', { name: 'web-3.example.com' }, { name: 'web-4.example.com' }],
    ['from another address', { name: 'web-3.example.com', from: ['10.0.0.0/8'] }, {}],
    ['for names of another pattern', { pattern: 'runner-*' }, { name: 'web-5' }],
    ['for many, without a name', { pattern: 'runner-*' }, {}],
  ])('is refused with a token %s', async (what, invitation, body) => {
    const { token } = await invite({ ...invitation, logins: ['deploy'] })
    if (what === 'that is spent') expect((await enrol(token, body)).status).toBe(201)
    expect(await readProblem(await enrol(token, body))).toEqual(refusal)
    expect((await service.rows()).at(-1)?.entry).toMatchObject({
      type: 'deny',
      code: 'invalid_token',
    })
  })

  test.each([
    ['unknown', (token: string) => `${'A'.repeat(43)}.${token.split('.')[1]}`],
    ['of another service', (token: string) => `${token.split('.')[0]}.${'A'.repeat(68)}`],
    ['cut', (token: string) => token.slice(0, -1)],
    ['a secret alone', (token: string) => token.split('.')[0] as string],
  ])('is refused with a token that is %s', async (_what, change) => {
    const { token } = await invite({ name: 'web-6.example.com', logins: ['deploy'] })
    expect(await readProblem(await enrol(change(token)))).toEqual(refusal)
    expect((await enrol(token)).status).toBe(201)
  })

  test('is refused with a token that has expired', async () => {
    const { token } = await invite({ name: 'web-7.example.com', logins: ['deploy'], ttl: '5m' })
    passMinutes(5)
    expect(await readProblem(await enrol(token))).toEqual(refusal)
  })

  test('is refused with a token of a person, and without one', async () => {
    expect(await readProblem(await enrol(await service.token('maya')))).toEqual(refusal)
    const bare = await service.request('/v1/hosts/enrol', { method: 'POST' })
    expect(await readProblem(bare)).toEqual({
      status: 401,
      code: 'authentication_required',
      detail:
        'Send one header "Authorization: Bearer <token>" with a token of "postern host invite".',
    })
  })

  test('of a hundred who redeem a token at once, one does', async () => {
    const { token } = await invite({ name: 'web-8.example.com', logins: ['deploy'] })
    // As many as the service works on at once in this test.
    const answers = [
      ...(await Promise.all(Array.from({ length: 50 }, () => enrol(token)))),
      ...(await Promise.all(Array.from({ length: 50 }, () => enrol(token)))),
    ]
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([201, ...Array.from({ length: 99 }, () => 401)])
    const enrolled = (await service.rows()).filter(
      ({ entry }) => entry.type === 'host-enrol' && entry.host.name === 'web-8.example.com',
    )
    expect(enrolled).toHaveLength(1)
  })

  test('a pattern lets in as many as it says, from where it says', async () => {
    const from = { address: '10.2.0.7' }
    const { token } = await invite({
      pattern: 'runner-*.example.com',
      uses: 2,
      from: ['10.2.0.0/16'],
      logins: ['runner'],
    })
    const names = ['runner-1.example.com', 'runner-2.example.com', 'runner-3.example.com']
    const answers = await Promise.all(names.map((name) => enrol(token, { name }, from)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 401])
  })

  test('of two who come at once under one name with keys of their own, one enrols', async () => {
    const { token } = await invite({ pattern: 'pair-*.example.com', uses: 3, logins: ['deploy'] })
    const body = { name: 'pair-1.example.com' }
    const answers = await Promise.all([enrol(token, body), enrol(token, body)])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 401])
  })

  test('with keys other than those that are pinned is refused', async () => {
    const own = createPublicKeyLine()
    const { token } = await invite({ name: 'db-1' })
    expect(await readProblem(await enrol(token, { name: 'db-1' }))).toEqual(refusal)
    expect((await enrol(token, { name: 'db-1', hostKeys: [own, pinned] })).status).toBe(201)

    const fleet = await invite({ pattern: 'runner-*', uses: 3, logins: ['runner'] })
    const first = { name: 'runner-9', hostKeys: [own] }
    expect((await enrol(fleet.token, first)).status).toBe(201)
    expect(await readProblem(await enrol(fleet.token, { name: 'runner-9' }))).toEqual(refusal)
    expect((await enrol(fleet.token, first)).status, 'the same once more is harmless').toBe(201)
  })

  test.each([
    [
      { hostKeys: [] },
      'invalid_public_key',
      'The hostKeys are not valid: send a list of "TYPE BASE64", as /etc/ssh/ssh_host_*_key.pub have them.',
    ],
    [
      { hostKeys: ['ssh-ed25519 AAAA'] },
      'invalid_public_key',
      'One of the hostKeys must be a public host key, "TYPE BASE64" without a comment, as /etc/ssh/ssh_host_ed25519_key.pub has it.',
    ],
    [
      { hostKeys: [`${pinned} root@web-1`] },
      'invalid_public_key',
      'One of the hostKeys must be a public host key, "TYPE BASE64" without a comment, as /etc/ssh/ssh_host_ed25519_key.pub has it.',
    ],
    [
      { name: 'web-1\nca ssh-rsa' },
      'invalid_host',
      'The name is not a host name: send letters, digits, hyphens and dots, in lower case.',
    ],
    [{ port: 0 }, 'invalid_request', 'The port is not valid: send a whole number from 1 to 65535.'],
  ])('with %j is refused, and the token stays good (ATTACKS 235)', async (body, code, detail) => {
    const { token } = await invite({ name: 'web-10.example.com', logins: ['deploy'] })
    expect(await readProblem(await enrol(token, body))).toEqual({ status: 400, code, detail })
    expect((await enrol(token)).status).toBe(201)
  })
})

describe('the proof of a login', () => {
  const host = 'web-20.example.com'
  const ask = (token: string, changes: object = {}) =>
    send('POST', '/v1/certificates', token, {
      publicKey: createPublicKeyLine(),
      host,
      login: 'deploy',
      ...changes,
    })
  const denied = {
    status: 403,
    code: 'policy_denied',
    detail:
      'With the token of an invitation a host may ask, once and within ten minutes, for 60 seconds as one of its own logins on itself.',
  }
  const start = async () => {
    const { token } = await invite({ name: host, logins: ['deploy'] })
    expect((await enrol(token)).status).toBe(201)
    return token
  }

  test('is one certificate of 60 seconds, from the host to itself, for a command that does nothing', async () => {
    const token = await start()
    const answer = await ask(token)
    expect(answer.status).toBe(201)
    const issued = (await answer.json()) as Record<string, string>
    expect(issued).toMatchObject({
      rule: 'enrolment-proof',
      principals: [`deploy@${host}`],
      validAfter: expect.any(String),
      criticalOptions: { 'force-command': 'true', 'source-address': '127.0.0.1/32,::1/128' },
      extensions: {},
    })
    expect(Date.parse(issued['validBefore'] ?? '') - now.getTime()).toBe(60_000)
    expect((await service.rows()).at(-1)?.entry).toMatchObject({
      type: 'allow',
      identity: { kind: 'enrolment', issuer: 'https://postern.example.com' },
      rule: { name: 'enrolment-proof', file: 'built-in' },
    })
    expect(await readProblem(await ask(token)), 'a second one').toEqual(denied)
  })

  test('is one also where many ask at once', async () => {
    const token = await start()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(token)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
  })

  test('can be tried again where the ask was at fault', async () => {
    const token = await start()
    for (const changes of [
      { host: 'web-1.example.com' },
      { login: 'root' },
      { ttl: '61s' },
      { command: 'x' },
    ]) {
      expect(await readProblem(await ask(token, changes))).toEqual(denied)
    }
    expect((await ask(token, { publicKey: 'x' })).status).toBe(400)
    expect((await ask(token)).status).toBe(201)
  })

  test('is over ten minutes after the enrolment', async () => {
    const token = await start()
    passMinutes(10)
    expect((await ask(token)).status).toBe(403)
    passMinutes(1)
    expect(await readProblem(await ask(token))).toMatchObject({
      status: 401,
      code: 'invalid_token',
    })
  })

  test('is not to be had with a token before its enrolment', async () => {
    const { token } = await invite({ name: host, logins: ['deploy'] })
    expect(await readProblem(await ask(token))).toMatchObject({
      status: 401,
      code: 'invalid_token',
    })
  })

  test('no route but the ask for a certificate knows the token', async () => {
    const token = await start()
    const open: string[] = []
    for (const { method, path, access } of service.app.table) {
      if (access === 'public') continue
      const answer = await send(method.toUpperCase(), path, token)
      if (answer.status !== 401) open.push(`${method} ${path}`)
    }
    // Open as far as the media type of the empty body: both are tried with one above.
    expect(open).toEqual(['post /v1/certificates', 'post /v1/hosts/enrol'])
  })

  test('no rule of the policy can name the host, and no person has the built-in rule', async () => {
    // The policy above has a rule for our own issuer, for any host and login.
    const token = await start()
    expect(
      await readProblem(await ask(token, { host: 'db-1.example.com', login: 'root' })),
    ).toEqual(denied)
    const person = await send('POST', '/v1/certificates', await service.token('sam'), {
      publicKey: createPublicKeyLine(),
      host,
      login: 'deploy',
    })
    expect(await readProblem(person)).toMatchObject({ status: 403, code: 'policy_denied' })
  })
})

describe('a host that is taken off the list', () => {
  const remove = async (name: string, user = 'maya') =>
    send('DELETE', `/v1/hosts/${name}`, await service.token(user))
  const readBundle = async (name: string) =>
    (await service.request(`/v1/hosts/${name}/trust`)).text()
  const versionOf = (bundle: string) => Number(/^version (\d+)$/m.exec(bundle)?.[1])
  const off = (name: string) =>
    new RegExp(`^postern-trust v1\nhost ${name}\nversion \\d+\nkrl \\d+ \\S+\nend\n-----BEGIN`)

  test('is told to trust nobody, and that is an entry', async () => {
    const name = 'web-30.example.com'
    const { token } = await invite({ name, logins: ['deploy'] })
    const granting = await (await enrol(token)).text()
    expect(await (await remove(name)).json()).toEqual({ name })
    const { seq, entry } = (await service.rows()).at(-1) ?? {}
    expect(entry).toMatchObject({ type: 'host-remove', identity: { name: 'maya' }, host: { name } })
    const bundle = await readBundle(name)
    expect(bundle).toMatch(off(name))
    expect(versionOf(bundle)).toBe(seq)
    expect(versionOf(bundle)).toBeGreaterThan(versionOf(granting))

    // Its token proves no login any more, and it may come again with other keys.
    const proof = { publicKey: createPublicKeyLine(), host: name, login: 'deploy' }
    expect(await readProblem(await send('POST', '/v1/certificates', token, proof))).toMatchObject({
      status: 403,
      code: 'policy_denied',
    })
    const second = await invite({ name, logins: ['root'] })
    const again = await (await enrol(second.token)).text()
    expect(again).toContain(`\nprincipal root root@${name}\n`)
    expect(again).toMatch(/^ca /m)
    expect(versionOf(again)).toBeGreaterThan(versionOf(bundle))
  })

  test('has no login either where the policy lists it, by its name or an alias', async () => {
    const name = 'db-1.example.com'
    const { token } = await invite({ name })
    expect((await enrol(token, { hostKeys: [pinned] })).status).toBe(201)
    expect(await readBundle(name)).toContain(`\nprincipal postgres postgres@${name}\n`)
    expect(await (await remove('db-1')).json()).toEqual({ name })
    expect(await readBundle(name)).toMatch(off(name))
    const shown = await send('GET', `/v1/hosts/${name}`, await service.token('maya'))
    expect(await shown.json()).toMatchObject({
      source: 'policy',
      logins: [],
      standing: 'never seen',
    })

    const second = await invite({ name })
    expect((await enrol(second.token, { hostKeys: [pinned] })).status).toBe(201)
    expect(await readBundle(name)).toContain(`\nprincipal postgres postgres@${name}\n`)
  })

  test('is one that had enrolled, and only an admin takes it off', async () => {
    const name = 'web-31.example.com'
    const { token } = await invite({ name, logins: ['deploy'] })
    expect((await enrol(token)).status).toBe(201)
    expect(await readProblem(await remove(name, 'sam'))).toMatchObject({
      status: 403,
      code: 'role_required',
    })
    expect((await remove(name)).status).toBe(200)
    for (const gone of [name, 'web-99.example.com', 'x'.repeat(300)]) {
      expect(await readProblem(await remove(gone))).toEqual({
        status: 404,
        code: 'not_found',
        detail:
          'No host of this name has enrolled. One that the policy lists is taken out of its file.',
      })
    }
  })
})

// The bundle's number is its entry's: what stands before that entry must be in it, or it is never sent again.
test('a host that enrols while a policy comes into force is told what the new one says', async () => {
  const formatPolicy = (issuer: string, logins: string) => ({
    'a.yaml': `hosts: [{ name: web-2.example.com, logins: [${logins}] }]
roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
`,
  })
  const store = createFakeStore()
  let pause = 0
  const append = async (...given: Parameters<typeof store.append>) => {
    await setTimeout(pause)
    return store.append(...given)
  }
  const busy = await startTestApp({
    policies: (issuer) => formatPolicy(issuer, 'deploy, root'),
    overrides: { store: { ...store, append } },
  })
  try {
    const headers = {
      authorization: `Bearer ${await busy.token('maya')}`,
      'content-type': 'application/json',
    }
    const send = (path: string, body: object, more = {}) =>
      busy.request(path, {
        method: 'POST',
        headers: { ...headers, ...more },
        body: JSON.stringify(body),
      })
    const invited = await send('/v1/hosts/invitations', {
      name: 'web-2.example.com',
      logins: ['deploy'],
    })
    const { token } = (await invited.json()) as { readonly token: string }
    pause = 400
    const first = busy.ask('sam')
    writeFileSync(
      join(busy.dir, 'policies', 'a.yaml'),
      formatPolicy(busy.issuer.issuer, 'deploy')['a.yaml'],
    )
    const reloaded = busy.app.reload()
    await setTimeout(300)
    const keys = { hostKeys: [createPublicKeyLine()] }
    const enrolled = await send('/v1/hosts/enrol', keys, { authorization: `Bearer ${token}` })
    await Promise.all([first, reloaded])
    expect(store.batches.at(-1)).toBe(2)
    const principals = (await enrolled.text())
      .split('\n')
      .filter((line) => /^principal /.test(line))
    expect(principals).toEqual(['principal deploy deploy@web-2.example.com'])
  } finally {
    await busy.close()
  }
})
