import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { decodeKrl, isRevoked } from '../../src/ssh/krl-reader.ts'
import { createPublicKeyLine, readProblem, startTestApp, type TestApp } from '../app.ts'
import { expectRefused, logIn, ownLogin } from '../ssh/client.ts'
import { startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

/**
 * Maya's laptop is stolen while a certificate on it is good for minutes yet. A host that polls
 * GET /v1/krl is to refuse it from the next login on, and nobody else's.
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-revoke-'))
const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
const host = 'web-1.example.com'

const service = await startTestApp({
  policies: (issuer) => ({
    'a.yaml': `roles:
  admin: [{ oidc: { issuer: "${issuer}", subject: u-1003 } }]
rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    ttl: 5m
`,
  }),
})
const krlPath = join(dir, 'revoked.krl')
/** What a host's timer does. */
const poll = async () => {
  const response = await service.request('/v1/krl')
  expect(response.status).toBe(200)
  writeFileSync(`${krlPath}.new`, new Uint8Array(await response.arrayBuffer()), { mode: 0o644 })
  renameSync(`${krlPath}.new`, krlPath)
}
await poll()
const caKey = (await (await service.request('/v1/ca/user.pub')).text()).trim()
const sshd = await startSshd({
  name: host,
  dir: join(dir, host),
  caKeys: [caKey],
  logins: { [ownLogin]: [`${ownLogin}@${host}`] },
  settings: [`RevokedKeys "${krlPath}"`],
})
afterAll(async () => {
  await Promise.all([sshd.stop(), service.close()])
  rmSync(dir, { recursive: true })
})

const people = {
  maya: { groups: ['platform'], sub: 'u-1001', preferred_username: 'maya' },
  zoe: { groups: ['platform'], sub: 'u-1002', preferred_username: 'zoe' },
  kim: { groups: [], sub: 'u-1003', preferred_username: 'kim' },
} as const
type Person = keyof typeof people

const send = async (who: Person, method: string, path: string, body: unknown, on = service) =>
  on.request(path, {
    method,
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await on.issuer.mint(people[who])}`,
    },
    body: JSON.stringify(body),
  })
const ask = (who: Person, more: object = {}) =>
  send(who, 'POST', '/v1/certificates', { publicKey, host, login: ownLogin, ...more })
const buy = async (who: Person) => {
  const response = await ask(who)
  expect(response.status).toBe(201)
  const { certificate, serial } = (await response.json()) as Record<string, string>
  const path = join(dir, `${serial}-cert.pub`)
  writeFileSync(path, `${certificate}\n`)
  return { serial: serial as string, logIn: () => logIn({ sshd, key, certificate: path }) }
}
const revoke = (who: Person, body: object) =>
  send(who, 'POST', '/v1/revocations', { reason: 'a laptop was stolen', ...body })
const read = async (response: Promise<Response>) => {
  const answer = await response
  expect(answer.status).toBe(200)
  return (await answer.json()) as Record<string, unknown>
}
const revoked = /is revoked|revoked by file/

describe('a revoked certificate', () => {
  test('opens its host, and after the next poll no more, while others go on', async () => {
    const [mine, other] = [await buy('maya'), await buy('zoe')]
    expect(await mine.logIn()).toMatchObject({ code: 0 })
    // ATTACKS 217: hers to revoke, and nobody else's.
    expect(await readProblem(await revoke('zoe', { serial: mine.serial }))).toEqual({
      status: 403,
      code: 'role_required',
      detail:
        'This needs the role admin: ask an administrator to name you under roles in the policy.',
    })
    expect(await mine.logIn()).toMatchObject({ code: 0 })
    expect(await read(revoke('maya', { serial: mine.serial }))).toMatchObject({
      revocation: { by: 'maya', target: { kind: 'serial', serial: mine.serial } },
      repeated: false,
      certificates: 1,
      people: 1,
    })
    await poll()
    await expectRefused(sshd, mine.logIn, revoked)
    expect(await other.logIn()).toMatchObject({ code: 0 })
  })

  test('is one of all that a person holds, who gets no other until that is lifted', async () => {
    const [first, second, other] = [await buy('maya'), await buy('maya'), await buy('zoe')]
    const subject = { issuer: service.issuer.issuer, subject: 'u-1001' }
    expect(await read(revoke('kim', { subject, dryRun: true }))).toEqual({
      repeated: false,
      certificates: 2,
      people: 1,
    })
    expect(await first.logIn()).toMatchObject({ code: 0 })
    expect(await read(revoke('kim', { subject }))).toMatchObject({ certificates: 2, people: 1 })
    await poll()
    for (const { logIn: attempt } of [first, second]) await expectRefused(sshd, attempt, revoked)
    expect(await other.logIn()).toMatchObject({ code: 0 })
    expect(await readProblem(await ask('maya'))).toEqual({
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
    await read(send('kim', 'DELETE', '/v1/revocations', { subject, reason: 'found' }))
    await poll()
    await expectRefused(sshd, first.logIn, revoked)
    expect(await (await buy('maya')).logIn()).toMatchObject({ code: 0 })
  })

  test('is shown as such, and listed with who and why', async () => {
    const one = await buy('zoe')
    await read(revoke('zoe', { serial: one.serial }))
    const list = async (path: string) =>
      (await (
        await service.request(path, {
          headers: { authorization: `Bearer ${await service.issuer.mint(people.kim)}` },
        })
      ).json()) as { certificates: object[]; revocations: object[]; next?: string }
    expect((await list(`/v1/certificates?serial=${one.serial}`)).certificates).toMatchObject([
      { status: 'revoked', revoked: { by: 'zoe', reason: 'a laptop was stolen' } },
    ])
    const { revocations, next } = await list('/v1/revocations?limit=1')
    expect(revocations).toMatchObject([{ by: 'zoe', target: { serial: one.serial } }])
    expect((await list(`/v1/revocations?cursor=${next}`)).revocations).toMatchObject([
      { by: 'kim', target: { kind: 'subject', subject: 'u-1001' }, refusesNew: false },
      { by: 'maya' },
    ])
  })
})

test('of forty asks that meet the revocation of their person, each that is met is revoked', async () => {
  const subject = { issuer: service.issuer.issuer, subject: 'u-1001' }
  const asks = Array.from({ length: 20 }, () => ask('maya'))
  const order = revoke('kim', { subject })
  const answers = await Promise.all([...asks, ...Array.from({ length: 20 }, () => ask('maya'))])
  await read(order)
  const issued = answers.filter(({ status }) => status === 201)
  for (const { status } of answers) expect([201, 403]).toContain(status)
  const krl = decodeKrl(new Uint8Array(await (await service.request('/v1/krl')).arrayBuffer()))
  for (const response of issued) {
    const { certificate } = (await response.json()) as { certificate: string }
    expect(isRevoked(krl, parseCertificate(certificate))).toBe(true)
  }
  await read(send('kim', 'DELETE', '/v1/revocations', { subject, reason: 'found' }))
})

// Last: the host's one key is gone after it.
test('a revoked key gets no certificate for anybody, and opens the host with none it has', async () => {
  const certificate = await buy('zoe')
  expect(await certificate.logIn()).toMatchObject({ code: 0 })
  await read(revoke('kim', { key: publicKey }))
  await poll()
  await expectRefused(sshd, certificate.logIn, revoked)
  for (const who of ['maya', 'zoe'] as const) {
    expect(await readProblem(await ask(who))).toMatchObject({ status: 403, code: 'key_revoked' })
  }
  expect((await ask('maya', { publicKey: createPublicKeyLine() })).status).toBe(201)
})

describe('GET /v1/krl', () => {
  let other: TestApp
  test('needs no token, has a tag, and is 304 for who has it until something is revoked', async () => {
    other = await startTestApp()
    const get = (etag?: string) =>
      other.request('/v1/krl', etag === undefined ? {} : { headers: { 'if-none-match': etag } })
    const first = await get()
    expect(first.headers.get('content-type')).toBe('application/octet-stream')
    const etag = first.headers.get('etag') as string
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
    const again = await get(etag)
    expect([again.status, await again.text()]).toEqual([304, ''])
    const issued = (await (await other.ask('maya')).json()) as { serial: string }
    const body = { serial: issued.serial, reason: 'x' }
    const answer = await other.request('/v1/revocations', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await other.token('maya')}`,
      },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(200)
    const changed = await get(etag)
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).not.toBe(etag)
    await other.close()
  })
})

describe('an order that is none', () => {
  const one =
    'Name exactly one of serial, key, subject, rule and host, or a time by after, before or both.'
  test.each<[string, object, string, string]>([
    ['nothing', {}, 'invalid_request', one],
    ['two things', { serial: '1', host }, 'invalid_request', one],
    [
      'no reason',
      { reason: undefined, serial: '1' },
      'invalid_request',
      'The member "reason" is missing: send it as a string.',
    ],
    // ATTACKS 213
    [
      'serial 0',
      { serial: '0' },
      'invalid_request',
      'The serial is not one: send it as a decimal string.',
    ],
    [
      'a serial in hex',
      { serial: '0x10' },
      'invalid_request',
      'The serial is not one: send it as a decimal string.',
    ],
    [
      'a serial as a number',
      { serial: 7 },
      'invalid_request',
      'The serial is not one: send it as a decimal string.',
    ],
    [
      'half a person',
      { subject: { subject: 'u-1' } },
      'invalid_request',
      'The subject is no person: send {"issuer": …, "subject": …}, both as text.',
    ],
    [
      'a host with a dot',
      { host: 'web-1.' },
      'invalid_host',
      'The host is not a host name: send it as certificates name it, in lower case.',
    ],
    [
      'a day',
      { after: '2026-11-22' },
      'invalid_request',
      'The member "after" is no time: send it as 2026-11-22T10:00:00Z.',
    ],
    [
      'no key',
      { key: 'SHA256:short' },
      'invalid_public_key',
      'The public key must be one line, "TYPE BASE64", as ssh-keygen writes it to a .pub file.',
    ],
    // ATTACKS 218
    [
      'a serial nobody has',
      { serial: '12345' },
      'not_found',
      'No certificate of this serial was issued: postern cert list shows which ones were.',
    ],
  ])('is refused: %s', async (_what, body, code, detail) => {
    expect(await readProblem(await revoke('kim', body))).toMatchObject({ code, detail })
  })
})

// ATTACKS 175
test('what an order names is what is literally so: no wildcard, no pattern, no piece of SQL', async () => {
  await ask('zoe', { publicKey: createPublicKeyLine() })
  const count = async (body: object) => {
    const answer = await revoke('kim', { ...body, dryRun: true })
    const { certificates, code } = (await answer.json()) as Record<string, unknown>
    return certificates ?? code
  }
  expect(await count({ rule: 'shop' })).toBeGreaterThan(0)
  const { issuer } = service.issuer
  for (const body of [
    { rule: "shop' OR '1'='1" },
    { rule: 'sho_' },
    { rule: 'shop%' },
    { rule: '*' },
    { rule: 'shop"; DROP TABLE entries; --' },
    { host: 'web-0.example.com' },
  ]) {
    expect(await count(body), JSON.stringify(body)).toBe('not_found')
  }
  for (const subject of [
    { issuer, subject: 'u-100%' },
    { issuer, subject: 'u-100_' },
    { issuer: '%', subject: 'u-1002' },
  ]) {
    expect(await count({ subject }), JSON.stringify(subject)).toBe(0)
  }
  for (const rule of ['shop\0', 'shop\n', 'x'.repeat(513)]) {
    expect(await count({ rule })).toBe('invalid_request')
  }
})
