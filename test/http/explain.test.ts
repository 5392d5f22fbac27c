import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'
import { formatRolePolicy, sendLocal } from './admin.ts'

const policies = (issuer: string) => ({
  ...formatRolePolicy(issuer),
  'b.yaml': `rules:
  - name: database
    who: [{ oidc: { issuer: "${issuer}", groups: [dba] } }, { oidc: { issuer: "${issuer}", subject: u-77 } }]
    hosts: ["db-*.example.com"]
    logins: [deploy]
    ttl: 5m
  - name: only-one
    who: [{ oidc: { issuer: "${issuer}", subject: u-88 } }]
    hosts: ["*"]
    logins: [deploy]
    ttl: 5m
`,
})

let service: TestApp
beforeAll(async () => {
  service = await startTestApp({ policies })
})
afterAll(() => service.close())

const explain = async (user: string | undefined, body: unknown) =>
  service.request('/v1/explain', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(user === undefined
        ? {}
        : { authorization: `Bearer ${await service.issuer.mintFor(user)}` }),
    },
    body: JSON.stringify(body),
  })

const web = { host: 'web-1.example.com', login: 'deploy' }
const database = { host: 'db-1.example.com', login: 'deploy' }

describe('POST /v1/explain', () => {
  test('tells a caller of themselves what would be written, and issues nothing', async () => {
    const before = (await service.rows()).length
    const response = await explain('maya', web)
    expect(response.status).toBe(200)
    const body = (await response.json()) as Record<string, unknown>
    expect(body).toMatchObject({
      decision: 'allow',
      rules: [{ rule: { name: 'platform-deploy' }, kind: 'allow', outcome: 'decides' }],
      certificate: {
        principals: ['deploy@web-1.example.com'],
        ttl: '5m',
        criticalOptions: {},
        extensions: {},
      },
    })
    expect(JSON.stringify(body)).not.toMatch(/cert-v01|a\.yaml/)
    expect(await service.rows()).toHaveLength(before)
  })

  test('names the groups that are needed, and no other person, host or file (ATTACKS 162)', async () => {
    const response = await explain('sam', database)
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({
      decision: 'deny',
      code: 'policy_denied',
      rules: [
        {
          rule: { name: 'database' },
          outcome: 'passed',
          conditions: [
            { key: 'who', isMet: false, wanted: `group dba of ${service.issuer.issuer}` },
          ],
        },
      ],
    })
    expect(text).not.toMatch(/u-77|u-88|only-one|db-\*|yaml/)
  })

  test('is closed without a token, and to one that is not accepted (ATTACKS 162)', async () => {
    expect((await explain(undefined, web)).status).toBe(401)
    const headers = { authorization: 'Bearer nonsense', 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(web) }
    expect((await service.request('/v1/explain', init)).status).toBe(401)
  })

  test.each([
    ['of somebody else', { who: { github: { id: '1' } } }],
    ['at another time', { at: '2026-12-01T00:00:00Z' }],
    ['from another address', { from: '192.0.2.7' }],
  ])(
    'refuses a caller without the role who asks %s, and that is an entry (ATTACKS 162)',
    async (_name, more) => {
      const before = (await service.rows()).length
      expect(await readProblem(await explain('sam', { ...web, ...more }))).toMatchObject({
        status: 403,
        code: 'role_required',
      })
      const rows = await service.rows()
      expect(rows).toHaveLength(before + 1)
      expect(rows.at(-1)?.entry).toMatchObject({ type: 'deny', code: 'role_required' })
    },
  )

  test('tells an admin all of it, about anybody', async () => {
    const who = { oidc: { issuer: service.issuer.issuer, subject: 'u-77' } }
    const response = await explain('maya', { ...database, who, at: '2026-12-01T10:00:00Z' })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      decision: 'allow',
      rule: { name: 'database', file: 'b.yaml', line: 2 },
      rules: [
        { rule: { name: 'platform-deploy' }, outcome: 'passed' },
        { rule: { name: 'database', file: 'b.yaml' }, outcome: 'decides' },
        { rule: { name: 'only-one' }, outcome: 'unread' },
      ],
      certificate: { validBefore: '2026-12-01T10:05:00Z', endsWith: 'ttl' },
    })
  })

  test.each([
    [{ ...web, host: 'WEB' }, 'invalid_host'],
    [{ ...web, login: 'Root' }, 'invalid_login'],
    [{ ...web, ttl: '5' }, 'invalid_ttl'],
    [{ ...web, publicKey: 'x' }, 'invalid_request'],
    [{ ...web, who: { github: { id: 1 } } }, 'invalid_request'],
    [{ ...web, who: 'maya' }, 'invalid_request'],
    [{ ...web, at: 'now' }, 'invalid_request'],
    [{ ...web, from: '10.0.0.0/8' }, 'invalid_request'],
    [{ login: 'deploy' }, 'invalid_request'],
  ])('refuses %j', async (body, code) => {
    expect(await readProblem(await explain('maya', body))).toMatchObject({ status: 400, code })
  })
})

describe('through the admin socket', () => {
  let local: TestApp
  beforeAll(async () => {
    local = await startTestApp({ policies })
    await local.app.listen()
  })
  afterAll(() => local.close())

  test('an admin asks about anybody without a token, and is told all of it', async () => {
    const who = { oidc: { issuer: local.issuer.issuer, subject: 'u-77' } }
    const body = { ...database, who, from: '192.0.2.7' }
    const answer = await sendLocal(local, 'POST', '/v1/explain', { body })
    expect(answer).toMatchObject({
      status: 200,
      body: { decision: 'allow', rule: { name: 'database', file: 'b.yaml', line: 2 } },
    })
  })

  test('it must be said about whom', async () => {
    expect(await sendLocal(local, 'POST', '/v1/explain', { body: database })).toMatchObject({
      status: 400,
      body: {
        code: 'invalid_request',
        detail:
          'Here it must be said about whom: add "who", as {"github": {"id": …, "teams": […]}} or {"oidc": {"issuer": …, "subject": …}}.',
      },
    })
  })
})

test('explaining counts against the limit of an identity', async () => {
  const limits = {
    perAddress: 'off' as const,
    perIdentity: { count: 2, windowSeconds: 60 },
    inFlight: 8,
  }
  const limited = await startTestApp({ config: { limits } })
  try {
    const credentials = await limited.issuer.mintFor('maya')
    const headers = { authorization: `Bearer ${credentials}`, 'content-type': 'application/json' }
    const statuses: number[] = []
    for (let at = 0; at < 3; at++) {
      const init = { method: 'POST', headers, body: JSON.stringify(web) }
      statuses.push((await limited.request('/v1/explain', init)).status)
    }
    expect(statuses).toEqual([200, 200, 429])
  } finally {
    await limited.close()
  }
})
