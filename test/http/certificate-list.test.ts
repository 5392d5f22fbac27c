import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPublicKeyLine, readProblem, startTestApp, type TestApp } from '../app.ts'
import { formatRolePolicy } from './admin.ts'

interface Page {
  readonly certificates: readonly (Readonly<Record<string, unknown>> & {
    readonly serial: string
    readonly host: string
    readonly subject: string
  })[]
  readonly next?: string
}

let service: TestApp
const asked = ['web-1', 'web-2', 'web-3', 'web-1'].map((name) => `${name}.example.com`)
beforeAll(async () => {
  service = await startTestApp({ policies: formatRolePolicy })
  for (const host of asked) expect((await service.ask('maya', { host })).status).toBe(201)
  const zoe = await service.issuer.mint({
    groups: ['platform'],
    sub: 'u-9',
    preferred_username: 'zoe',
  })
  await service.request('/v1/certificates', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${zoe}` },
    body: JSON.stringify({
      publicKey: createPublicKeyLine(),
      host: 'web-9.example.com',
      login: 'deploy',
    }),
  })
})
afterAll(() => service.close())

/** Who asks: kim is auditor, maya admin; zoe has a certificate and no role, sam neither. */
const people = {
  kim: { groups: [], sub: 'u-1003', preferred_username: 'kim' },
  maya: { groups: ['platform'], sub: 'u-1001', preferred_username: 'maya' },
  sam: { groups: [], sub: 'u-1002', preferred_username: 'sam' },
  zoe: { groups: [], sub: 'u-9', preferred_username: 'zoe' },
} as const

const read = async (query: string, who: keyof typeof people = 'kim') =>
  service.request(`/v1/certificates${query}`, {
    headers: { authorization: `Bearer ${await service.issuer.mint(people[who])}` },
  })
const page = async (query: string, who: keyof typeof people = 'kim'): Promise<Page> => {
  const response = await read(query, who)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}
const hosts = ({ certificates }: Page) => certificates.map(({ host }) => host.split('.')[0])

describe('GET /v1/certificates', () => {
  test('answers every certificate to an auditor, newest first, with its status', async () => {
    const { certificates, next } = await page('')
    expect(hosts({ certificates })).toEqual(['web-9', 'web-1', 'web-3', 'web-2', 'web-1'])
    expect(next).toBeUndefined()
    expect(certificates[4]).toMatchObject({
      status: 'active',
      serial: expect.stringMatching(/^[0-9]+$/),
      issuer: service.issuer.issuer,
      subject: 'u-1001',
      name: 'maya',
      login: 'deploy',
      rule: 'platform-deploy',
      principals: ['deploy@web-1.example.com'],
      publicKey: expect.stringMatching(/^SHA256:/),
      ca: expect.stringMatching(/^SHA256:/),
      certificate: expect.stringMatching(/^ssh-ed25519-cert-v01@openssh\.com AAAA/),
    })
  })

  test.each([
    ['host=web-1.example.com', ['web-1', 'web-1']],
    ['subject=u-9', ['web-9']],
    ['login=root', []],
    ['rule=platform-deploy&host=web-2.example.com', ['web-2']],
    ['status=active&host=web-3.example.com', ['web-3']],
    ['status=expired', []],
    ['status=revoked', []],
    ['serial=1', []],
    // ATTACKS 175
    ["host=' OR 1=1 --", []],
    ['host=web-*.example.com', []],
  ])('finds exactly what %s says', async (query, found) => {
    expect(hosts(await page(`?${query}`))).toEqual(found)
  })

  test('is found by issuer beside the subject, and by serial', async () => {
    const issuer = encodeURIComponent(service.issuer.issuer)
    expect(hosts(await page(`?subject=u-9&issuer=${issuer}`))).toEqual(['web-9'])
    expect(hosts(await page('?subject=u-9&issuer=https://other.example.com'))).toEqual([])
    const [first] = (await page('?limit=1')).certificates
    expect((await page(`?serial=${first?.serial}`)).certificates).toEqual([first])
  })

  test('goes page by page by an opaque cursor, also while more are issued', async () => {
    const first = await page('?limit=2&host=web-1.example.com&login=deploy')
    expect(first.next).toBeUndefined()
    const one = await page('?limit=3')
    await service.ask('maya', { host: 'web-7.example.com' })
    const two = await page(`?limit=3&cursor=${one.next}`)
    expect([...hosts(one), ...hosts(two)]).toEqual(['web-9', 'web-1', 'web-3', 'web-2', 'web-1'])
    expect(two.next).toBeUndefined()
  })

  test('answers anybody their own, and no more, whatever they filter by', async () => {
    expect(hosts(await page('', 'zoe'))).toEqual(['web-9'])
    expect(hosts(await page('?subject=u-9', 'zoe'))).toEqual(['web-9'])
    expect(hosts(await page('?host=web-1.example.com', 'zoe'))).toEqual([])
    const [maya] = (await page('?host=web-1.example.com')).certificates
    expect(hosts(await page(`?serial=${maya?.serial}`, 'zoe'))).toEqual([])
    expect(hosts(await page('', 'sam'))).toEqual([])
  })

  test.each(['subject=u-1001', 'issuer=https://idp.example.com', 'subject=u-9&issuer=https://x'])(
    'refuses %s to who has no role, and that is an entry',
    async (query) => {
      const before = (await service.rows()).length
      expect(await readProblem(await read(`?${query}`, 'zoe'))).toMatchObject({
        status: 403,
        code: 'role_required',
        detail:
          'This needs the role auditor: ask an administrator to name you under roles in the policy.',
      })
      const rows = await service.rows()
      expect(rows).toHaveLength(before + 1)
      expect(rows.at(-1)?.entry).toMatchObject({ type: 'deny', identity: { name: 'zoe' } })
    },
  )

  test('is an entry where others are read, and none where it is about oneself', async () => {
    const before = (await service.rows()).length
    await page('?subject=u-9', 'zoe')
    await page('?subject=u-1001', 'maya')
    expect(await service.rows()).toHaveLength(before)
    await page('?subject=u-9&limit=5', 'maya')
    const rows = await service.rows()
    expect(rows).toHaveLength(before + 1)
    expect(rows.at(-1)?.entry).toMatchObject({
      type: 'read',
      what: 'certificates',
      identity: { name: 'maya' },
      query: { subject: 'u-9', limit: '5' },
    })
  })

  test.each([
    ['limit=0', 'Send "limit" as a whole number from 1 to 500.'],
    ['limit=501', 'Send "limit" as a whole number from 1 to 500.'],
    ['cursor=7', 'Send "cursor" as the "next" of the page before.'],
    ['cursor=c0', 'Send "cursor" as the "next" of the page before.'],
    ['status=gone', 'Send "status" as one of active, expired, revoked, not-yet-valid.'],
    ['host=', 'Send "host" as text of 1 to 512 characters, none of them a control character.'],
    [
      'name=maya',
      'The query of this route holds issuer, subject, host, login, rule, serial, status, limit, cursor, each at most once, and nothing else.',
    ],
  ])('refuses %s', async (query, detail) => {
    expect(await readProblem(await read(`?${query}`))).toMatchObject({
      status: 400,
      code: 'invalid_request',
      detail,
    })
  })

  test('says what was revoked, from the moment the revocation answers', async () => {
    const [first] = (await page('?subject=u-9')).certificates
    const response = await service.request('/v1/revocations', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await service.issuer.mint(people.maya)}`,
      },
      body: JSON.stringify({ serial: first?.serial, reason: 'a stolen laptop' }),
    })
    expect(response.status).toBeLessThan(300)
    const found = await page('?status=revoked', 'zoe')
    expect(found.certificates).toMatchObject([
      {
        serial: first?.serial,
        status: 'revoked',
        revoked: { by: 'maya', reason: 'a stolen laptop' },
      },
    ])
    expect(hosts(await page('?status=active', 'zoe'))).toEqual([])
  })

  test('leaves POST on the same path without a query', async () => {
    const response = await service.request('/v1/certificates?host=web-1.example.com', {
      method: 'POST',
      headers: { authorization: `Bearer ${await service.token()}` },
    })
    expect(await readProblem(response)).toMatchObject({
      code: 'invalid_request',
      detail: 'This route takes no query: leave out the "?" and all after it.',
    })
  })
})
