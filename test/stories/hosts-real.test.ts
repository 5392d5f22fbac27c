import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Host, startHost } from '../hosts/host.ts'
import { type Bought, startHostService } from '../hosts/service.ts'
import { ownLogin } from '../ssh/client.ts'
import { execute } from '../tools.ts'

/**
 * Three hosts, one service, nothing in between but the two scripts: each enrols with the line its
 * invitation shows, and from then on asks for itself. A certificate for one opens that one alone;
 * revoked, it opens nothing once the host has asked. A host that is taken off the list opens to no
 * certificate any more, and one that calls itself by an alias is known by its name.
 */
const dir = mkdtempSync(join(tmpdir(), 'postern-real-'))
const service = await startHostService(`hosts:
  - { name: web-4.example.com, aliases: [web-4] }
`)
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
    readonly hosts: readonly {
      readonly name: string
      readonly source: string
      readonly trustVersion?: number
    }[]
  }
  const enrolled = listed.filter(({ source }) => source === 'enrolled')
  expect(enrolled.map(({ name, trustVersion }) => [name, trustVersion])).toEqual(
    hosts.map((host) => [host.name, Number(host.read('version'))]),
  )

  const doctor = await web1.run(['doctor'])
  expect(doctor.stdout).toContain(
    `Nothing to do here: at the desk, 'postern doctor ${web1.name} --as PERSON --login LOGIN' says why somebody is refused.\n`,
  )
  expect(doctor.code).toBe(0)
}, 120_000)

test('a host that is taken off the list takes no certificate from its next poll, until it enrols again', async () => {
  const [, web2, web3] = hosts as [Host, Host, Host]
  const { certificate } = await buy(web2.name)
  expect(await web2.isOpenTo({ key, certificate })).toBe(true)
  const before = Number(web2.read('version'))

  await service.call('DELETE', `/v1/hosts/${web2.name}`)
  const off = `postern-host: ${web2.name} was taken off the list of ${service.url}, and takes no certificate: enrol it again, or 'postern-host remove'\n`
  expect(await web2.run(['apply'])).toEqual({
    code: 0,
    stdout: expect.stringContaining(off),
    stderr: '',
  })
  expect(Number(web2.read('version'))).toBeGreaterThan(before)
  expect([web2.read('user_ca.pub'), readdirSync(web2.path('principals'))]).toEqual(['', []])
  expect(await web2.isOpenTo({ key, certificate })).toBe(false)
  expect(await web2.isOpenToAdmin()).toBe(true)
  // There is nothing new, and it says nothing; what somebody puts back by hand does not stay.
  writeFileSync(web2.path(`principals/${ownLogin}`), `${ownLogin}@${web2.name}\n`)
  expect(await web2.run(['apply'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(readdirSync(web2.path('principals'))).toEqual([])
  const doctor = await web2.run(['doctor'])
  expect(doctor.code).toBe(1)
  expect(doctor.stdout).toContain('WRONG  no CA is trusted: this host was taken off the list\n')
  expect(doctor.stdout.trim().split('\n').at(-1)).toBe(
    `An admin of Postern runs 'postern host invite ${web2.name}'; then enrol again. Or as root here, 'postern-host remove'.`,
  )

  // Another host has heard nothing of all that.
  expect(await web3.run(['apply'])).toEqual({ code: 0, stdout: '', stderr: '' })
  const { token } = await service.invite(web2.name)
  expect(await web2.enrol({ token })).toMatchObject({ code: 0, stderr: '' })
  expect(await web2.isOpenTo({ key, certificate })).toBe(true)
}, 60_000)

test('a host that enrols by an alias is known by its name, there and here', async () => {
  const host = await startHost({ name: 'web-4', dir, service: await service.invite('web-4') })
  hosts.push(host)
  expect(await host.enrol()).toMatchObject({ code: 0, stderr: '' })
  expect(host.read('host')).toBe('web-4.example.com\n')
  const { certificate } = await buy('web-4')
  expect(await host.isOpenTo({ key, certificate })).toBe(true)
  expect(await host.run(['apply'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await service.call('GET', '/v1/hosts/web-4.example.com')).toMatchObject({
    source: 'enrolled',
    standing: 'current',
  })
}, 60_000)
