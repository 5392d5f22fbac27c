import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startTestApp } from '../app.ts'
import { type Host, startHost } from '../hosts/host.ts'
import { ownLogin } from '../ssh/client.ts'
import { execute } from '../tools.ts'

/**
 * Three hosts, one service, nothing in between but the two scripts: each enrols with the line its
 * invitation shows, and from then on asks for itself. A certificate for one opens that one alone;
 * revoked, it opens nothing once the host has asked; a host that is taken off the list stays as it is.
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-real-'))
const port = await new Promise<number>((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0))
  })
})
const url = `http://127.0.0.1:${port}`
const service = await startTestApp({
  policies: (issuer) => ({
    'a.yaml': `roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    ttl: 5m
`,
  }),
  config: { publicUrl: url, listen: { kind: 'tcp', host: '127.0.0.1', port } },
})
await service.app.listen()
const hosts: Host[] = []
afterAll(async () => {
  await Promise.all(hosts.map(({ sshd }) => sshd.stop()))
  await service.close()
  rmSync(dir, { recursive: true })
})

const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await service.token('maya')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
const buy = async (host: string) => {
  const ask = { publicKey, host, login: ownLogin }
  const issued = (await call('POST', '/v1/certificates', ask)) as Record<string, string>
  const path = join(dir, `${issued['serial']}-cert.pub`)
  writeFileSync(path, `${issued['certificate']}\n`)
  return { certificate: path, serial: issued['serial'] as string }
}
const invite = async (name: string) =>
  (await call('POST', '/v1/hosts/invitations', { name, logins: [ownLogin] })) as {
    readonly token: string
  }

test('three hosts enrol, are scoped by their principals, and hear of a revocation', async () => {
  const names = ['web-1.example.com', 'web-2.example.com', 'web-3.example.com']
  for (const name of names) {
    const { token } = await invite(name)
    hosts.push(await startHost({ name, dir, service: { url, token } }))
  }
  const ends = await Promise.all(hosts.map((host) => host.enrol()))
  expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual(names.map(() => [0, '']))

  // The proof of each is one entry, by the built-in rule, and opens nothing but "true" from loopback.
  const proofs = (await service.rows()).flatMap(({ entry }) =>
    entry.type === 'allow' && entry.rule.name === 'enrolment-proof' ? [entry] : [],
  )
  expect(proofs.map(({ ask }) => ask.host).sort()).toEqual(names)
  expect(proofs[0]?.certificate.criticalOptions).toEqual({
    'force-command': 'true',
    'source-address': '127.0.0.1/32,::1/128',
  })

  const bought = await Promise.all(names.map(buy))
  const open = await Promise.all(
    hosts.map((host) =>
      Promise.all(bought.map(({ certificate }) => host.isOpenTo({ key, certificate }))),
    ),
  )
  expect(open).toEqual([
    [true, false, false],
    [false, true, false],
    [false, false, true],
  ])

  const [{ certificate, serial }] = bought as [Awaited<ReturnType<typeof buy>>]
  await call('POST', '/v1/revocations', { serial, reason: 'the laptop is lost' })
  const runs = await Promise.all(hosts.map((host) => host.run(['apply'])))
  expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual(names.map(() => [0, '']))
  const [web1] = hosts as [Host]
  expect(await web1.isOpenTo({ key, certificate })).toBe(false)
  expect(
    await web1.isOpenTo({ key, certificate: (await buy(names[0] as string)).certificate }),
  ).toBe(true)
  expect(await web1.isOpenToAdmin()).toBe(true)
  await web1.sshd.waitForLog(/revoked by file/)

  // Each said which version it holds to.
  const { hosts: listed } = (await call('GET', '/v1/hosts')) as {
    readonly hosts: readonly { readonly name: string; readonly trustVersion?: number }[]
  }
  expect(listed.map(({ name, trustVersion }) => [name, trustVersion])).toEqual(
    hosts.map((host) => [host.name, Number(host.read('version'))]),
  )

  const doctor = await web1.run(['doctor'])
  expect(doctor.stdout).toContain(
    `Nothing to do here: at the desk, 'postern doctor ${web1.name}' says why somebody is refused.\n`,
  )
  expect(doctor.code).toBe(0)
}, 120_000)
