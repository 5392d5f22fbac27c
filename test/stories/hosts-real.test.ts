import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Host, startHost } from '../hosts/host.ts'
import { type Bought, startHostService } from '../hosts/service.ts'
import { execute } from '../tools.ts'

/**
 * Three hosts, one service, nothing in between but the two scripts: each enrols with the line its
 * invitation shows, and from then on asks for itself. A certificate for one opens that one alone;
 * revoked, it opens nothing once the host has asked; a host that is taken off the list stays as it is.
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-real-'))
const service = await startHostService()
const hosts: Host[] = []
afterAll(async () => {
  await Promise.all(hosts.map(({ sshd }) => sshd.stop()))
  await service.close()
  rmSync(dir, { recursive: true })
})

const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const buy = (host: string) => service.buy(key, host)

test('three hosts enrol, are scoped by their principals, and hear of a revocation', async () => {
  const names = ['web-1.example.com', 'web-2.example.com', 'web-3.example.com']
  for (const name of names) {
    hosts.push(await startHost({ name, dir, service: await service.invite(name) }))
  }
  const ends = await Promise.all(hosts.map((host) => host.enrol()))
  expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual(names.map(() => [0, '']))

  // The proof of each is one entry, by the built-in rule, and opens nothing but "true" from loopback.
  const proofs = (await service.app.rows()).flatMap(({ entry }) =>
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

  const [{ certificate, serial }] = bought as [Bought]
  await service.call('POST', '/v1/revocations', { serial, reason: 'the laptop is lost' })
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
  const { hosts: listed } = (await service.call('GET', '/v1/hosts')) as {
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
