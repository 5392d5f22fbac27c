import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import type { SignatureAlgorithm } from '../../src/ssh/algorithms.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { formatSshsig } from '../../src/ssh/sshsig.ts'
import { publicUrl, readProblem, startTestApp, type TestApp } from '../app.ts'

let now = new Date('2026-11-22T10:00:00Z')
const clock = () => now
const passMinutes = (minutes: number) => {
  now = new Date(now.getTime() + minutes * 60_000)
}

interface HostKey {
  readonly line: string
  sign(text: string, namespace?: string): string
}

const createHostKey = (
  algorithm: SignatureAlgorithm,
  pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): HostKey => {
  const publicKey = encodePublicKey(pair.publicKey) as Uint8Array
  const type = algorithm.startsWith('rsa') ? 'ssh-rsa' : algorithm
  const hash = { 'ecdsa-sha2-nistp256': 'sha256', 'rsa-sha2-512': 'sha512' }[algorithm as string]
  return {
    line: `${type} ${encodeBase64(publicKey)}`,
    sign: (text, namespace = 'postern-host@v1') =>
      text +
      formatSshsig({
        publicKey,
        namespace,
        message: encodeUtf8(text),
        sign: (data) =>
          encodeSignature(
            algorithm,
            sign(hash, data, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }),
          ),
      }),
  }
}

const ed25519 = createHostKey('ssh-ed25519', generateKeyPairSync('ed25519'))
const ecdsa = createHostKey(
  'ecdsa-sha2-nistp256',
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
)
const rsa = createHostKey('rsa-sha2-512', generateKeyPairSync('rsa', { modulusLength: 3072 }))
const stranger = createHostKey('ssh-ed25519', generateKeyPairSync('ed25519'))

const web = 'web-1.example.com'
const policies = (issuer: string) => ({
  'a.yaml': `hosts:
  - name: ${web}
    aliases: [web-1, shop.example.com]
    address: 10.2.0.17
    port: 2222
    logins: [deploy]
    hostKeys: ["${ed25519.line}", "${ecdsa.line}", "${rsa.line}"]
  - { name: db-1.example.com, logins: [postgres], hostKeys: ["${ed25519.line}"] }
  - { name: old.example.com }
roles:
  auditor: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com", old.example.com]
    logins: [deploy]
    ttl: 5m
`,
})

let service: TestApp
beforeEach(async () => {
  now = new Date('2026-11-22T10:00:00Z')
  service = await startTestApp({
    policies,
    config: { metrics: { listen: { kind: 'tcp', host: '127.0.0.1', port: 0 } } },
    overrides: { clock, monotonic: () => now.getTime() },
  })
})
afterEach(() => service.close())

const formatReport = (changes: { name?: string; version?: string; time?: string } = {}): string => {
  const { name = web, version = '1', time = now.toISOString().replace(/\.\d+/, '') } = changes
  return `postern-report v1\nhost ${name}\nversion ${version}\ntime ${time}\nend\n`
}
const report = (text: string, name = web, type = 'text/plain') =>
  service.request(`/v1/hosts/${name}/report`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: text,
  })
const read = async (path: string, user = 'maya') => {
  const answer = await service.request(path, {
    headers: { authorization: `Bearer ${await service.token(user)}` },
  })
  return (await answer.json()) as Record<string, unknown>
}

describe('a report', () => {
  test.each([
    ['ed25519', ed25519],
    ['ECDSA', ecdsa],
    ['RSA', rsa],
  ])('signed by the %s key of the host says what it has', async (_what, key) => {
    const answer = await report(key.sign(formatReport({ version: '7' })))
    expect(answer.status).toBe(204)
    expect(await read(`/v1/hosts/${web}`)).toMatchObject({
      trustVersion: 7,
      lastSeen: '2026-11-22T10:00:00Z',
      standing: 'current',
    })
  })

  const refused = {
    status: 403,
    code: 'report_refused',
    detail:
      'The report is not accepted: it must be signed by a host key of this host, and be of this moment.',
  }
  test.each([
    ['by another key', () => stranger.sign(formatReport())],
    ['for another purpose', () => ed25519.sign(formatReport(), 'postern-trust@v1')],
    [
      'of another host with the same key',
      () => ed25519.sign(formatReport({ name: 'db-1.example.com' })),
    ],
    ['that was changed', () => ed25519.sign(formatReport()).replace('version 1', 'version 9')],
    ['with something before it', () => `\n${ed25519.sign(formatReport())}`],
    ['without a signature', () => formatReport()],
    ['of eleven minutes ago', () => ed25519.sign(formatReport({ time: '2026-11-22T09:49:00Z' }))],
    ['of eleven minutes ahead', () => ed25519.sign(formatReport({ time: '2026-11-22T10:11:00Z' }))],
    ['of no time', () => ed25519.sign(formatReport({ time: '2026-99-99T99:99:99Z' }))],
    ['that is empty', () => ''],
  ])('%s is refused (ATTACKS 225, 234)', async (_what, make) => {
    expect(await readProblem(await report(make()))).toEqual(refused)
    expect(await read(`/v1/hosts/${web}`)).toMatchObject({ standing: 'never seen' })
  })

  test('that is older than the one before is refused', async () => {
    const old = ed25519.sign(formatReport({ version: '6' }))
    passMinutes(1)
    expect((await report(ed25519.sign(formatReport({ version: '7' })))).status).toBe(204)
    expect(await readProblem(await report(old))).toEqual(refused)
    expect(await read(`/v1/hosts/${web}`)).toMatchObject({ trustVersion: 7 })
  })

  test('is of a host by its name, as text', async () => {
    expect((await report(ed25519.sign(formatReport()), 'web-1')).status).toBe(404)
    expect((await report(ed25519.sign(formatReport()), 'web-9.example.com')).status).toBe(404)
    expect(await readProblem(await report('{}', web, 'application/json'))).toEqual({
      status: 415,
      code: 'unsupported_media_type',
      detail:
        'Send the body as text in UTF-8, uncompressed, with the header Content-Type: text/plain.',
    })
  })
})

describe('the list (ATTACKS 223)', () => {
  test('says of each host what it has, and in a sentence how many have the newest', async () => {
    const { version } = await wantedVersion()
    expect((await report(ed25519.sign(formatReport({ version })))).status).toBe(204)
    const db = formatReport({ name: 'db-1.example.com', version: '0' })
    expect((await report(ed25519.sign(db), 'db-1.example.com')).status).toBe(204)
    passMinutes(14)
    const list = await read('/v1/hosts')
    expect(list['summary']).toBe(
      '1 of 2 hosts have the newest trust bundle; db-1.example.com last seen 14 min ago; 1 that the policy lists has never reported.',
    )
    expect(list['hosts']).toMatchObject([
      { name: 'db-1.example.com', standing: 'behind', trustVersion: 0 },
      { name: 'old.example.com', standing: 'never seen' },
      { name: web, standing: 'current', source: 'policy', labels: {} },
    ])
    const { metricsUrl } = await service.app.listen()
    const readStandings = async () => {
      const text = await (await fetch(`${metricsUrl}/metrics`)).text()
      return text.split('\n').filter((line) => line.startsWith('postern_hosts'))
    }
    expect(await readStandings()).toEqual([
      'postern_hosts{standing="current"} 1',
      'postern_hosts{standing="behind"} 1',
      'postern_hosts{standing="silent"} 0',
      'postern_hosts{standing="never seen"} 1',
    ])
    passMinutes(2)
    expect((await readStandings()).slice(2, 3)).toEqual(['postern_hosts{standing="silent"} 2'])
    expect((await read('/v1/hosts'))['hosts']).toMatchObject([
      { standing: 'silent' },
      { standing: 'never seen' },
      { standing: 'silent' },
    ])
  })

  test('is no figure while the clock is in doubt, and every other figure is told', async () => {
    let at = now
    const doubted = await startTestApp({
      config: { metrics: { listen: { kind: 'tcp', host: '127.0.0.1', port: 0 } } },
      overrides: { clock: () => at, monotonic: () => 0 },
    })
    try {
      const { metricsUrl } = await doubted.app.listen()
      at = new Date(at.getTime() + 3_600_000)
      const answer = await fetch(`${metricsUrl}/metrics`)
      const text = await answer.text()
      expect(answer.status).toBe(200)
      expect(text).toContain('postern_http_requests_total')
      expect(text).not.toContain('postern_hosts{')
    } finally {
      await doubted.close()
    }
  })

  const wantedVersion = async () => {
    const { wantedVersion } = await read(`/v1/hosts/${web}`)
    return { version: String(wantedVersion) }
  }

  test('is for auditors, and a host is found by its alias', async () => {
    expect(await read('/v1/hosts', 'sam')).toMatchObject({ code: 'role_required' })
    expect(await read(`/v1/hosts/${web}`, 'sam')).toMatchObject({ code: 'role_required' })
    expect(await read('/v1/hosts/shop.example.com')).toMatchObject({ name: web, port: 2222 })
    expect(await read('/v1/hosts/web-2')).toMatchObject({
      code: 'not_found',
      detail: 'No host of this name is known.',
    })
  })
})

describe('host keys', () => {
  test('come with the certificate, as whole known_hosts lines for name, aliases and address', async () => {
    const answer = await service.ask('maya', { host: 'web-1' })
    expect(answer.status).toBe(201)
    const issued = (await answer.json()) as Record<string, unknown>
    const names = `[${web}]:2222,[web-1]:2222,[shop.example.com]:2222,[10.2.0.17]:2222`
    expect(issued).toMatchObject({
      principals: [`deploy@${web}`],
      host: {
        name: web,
        address: '10.2.0.17',
        port: 2222,
        knownHosts: [ed25519, ecdsa, rsa].map(({ line }) => `${names} ${line}`),
      },
    })
    expect((await service.rows()).at(-1)?.entry).toMatchObject({ ask: { host: web } })
  })

  test('are absent for a host that is on the list without any, as for one on none', async () => {
    const listed = (await (await service.ask('maya', { host: 'old.example.com' })).json()) as object
    expect(listed).toMatchObject({ host: { name: 'old.example.com', port: 22 } })
    const other = (await (await service.ask('maya', { host: 'web-7.example.com' })).json()) as {
      readonly host: object
    }
    expect(other.host).toEqual({ name: 'web-7.example.com' })
  })

  test('of all hosts are a known_hosts file, for whoever has a token', async () => {
    const headers = { authorization: `Bearer ${await service.token('sam')}` }
    const answer = await service.request('/v1/hosts/known_hosts', { headers })
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const lines = (await answer.text()).split('\n')
    expect(lines).toHaveLength(5)
    expect(lines[0]).toBe(`db-1.example.com ${ed25519.line}`)
  })
})

test('the scripts are served with our own URL in them, and signed', async () => {
  const enrol = await (await service.request('/enrol')).text()
  expect(enrol).toMatch(/^url=.*https:\/\/postern\.example\.com\}$/m)
  expect(enrol).not.toContain('@publicUrl@')
  const host = await (await service.request('/enrol/postern-host')).text()
  expect(host).toBe(
    readFileSync(new URL('../../src/hosts/scripts/postern-host.sh', import.meta.url), 'utf8'),
  )
  const signature = await (await service.request('/enrol/postern-host.sig')).text()
  expect(signature).toMatch(/^-----BEGIN SSH SIGNATURE-----\n/)
})

describe('a new CA key', () => {
  const order = async (step: string) => {
    const answer = await service.request(`/v1/ca/keys/${step}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await service.token()}`,
      },
      body: '{}',
    })
    return { status: answer.status, ...((await answer.json()) as { code?: string }) }
  }
  const readBundle = async () => {
    const text = await (
      await service.app.fetch(new Request(`${publicUrl}/v1/hosts/${web}/trust`))
    ).text()
    return { version: /^version (\d+)$/m.exec(text)?.[1] ?? '', keys: text.match(/^ca .*$/gm) }
  }
  /** As the script on the host does after it has put a bundle in place. */
  const apply = async () => {
    now = new Date(now.getTime() + 60_000)
    const { version } = await readBundle()
    expect((await report(ed25519.sign(formatReport({ version })))).status).toBe(204)
  }

  test('is activated once the hosts that report have the bundle that names it', async () => {
    await apply()
    expect(await order('next')).toMatchObject({ status: 201, state: 'next' })
    expect((await readBundle()).keys).toHaveLength(2)
    expect(await order('activate')).toMatchObject({
      status: 409,
      code: 'hosts_behind',
      detail: expect.stringContaining(`\n${web} does not trust it yet (seen 2026-11-22T10:01:00Z)`),
    })
    await apply()
    expect(await order('activate')).toMatchObject({ status: 200, state: 'active', breaks: [] })
    expect(await order('remove')).toMatchObject({ status: 409, code: 'ca_key_conflict' })
    expect(await order('retire')).toMatchObject({ status: 200 })
    expect(await order('remove')).toMatchObject({ status: 200, state: 'removed' })
    expect((await readBundle()).keys).toHaveLength(1)
  })
})
