import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { type Agent, openAgent } from '../../src/desk/agent.ts'
import { formatSshConfig } from '../../src/desk/ssh-config.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { systemFetch } from '../../src/lib/fetch.ts'
import { decodePublicKey, formatPublicKey } from '../../src/ssh/keys.ts'
import { ownLogin } from '../ssh/client.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { createHome, hostName, logInAs, main, run, startService } from './desk.ts'

// A desk and the service's own list of hosts: names, aliases, a rule with principals of its own, and a
// host whose keys nobody has pinned.

const home = createHome()
const signer = createMemorySigner()
const fleet = 'fleet-1.example.com'
const unpinned = 'db-1.example.com'
let sshd: Sshd
let service: Awaited<ReturnType<typeof startService>>
let agent: Agent | undefined
let config: string

beforeAll(async () => {
  sshd = await startSshd({
    name: hostName,
    dir: join(home.dir, 'host'),
    caKeys: [formatPublicKey(decodePublicKey(signer.publicKey))],
    logins: { [ownLogin]: [`${ownLogin}@${hostName}`, 'fleet-admins'] },
  })
  const { port, hostKey } = sshd
  service = await startService({
    overrides: { signer },
    formatPolicy: (issuer) => `hosts:
  - { name: ${hostName}, aliases: [web-1], address: 127.0.0.1, port: ${port}, hostKeys: ["${hostKey}"] }
  - { name: ${fleet}, aliases: [fleet-1], address: 127.0.0.1, port: ${port}, hostKeys: ["${hostKey}"] }
  - { name: ${unpinned}, aliases: [db-1], address: 127.0.0.1, port: ${port} }
rules:
  - name: fleet
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [${fleet}]
    logins: ["${ownLogin}"]
    principals: [fleet-admins]
    fleetWide: true
    ttl: 5m
  - name: platform
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["*.example.com"]
    logins: ["${ownLogin}"]
    when: { between: "00:00-23:59", zone: UTC }
    ttl: 5m
`,
  })
  await logInAs(home, service.service, service.url)
  const { places } = home
  const monotonic = () => performance.now()
  agent = await openAgent({ places, clock: systemClock, monotonic, fetch: systemFetch })
  // Where a host is reached is for the person to say; its keys are the list's, and no others.
  config = join(home.dir, '.ssh/config')
  const argv = [process.execPath, main]
  writeFileSync(
    config,
    `${formatSshConfig({ places, argv, hosts: [] })}Host *
    HostName 127.0.0.1
    Port ${sshd.port}
    UserKnownHostsFile none
    StrictHostKeyChecking yes
    BatchMode yes
`,
  )
})
afterAll(async () => {
  agent?.stop()
  await home.close()
  await service?.service.close()
  await sshd?.stop()
})

describe('a host of the service’s list', () => {
  test.each([
    ['an alias', 'web-1'],
    ['an alias whose rule has principals of its own', 'fleet-1'],
  ])('is logged in to with plain ssh by %s', async (_what, name) => {
    const outcome = await run(home, 'ssh', ['-F', config, '-l', ownLogin, name, 'id -un'])
    expect(outcome).toEqual({ code: 0, stdout: `${ownLogin}\n`, stderr: '' })
  })

  test('is logged in to by `postern ssh` with an alias, where the service says it is', async () => {
    const outcome = await home.here(['ssh', `${ownLogin}@fleet-1`, '--', 'true'])
    expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('is left to ssh where nobody has pinned its keys, unless it is said to be ours', async () => {
    expect(await home.quick(['ready', '--', unpinned, ownLogin])).toEqual({
      code: 1,
      stdout: '',
      stderr: '',
    })
    expect(await home.quick(['ready', '--ours', '--', unpinned, ownLogin])).toMatchObject({
      code: 0,
    })
  })

  test('is asked for by its name where no key shows whose an alias is', async () => {
    expect(await home.quick(['ready', '--ours', '--', 'db-1', ownLogin])).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: The certificate does not say what was asked: it is for the host ${unpinned}.
hint: if that is the host you mean, ask for it by this name; nothing was sent to it
`,
    })
  })
})

test('postern whoami says who, until when, and what the rules let one reach', async () => {
  const { stdout, stderr, code } = await home.here(['whoami'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g
  expect(
    stdout.replaceAll(time, 'TIME').replaceAll(ownLogin, 'LOGIN').replace(/ {2,}/g, '  '),
  ).toBe(
    `name  maya
issuer  ${service.service.issuer.issuer}
subject  u-1001
groups  platform
service  ${service.url}
until  you log out
kept  on disk
hosts  fleet-1, ${fleet}, web-1, ${hostName}
may log in as  on  by the rule  if
LOGIN  ${fleet}  fleet
LOGIN  *.example.com  platform  between 00:00 and 23:59 (UTC)
login@host  rule  certificate until
LOGIN@web-1  platform  TIME
LOGIN@fleet-1  fleet  TIME
LOGIN@${unpinned}  platform  TIME
`,
  )
  const told = await home.here(['whoami', '--json'])
  expect(JSON.parse(told.stdout)).toMatchObject({
    rules: [{ rule: 'fleet', logins: [ownLogin], hosts: [fleet], needs: [] }, { rule: 'platform' }],
  })
})

test('twenty ssh at once are one ask, and nobody is asked for anything', async () => {
  const count = async () =>
    (await service.service.rows()).filter(({ entry }) => entry.type === 'allow').length
  const before = await count()
  const ready = ['ready', '--ours', '--', 'web-9.example.com', ownLogin]
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => home.postern(ready)))
  expect(outcomes).toEqual(outcomes.map(() => ({ code: 0, stdout: '', stderr: '' })))
  expect(await count()).toBe(before + 1)
})
