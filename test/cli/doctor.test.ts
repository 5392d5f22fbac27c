import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { diagnoseLogin, diagnoseTrust } from '../../src/cli/diagnosis.ts'
import { readBanner } from '../../src/cli/probe.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, startEntry } from '../fakes/entries.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()
const issuer = 'https://idp.example.com'
const other = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'B'.repeat(43)}`

let sshd: Sshd
let cwd = ''
beforeAll(async () => {
  sshd = await startSshd({ name: 'web-1', dir: createDirectory(), caKeys: [], logins: {} })
  cwd = createDirectory()
  await runCli(['init'], { cwd })
  const format = (name: string, port: number, key?: string) =>
    `  - { name: ${name}.example.com, aliases: [${name}], address: 127.0.0.1, port: ${port}${key === undefined ? '' : `, hostKeys: ["${key}"]`} }`
  writeFiles(cwd, {
    'policies/first.yaml': `hosts:
${format('web-1', sshd.port, sshd.hostKey.split(' ').slice(0, 2).join(' '))}
${format('web-2', sshd.port, other)}
${format('web-3', 1)}
${format('web-4', sshd.port)}
rules:
  - name: deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
  - name: root
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [root]
    require: { reason: { minLength: 5 } }
    ttl: 5m
`,
  })
  const log = await createLog({ store: await openStore(join(cwd, 'data/postern.db')) })
  await log.append(startEntry)
  await log.append(allowEntry(2))
  await log.close()
})
afterAll(() => sshd?.stop())

const diagnose = async (host: string, login: string, ...more: string[]) => {
  const argv = ['doctor', host, '--as', 'u-2', '--login', login, '--json', ...more]
  const { code, stdout } = await runCli(argv, { cwd })
  const { findings, conclusion } = JSON.parse(stdout) as {
    readonly findings: readonly { readonly name: string; readonly state: string }[]
    readonly conclusion: string
  }
  return { code, states: findings.map(({ name, state }) => `${name} ${state}`), conclusion }
}

describe('postern doctor', () => {
  test('says that nothing is in the way, and issues nothing', async () => {
    const argv = ['doctor', 'web-1', '--as', 'maya', '--login', 'deploy']
    const { code, stdout, stderr } = await runCli(argv, { cwd })
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines).toEqual([
      'ok   decision: allow by rule deploy (first.yaml:7)',
      '?    trust: no service could be asked which trust bundle the host has',
      expect.stringMatching(/^ok {3}network: 127\.0\.0\.1 port \d+: SSH-2\.0-OpenSSH_/),
      'ok   host key: ssh-ed25519 as pinned',
      'Nothing that can be seen from here stands in the way: maya can ask for a certificate as deploy now.',
      '',
    ])
    expect(stderr).toContain('note: No service answers on the admin socket.')
    const { stdout: all } = await runCli(['cert', 'list', '--json'], { cwd })
    expect(all.trim().split('\n')).toHaveLength(1)
  })

  test.each<[string, string, number, readonly string[], RegExp]>([
    [
      'web-1',
      'mysql',
      1,
      ['decision bad', 'trust unknown', 'network ok', 'host key ok'],
      /^An administrator of the policy can: /,
    ],
    [
      'web-1',
      'root',
      0,
      ['decision ok', 'trust unknown', 'network ok', 'host key ok'],
      /^maya can: Give a reason with at least 5 characters\.$/,
    ],
    [
      'web-2',
      'deploy',
      1,
      ['decision ok', 'trust unknown', 'network ok', 'host key bad'],
      /^Do not log in\. Root on web-2\.example\.com can tell whether it was set up anew; then an administrator enrols it again: /,
    ],
    [
      'web-3',
      'deploy',
      1,
      ['decision ok', 'trust unknown', 'network bad'],
      /^Whoever runs web-3\.example\.com or the network before it can: let 127\.0\.0\.1 port 1 be reached from here\.$/,
    ],
    [
      'web-4',
      'deploy',
      0,
      ['decision ok', 'trust unknown', 'network ok', 'host key unknown'],
      /^An administrator can pin its keys: `postern host invite web-4\.example\.com`\.$/,
    ],
  ])('says of %s as %s what to do, and who can', async (host, login, code, states, conclusion) => {
    expect(await diagnose(host, login)).toEqual({
      code,
      states,
      conclusion: expect.stringMatching(conclusion),
    })
  })

  test('takes a person as the tests of a policy write one, and a reason', async () => {
    const person = `{ oidc: { issuer: "${issuer}", subject: new, groups: [platform] } }`
    const { code } = await runCli(
      ['doctor', 'web-1', '--as', person, '--login', 'root', '--reason', 'a new release', '--json'],
      { cwd },
    )
    expect(code).toBe(0)
  })

  test.each([
    [['doctor', 'web-1', '--login', 'deploy']],
    [['doctor', 'WEB-1', '--as', 'u-2', '--login', 'deploy']],
    [['doctor', '--as', 'u-2', '--login', 'deploy', '--', '-oProxyCommand=x']],
  ])('refuses %j', async (argv) => {
    const { code, stderr } = await runCli(argv, { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain('error: Name the host, the person and the login.\n')
  })
})

describe('the trust bundle of a host', () => {
  const host = { name: 'web-1', hostKeys: [], wantedVersion: 42 }
  test.each([
    [{ trustVersion: 42, lastSeen: '2026-11-22T10:00:00Z' }, 'ok', undefined],
    [
      { trustVersion: 41, lastSeen: '2026-11-22T10:00:00Z' },
      'bad',
      /^Root on web-1 can: run `postern-host apply`/,
    ],
    [{}, 'unknown', /^Root on web-1 can: run `postern-host doctor`/],
  ] as const)('with %o is %s', (more, state, advice) => {
    const found = diagnoseTrust({ ...host, ...more })
    expect(found.state).toBe(state)
    if (advice === undefined) expect(found.do).toBeUndefined()
    else expect(found.do).toMatch(advice)
  })
})

describe('the logins of a host', () => {
  test.each([
    [{ trustVersion: 42, logins: ['deploy'] }, 'deploy', ['ok'], 'its bundle opens deploy'],
    [
      { trustVersion: 42, logins: ['deploy'] },
      'root',
      ['bad'],
      'its bundle opens deploy, and not root',
    ],
    [{ trustVersion: 42, logins: [] }, 'root', ['bad'], 'its bundle opens no login, and not root'],
    [{ trustVersion: 42 }, 'root', [], undefined],
    [{ logins: [] }, 'root', [], undefined],
  ])('with %j for %s are %j', (known, login, states, words) => {
    const found = diagnoseLogin({ name: 'web-1', hostKeys: [], ...known }, login)
    expect(found.map(({ state }) => state)).toEqual(states)
    expect(found[0]?.words).toBe(words)
    if (states[0] === 'bad') expect(found[0]?.do).toContain('`postern host invite web-1 --logins ')
  })
})

describe('a server that is no SSH server', () => {
  test.each([
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'what answers there is no SSH server'],
    ['x'.repeat(5000), 'what answers there is no SSH server'],
    ['\u001b[2JSSH-2.0-\u001b\r\n', 'what answers there is no SSH server'],
  ])('is told: %j', async (text, fault) => {
    const server = createServer((socket) => socket.end(text)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await readBanner({ address: '127.0.0.1', port })).toEqual({ fault })
    server.close()
  })
})
