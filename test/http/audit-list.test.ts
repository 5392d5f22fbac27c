import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashBody } from '../../src/audit/entry.ts'
import { formatCanonical } from '../../src/lib/json.ts'
import { readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore, type FakeStore } from '../fakes/audit-store.ts'
import { formatRolePolicy, sendLocal } from './admin.ts'

interface Page {
  readonly entries: readonly (Readonly<Record<string, unknown>> & { readonly seq: number })[]
  readonly next?: string
}

let service: TestApp
let store: FakeStore
beforeAll(async () => {
  store = createFakeStore()
  service = await startTestApp({ policies: formatRolePolicy, overrides: { store } })
  for (let n = 0; n < 4; n++) await service.ask('maya', { host: `web-${n}.example.com` })
  await service.ask('sam', { reason: "'; DROP TABLE entries; --" })
})
afterAll(() => service.close())

/** As kim, the auditor. */
const read = async (query: string, user = 'kim') => {
  const kim = { groups: [], sub: 'u-1003', preferred_username: 'kim' }
  const credentials = await (user === 'kim'
    ? service.issuer.mint(kim)
    : service.issuer.mintFor(user))
  return service.request(`/v1/audit${query}`, {
    headers: { authorization: `Bearer ${credentials}` },
  })
}
const page = async (query: string): Promise<Page> => {
  const response = await read(query)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}
const seqs = ({ entries }: Page) => entries.map(({ seq }) => seq)

describe('GET /v1/audit', () => {
  test('answers entries as the log has them, newest first', async () => {
    const { entries, next } = await page('?until=2100-01-01T00:00:00Z')
    expect(entries.map(({ type }) => type)).toEqual([
      'deny',
      'allow',
      'allow',
      'allow',
      'allow',
      'policy',
      'start',
    ])
    expect(next).toBeUndefined()
    for (const { hash, ...entry } of entries) expect(hashBody(formatCanonical(entry))).toBe(hash)
  })

  test.each([
    ['type=allow', [6, 5, 4, 3]],
    ['type=allow&host=web-2.example.com', [5]],
    ['type=deny&name=sam', [7]],
    ['rule=platform-deploy', [6, 5, 4, 3]],
    ['login=deploy&type=deny', [7]],
    ['since=2100-01-01T00:00:00Z', []],
    ['until=2020-01-01T00:00:00Z', []],
    // ATTACKS 175: a value is a value, whatever it looks like.
    ["host=' OR 1=1 --", []],
    ['host=web-%25', []],
    ['host=web-*.example.com', []],
    ['name=%25', []],
    ['host=web-_.example.com', []],
    ['serial=1 OR 1=1', []],
  ])('finds exactly what %s says', async (query, found) => {
    expect(seqs(await page(`?${query}`))).toEqual(found)
  })

  test('finds a request, a serial and a policy by theirs', async () => {
    const { entries } = await page('?type=allow&limit=1')
    const { request, certificate, policy } = entries[0] as unknown as {
      readonly request: { readonly id: string }
      readonly certificate: { readonly serial: string }
      readonly policy: string
    }
    expect(seqs(await page(`?requestId=${request.id}`))).toEqual([6])
    expect(seqs(await page(`?serial=${certificate.serial}`))).toEqual([6])
    expect(seqs(await page(`?policy=${policy}&type=allow`))).toEqual([6, 5, 4, 3])
    const { issuer } = service.issuer
    expect(seqs(await page(`?issuer=${encodeURIComponent(issuer)}&type=deny`))).toEqual([7])
  })

  test('goes page by page, each entry once, also while the log grows', async () => {
    const first = await page('?type=allow&limit=2')
    expect([seqs(first), first.next]).toEqual([[6, 5], '5'])
    const second = await page(`?type=allow&limit=2&cursor=${first.next}`)
    expect([seqs(second), second.next]).toEqual([[4, 3], undefined])
  })

  test('is an entry itself, before it is answered, and does not find itself', async () => {
    const before = store.rows.length
    const response = await read('?host=web-1.example.com&limit=5')
    expect(store.rows).toHaveLength(before + 1)
    expect(JSON.parse(store.rows.at(-1)?.body ?? '')).toMatchObject({
      type: 'read',
      identity: { name: 'kim', subject: 'u-1003' },
      request: { id: response.headers.get('x-request-id'), address: '198.51.100.7' },
      query: { host: 'web-1.example.com', limit: '5' },
    })
    expect(seqs(await page('?limit=1'))).toEqual([before + 1])
  })

  test('tells nothing where that cannot be written', async () => {
    store.breakNext('lose')
    const response = await read('?type=allow')
    expect(await readProblem(response)).toMatchObject({ status: 503, code: 'audit_unavailable' })
  })

  test('tells nothing that is not as it was written', async () => {
    const [row] = store.rows.slice(2, 3)
    Object.assign(row ?? {}, { body: row?.body.replace('web-0', 'web-9') })
    const response = await read('?host=web-9.example.com')
    expect(await readProblem(response)).toMatchObject({ status: 500, code: 'log_corrupt' })
    Object.assign(row ?? {}, { body: row?.body.replace('web-9', 'web-0') })
  })

  test('is for auditors and admins, and the admin socket', async () => {
    expect((await read('', 'maya')).status).toBe(200)
    expect(await readProblem(await read('', 'sam'))).toEqual({
      status: 403,
      code: 'role_required',
      detail:
        'This needs the role auditor: ask an administrator to name you under roles in the policy.',
    })
    expect((await service.request('/v1/audit')).status).toBe(401)
    await service.app.listen()
    const local = await sendLocal(service, 'GET', '/v1/audit?type=start')
    expect(local).toMatchObject({ status: 200, body: { entries: [{ seq: 1, type: 'start' }] } })
    expect(JSON.parse(store.rows.at(-1)?.body ?? '')).toMatchObject({
      type: 'read',
      identity: { kind: 'local' },
    })
  })

  const known =
    'The query of this route holds type, issuer, subject, name, host, login, rule, serial, requestId, policy, since, until, limit, cursor, each at most once, and nothing else.'

  // ATTACKS 173
  test.each([
    'sort=body',
    'order=seq',
    'filter[host]=x',
    'filter=1',
    'fields=body',
    'identity.name=maya',
    'host[]=x',
    'host[$ne]=x',
    'host=a&host=b',
    'Host=a',
    'offset=3',
    '__proto__=x',
  ])('takes no %s', async (query) => {
    const before = store.rows.length
    expect(await readProblem(await read(`?${query}`))).toEqual({
      status: 400,
      code: 'invalid_request',
      detail: known,
    })
    expect(store.rows).toHaveLength(before)
  })

  const words = 'text of 1 to 512 characters, none of them a control character'
  test.each([
    ['host=', `Send "host" as ${words}.`],
    ['host=a%00b', `Send "host" as ${words}.`],
    ['name=a%0Ab', `Send "name" as ${words}.`],
    [`rule=${'x'.repeat(513)}`, `Send "rule" as ${words}.`],
    ['limit=0', 'Send "limit" as a whole number from 1 to 500.'],
    ['limit=501', 'Send "limit" as a whole number from 1 to 500.'],
    ['limit=1e2', 'Send "limit" as a whole number from 1 to 500.'],
    ['limit=-1', 'Send "limit" as a whole number from 1 to 500.'],
    ['cursor=0', 'Send "cursor" as the "next" of the page before.'],
    ['cursor=1.5', 'Send "cursor" as the "next" of the page before.'],
    ["cursor=1' --", 'Send "cursor" as the "next" of the page before.'],
    ['since=yesterday', 'Send "since" as a time as 2026-11-22T10:00:00Z.'],
    ['since=2026-13-22T10:00:00Z', 'Send "since" as a time as 2026-11-22T10:00:00Z.'],
    ['until=2026-11-22', 'Send "until" as a time as 2026-11-22T10:00:00Z.'],
  ])('refuses %s', async (query, detail) => {
    const response = await read(`?${query}`)
    expect(await readProblem(response)).toEqual({ status: 400, code: 'invalid_request', detail })
  })
})
