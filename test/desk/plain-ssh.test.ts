import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatSshConfig } from '../../src/desk/ssh-config.ts'
import { ownLogin } from '../ssh/client.ts'
import type { Sshd } from '../ssh/sshd.ts'
import {
  breakGlass,
  createHome,
  hostName,
  logInAs,
  main,
  run,
  startHost,
  startService,
  writeSshConfig,
} from './desk.ts'

const home = createHome()
let service: Awaited<ReturnType<typeof startService>>
let sshd: Sshd
let config: string

beforeAll(async () => {
  service = await startService()
  sshd = await startHost(join(home.dir, 'host'), service.ca)
  await logInAs(home, service.service, service.url)
  config = writeSshConfig(home, sshd)
  const { code } = await home.postern(['ssh-config', '--install', '--hosts', 'web-*.example.com'])
  expect(code).toBe(0)
})
afterAll(async () => {
  await home.close()
  await sshd?.stop()
  await service?.service.close()
})

const target = `${ownLogin}@${hostName}`
const countAsks = async () =>
  (await service.service.rows()).filter(({ entry }) => entry.type === 'allow').length

describe('what builds on ssh', () => {
  test('ssh logs in, by a certificate from the agent of ours', async () => {
    const before = sshd.readLog().length
    expect(await run(home, 'ssh', ['-F', config, target, 'id -un'])).toEqual({
      code: 0,
      stdout: `${ownLogin}\n`,
      stderr: '',
    })
    await sshd.waitForLog(/Accepted publickey for \S+ .* ED25519-CERT .* ID oidc:/, before)
  })

  test('no private key is in the home, and a certificate that serves is not gotten again', async () => {
    const before = await countAsks()
    const { stdout } = await run(home, 'grep', ['-rlE', 'PRIVATE KEY|openssh-key-v1', 'state'])
    expect(stdout).toBe('')
    await Promise.all([1, 2, 3].map(() => run(home, 'ssh', ['-F', config, target, 'true'])))
    expect(await countAsks()).toBe(before)
  })

  test('ssh forwards no agent there, whatever is said further down (ATTACKS 307)', async () => {
    writeFileSync(`${config}-a`, `${readFileSync(config, 'utf8')}Host *\n    ForwardAgent yes\n`)
    const { code, stdout } = await run(home, 'ssh', ['-F', `${config}-a`, target, 'env'])
    expect(code).toBe(0)
    expect(stdout).not.toContain('SSH_AUTH_SOCK')
  })

  test('scp, sftp and rsync carry a file both ways, byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) % 256))
    const place = (name: string) => join(home.dir, name)
    writeFileSync(place('sent'), bytes)
    const batch = `put ${place('sent')} ${place('there2')}\nget ${place('there2')} ${place('back2')}\n`
    writeFileSync(place('batch'), batch)
    const remote = (name: string) => `${target}:${place(name)}`
    const rsh = `ssh -F ${config}`
    const outcomes = [
      await run(home, 'scp', ['-F', config, place('sent'), remote('there1')]),
      await run(home, 'scp', ['-F', config, remote('there1'), place('back1')]),
      await run(home, 'sftp', ['-F', config, '-b', place('batch'), target]),
      await run(home, 'rsync', ['-e', rsh, place('sent'), remote('there3')]),
      await run(home, 'rsync', ['-e', rsh, remote('there3'), place('back3')]),
    ]
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      outcomes.map(() => ({ code: 0, stderr: '' })),
    )
    for (const name of ['back1', 'back2', 'back3']) {
      expect(readFileSync(place(name)).equals(bytes), name).toBe(true)
    }
  })

  test('git pushes there and clones from there', async () => {
    const git = (...args: readonly string[]) =>
      run({ ...home, env: { ...home.env, GIT_SSH_COMMAND: `ssh -F ${config}` } }, 'git', [
        ...['user.name=maya', 'user.email=maya@example.com'].flatMap((value) => ['-c', value]),
        ...args,
      ])
    const url = `ssh://${target}${home.dir}/there.git`
    mkdirSync(join(home.dir, 'work'))
    const outcomes = [
      await git('init', '-q', '--bare', 'there.git'),
      await git('init', '-q', '-b', 'main', 'work'),
      await git('-C', 'work', 'commit', '-q', '--allow-empty', '-m', 'first'),
      await git('-C', 'work', 'push', '-q', url, 'main'),
      await git('clone', '-q', '-b', 'main', url, 'again'),
    ]
    expect(outcomes.map(({ code }) => code)).toEqual(outcomes.map(() => 0))
    expect((await git('-C', 'again', 'log', '--format=%s')).stdout).toBe('first\n')
  })
})

describe('a name that somebody else chose', () => {
  // A git submodule's URL may hold any of them; OpenSSH before 9.6 hands them to the shell (ATTACKS 318, 319).
  const touch = (name: string) => join(home.dir, name)
  const hostile = (mark: string): readonly string[] => [
    `$(touch ${mark})`,
    `\`touch ${mark}\``,
    `x;touch ${mark}`,
    `x|touch ${mark}`,
    `x&touch ${mark}`,
    `x\ntouch ${mark}\n`,
    `x'; touch ${mark}; '`,
    `x" ; touch ${mark}; "`,
    `x\\'; touch ${mark}; '`,
    `'$(touch ${mark})'`,
    `x>${mark}`,
    `%h$(touch ${mark})`,
    `x!touch ${mark}`,
  ]

  const setting = (key: string, value: string) =>
    `${key}="${value.replaceAll(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('\n', ';')}"`

  test('never reaches the shell, as a host or as a login', async () => {
    // Any host here is Postern's, so that nothing but the guard stands between.
    const text = formatSshConfig({ places: home.places, argv: ['/bin/false'], hosts: ['*'] })
    const all = touch('all')
    writeFileSync(all, `${text}Host *\n    BatchMode yes\n    ProxyCommand false\n`)
    for (const [at, name] of hostile(touch('marked')).entries()) {
      for (const args of [
        ['-l', ownLogin, '--', name],
        ['-l', name, '--', hostName],
        // Debian's ssh refuses those by itself; what a configuration says is expanded as they once were.
        ['-l', ownLogin, '-o', setting('HostName', name), '--', hostName],
        ['-o', setting('User', name), '--', hostName],
      ]) {
        const { code } = await run(home, 'ssh', ['-F', all, ...args, 'true'])
        expect({ code, name }).toEqual({ code: 255, name })
      }
      expect(existsSync(touch('marked')), `${at}: ${name}`).toBe(false)
    }
  })

  test('is refused by `ready` itself, in words', async () => {
    const host =
      'error: The host is not a host name: write it with letters, digits, hyphens and dots, and not as an IP address.\nhint: postern ssh LOGIN@HOST\n'
    const login =
      'error: The login is not valid: write a lower-case letter or "_", then at most 31 of a-z, 0-9, "_", "." and "-".\nhint: postern ssh LOGIN@HOST\n'
    for (const [args, stderr] of [
      [['-oProxyCommand=x', ownLogin], host],
      [[`${hostName}\n`, ownLogin], host],
      [['wеb-1.example.com', ownLogin], host],
      [['ｗeb-1.example.com', ownLogin], host],
      [['web‑1.example.com', ownLogin], host],
      [[hostName, '-oProxyCommand=x'], login],
      [[hostName, 'root\nx'], login],
      [[hostName, 'rооt'], login],
      [[hostName, ownLogin, '../../x'], host],
    ] as const) {
      const outcome = await home.quick(['ready', '--', ...args])
      expect(outcome).toEqual({ code: 2, stdout: '', stderr })
    }
  })
})

describe('hosts of others', () => {
  test.each([
    ['an address', ['192.0.2.7', 'maya']],
    ['a host that no list names', ['github.com', 'git']],
    ['a name that is no host name of ours', ['my_host', 'maya']],
    ['a login that is none of ours', [hostName, 'Administrator']],
  ])('%s is left alone, without a word', async (_name, args) => {
    expect(await home.quick(['ready', '--', ...args])).toEqual({
      code: 1,
      stdout: '',
      stderr: '',
    })
  })

  test('are not even asked about where the patterns do not name them', async () => {
    const { stderr } = await run(home, 'ssh', ['-F', config, '-G', '-v', 'github.com'])
    expect(stderr).not.toContain('Executing command')
  })
})

describe('when it cannot be had', () => {
  test('a login that the policy refuses is told so, and ssh goes on without', async () => {
    const outcome = await home.quick(['ready', '--ours', '--', 'web-9.elsewhere.net', ownLogin])
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: No rule lets you log in to web-9.elsewhere.net as ${ownLogin}. POST /v1/explain says which groups would matter, and an administrator can add a rule.
hint: postern whoami says who you are; an admin sees why with: postern policy explain
`,
    })
  })

  test('the service is down: ssh goes on, and a break-glass key logs in', async () => {
    const other = createHome()
    await logInAs(other, service.service, 'http://127.0.0.1:1')
    const file = writeSshConfig(other, sshd)
    const argv = [process.execPath, main]
    const text = formatSshConfig({ places: other.places, argv, hosts: ['web-*.example.com'] })
    writeFileSync(file, `${text}${readFileSync(file, 'utf8')}`)
    const key = join(other.dir, 'break-glass')
    await run(other, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    copyFileSync(`${key}.pub`, breakGlass(join(home.dir, 'host')))
    const from = sshd.readLog().length
    expect(await run(other, 'ssh', ['-F', file, '-i', key, target, 'id -un'])).toEqual({
      code: 0,
      stdout: `${ownLogin}\n`,
      stderr: expect.stringContaining('error: No service answers at http://127.0.0.1:1.\n'),
    })
    await sshd.waitForLog(/Accepted publickey for \S+ .* ED25519 SHA256:/, from)
    await other.close()
  })

  test('nobody logged in: ssh goes on, silently', async () => {
    const other = createHome()
    try {
      expect(await other.quick(['ready', '--ours', '--', hostName, ownLogin])).toEqual({
        code: 1,
        stdout: '',
        stderr: '',
      })
    } finally {
      await other.close()
    }
  })
})
