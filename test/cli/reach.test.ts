import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { formatTime } from '../../src/lib/clock.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, startEntry } from '../fakes/entries.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()
const issuer = 'https://idp.example.com'
const policy = `rules:
  - name: deploy-job
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
  - name: ops
    who: [{ oidc: { issuer: "${issuer}", groups: [ops] } }]
    hosts: ["db-*.example.com"]
    logins: [root]
    require: { reason: { minLength: 10 } }
    ttl: 5m
hosts: [{ name: db-1.example.com, aliases: [db-1] }]
`

describe('the blast radius', () => {
  let cwd = ''
  const now = formatTime(new Date())
  const until = formatTime(new Date(Date.now() + 3_600_000))
  beforeAll(async () => {
    cwd = createDirectory()
    await runCli(['init'], { cwd })
    writeFiles(cwd, { 'policies/first.yaml': policy })
    const log = await createLog({ store: await openStore(join(cwd, 'data/postern.db')) })
    await log.append(startEntry)
    const { identity, ...first } = allowEntry(2)
    // Long over, whatever day it is.
    const over = { validAfter: '2020-01-01T09:59:00Z', validBefore: '2020-01-01T10:05:00Z' }
    const certificate = { ...first.certificate, ...over }
    const ended = (n: number) => ({ ...allowEntry(n).certificate, ...over })
    const twin = { ...identity, issuer: 'https://other.example.com' }
    await log.append(allowEntry(2, { certificate }))
    await log.append(
      allowEntry(3, {
        identity,
        time: now,
        certificate: { ...certificate, serial: '77', validAfter: now, validBefore: until },
      }),
    )
    await log.append(
      allowEntry(4, { identity: { ...twin, subject: 'u-4', name: 'sam' }, certificate: ended(4) }),
    )
    await log.append(
      allowEntry(5, {
        identity: { ...identity, subject: 'u-4', name: 'zoe' },
        certificate: ended(5),
      }),
    )
    await log.close()
  })

  test('who-can says who, by which rule, and what it asks for', async () => {
    expect(await runCli(['who-can', 'root@db-1.example.com'], { cwd })).toEqual({
      code: 0,
      stdout: `group ops of ${issuer}: rule ops (first.yaml:7); asks for a reason with at least 10 characters\n`,
      stderr: '',
    })
    const [byName, byAlias] = await Promise.all(
      ['db-1.example.com', 'db-1'].map((host) => runCli(['who-can', `root@${host}`], { cwd })),
    )
    expect(byAlias).toEqual(byName)
    expect(await runCli(['who-can', 'root@web-1.example.com', 'policies'], { cwd })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'note: nobody may be root on web-1.example.com\n',
    })
    const { stdout } = await runCli(['who-can', 'root@db-1.example.com', '--json'], { cwd })
    expect(JSON.parse(stdout)).toMatchObject({
      login: 'root',
      host: 'db-1.example.com',
      isWhole: true,
      holders: [{ people: [`group ops of ${issuer}`], rule: { name: 'ops' } }],
    })
  })

  test.each(['root', 'root@', '@db-1', 'root@DB-1', '--', 'root@*'])(
    'who-can refuses %j',
    async (text) => {
      const { code, stderr } = await runCli(['who-can', '--', text], { cwd })
      expect(code).toBe(2)
      expect(stderr).toContain('error: Write the login and the host, in lower case.\n')
    },
  )

  test('reach says where somebody may log in, and what they hold until when', async () => {
    const { code, stdout, stderr } = await runCli(['reach', 'u-2'], { cwd })
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' '))).toEqual([
      `maya (u-2) of ${issuer}`,
      ' deploy on web-*.example.com: rule deploy-job (first.yaml:2)',
      `1 certificate alive, until ${until}:`,
      'serial login@host until',
      `77 deploy@web-3.example.com ${until}`,
      '',
    ])
    expect(stderr).toMatch(/^note: groups and memberships as entry 3 of .* has them\n$/)
    const { stdout: json } = await runCli(['reach', 'maya', '--json'], { cwd })
    expect(JSON.parse(json)).toMatchObject({
      issuer,
      subject: 'u-2',
      knownFrom: { entry: 3 },
      reached: [{ hosts: ['web-*.example.com'], logins: ['deploy'], rule: { name: 'deploy-job' } }],
      certificates: [{ serial: '77', status: 'active', validBefore: until }],
    })
  })

  test('reach tells people of two providers apart', async () => {
    const { code, stderr } = await runCli(['reach', 'u-4'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain(
      `error: Several people are called that: u-4 of ${issuer}, u-4 of https://other.example.com.\n`,
    )
    const { stdout } = await runCli(
      ['reach', 'u-4', '--issuer', 'https://other.example.com', '--json'],
      { cwd },
    )
    expect(JSON.parse(stdout)).toMatchObject({ name: 'sam', reached: [], certificates: [] })
  })

  test('reach knows nobody of whom the log has no ask', async () => {
    const { code, stderr } = await runCli(['reach', 'nobody'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('error: The log has no ask of this person.\n')
  })
})
