import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadPolicy } from '../../src/policy/load.ts'
import { useDirectories } from '../fakes/directory.ts'
import { answerJson, type LoopbackServer, serve } from '../fakes/http.ts'
import { ownLogin } from '../ssh/client.ts'
import type { Sshd } from '../ssh/sshd.ts'
import { createHome, hostName, main, run, startHost, startService, writeSshConfig } from './desk.ts'

const createDirectory = useDirectories()
const home = createHome()
const target = `${ownLogin}@${hostName}`
let service: Awaited<ReturnType<typeof startService>>
let sshd: Sshd
let tokens: LoopbackServer
const asked: string[] = []
let variables: Readonly<Record<string, string>>

/** What GitHub gives a job with `id-token: write`. */
const serveTokens = () =>
  serve(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://127.0.0.1')
    asked.push(`${request.headers.authorization} ${url.searchParams.get('audience')}`)
    answerJson(response, 200, { value: await service.service.token() })
  })

beforeAll(async () => {
  service = await startService()
  tokens = await serveTokens()
  sshd = await startHost(join(home.dir, 'host'), service.ca)
  variables = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${tokens.url}/token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
    POSTERN_URL: service.url,
  }
})
afterAll(async () => {
  await home.close()
  await sshd?.stop()
  await service?.service.close()
  await tokens?.close()
})

const place = () => [
  '--address',
  '127.0.0.1',
  '--port',
  String(sshd.port),
  '--known-hosts',
  sshd.knownHosts,
]
const ssh = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = variables,
  to = target,
) => home.postern(['ssh', ...place(), to, '--', ...args], env)

/** The same in this process, which takes less time: what ssh says itself is not heard. */
const sshHere = (args: readonly string[], env = variables) =>
  home.here(['ssh', ...place(), target, '--', ...args], env)

describe('postern ssh in a job', () => {
  test('of GitHub Actions shows an ID token made for the service, and leaves nothing behind', async () => {
    const outcome = await ssh(['id -un; exit 7'])
    expect(outcome).toEqual({ code: 7, stdout: `${ownLogin}\n`, stderr: '' })
    expect(asked).toContain(`Bearer request-token ${service.url}`)
    expect(existsSync(home.places.dir)).toBe(false)
  })

  test('of GitLab shows the ID token in POSTERN_ID_TOKEN', async () => {
    const env = { POSTERN_ID_TOKEN: await service.service.token(), POSTERN_URL: service.url }
    expect(await sshHere(['true'], env)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test.each([
    ['the remote command’s own', ['exit 3'], 3],
    ['a signal there, as ssh says it', ['kill -TERM $$'], 255],
  ])('exits with %s', async (_what, args, code) => {
    expect((await sshHere(args)).code).toBe(code)
  })

  test.each(['SIGTERM', 'SIGHUP'] as const)(
    'that is ended by %s ends ssh too, and leaves nothing behind',
    async (signal) => {
      const tmp = createDirectory()
      const { promise: begun, resolve } = Promise.withResolvers<void>()
      const child = spawn(
        process.execPath,
        [main, 'ssh', ...place(), target, '--', 'echo $$; exec sleep 30'],
        { cwd: home.dir, env: { ...home.env, ...variables, TMPDIR: tmp }, stdio: 'pipe' },
      )
      let there = ''
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        there += part
        if (there.endsWith('\n')) resolve()
      })
      const ended = once(child, 'close')
      await begun
      child.kill(signal)
      const [code] = await ended
      expect(code).toBeGreaterThan(128)
      expect(readdirSync(tmp)).toEqual([])
    },
  )

  test('exits with 255 where ssh cannot connect', async () => {
    const args = ['ssh', '--address', '127.0.0.1', '--port', '1', target, '--', 'true']
    expect((await home.postern(args, variables)).code).toBe(255)
  })

  test('exits with 254 where the policy says no', async () => {
    const env = { POSTERN_ID_TOKEN: await service.service.token('sam'), POSTERN_URL: service.url }
    const { code, stderr } = await sshHere(['true'], env)
    expect(code).toBe(254)
    expect(stderr).toContain('error: ')
    expect(stderr).toContain(
      'hint: postern whoami says who you are; an admin sees why with: postern policy explain\n',
    )
  })

  test('exits with 254 where there is neither a login nor a job', async () => {
    expect(await home.here(['ssh', target, '--', 'true'])).toEqual({
      code: 254,
      stdout: '',
      stderr: 'error: You are not logged in.\nhint: postern login\n',
    })
  })

  test.each([
    ['an option', '-oProxyCommand=touch x'],
    ['an option behind a login', `${ownLogin}@-oProxyCommand=touch x`],
    ['a newline', `${ownLogin}@${hostName}\nx`],
    ['a look-alike', `${ownLogin}@wеb-1.example.com`],
    ['an address', `${ownLogin}@127.0.0.1`],
    ['nothing', `${ownLogin}@`],
  ])('exits with 254 where the host is %s', async (_what, to) => {
    expect(await home.here(['ssh', '--', to, 'true'], variables)).toEqual({
      code: 254,
      stdout: '',
      stderr:
        'error: The host is not a host name: write it with letters, digits, hyphens and dots, and not as an IP address.\nhint: postern ssh LOGIN@HOST\n',
    })
    expect(existsSync(join(home.dir, 'x'))).toBe(false)
  })
})

test('the rule for jobs in the README loads, and names the one repository and branch', async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const who = /`(who: \[\{ oidc: .* repository_id: .*\])`/.exec(readme)?.[1]?.replace('…', '123456')
  const dir = createDirectory()
  const list = (id: string, ref: string, expected: string) => `
  - name: ${id} ${ref}
    who: { oidc: { issuer: https://token.actions.githubusercontent.com, subject: job, claims: { repository_id: "${id}", ref: ${ref} } } }
    ask: { host: runner-17.example.com, login: runner }
    expect: ${expected}`
  writeFileSync(
    join(dir, 'jobs.yaml'),
    `rules:
  - name: jobs
    ${who}
    hosts: ["runner-*.example.com"]
    logins: [runner]
    ttl: 10m
tests:${list('123456', 'refs/heads/main', '{ allow: jobs }')}${list('123457', 'refs/heads/main', 'deny')}${list('123456', 'refs/heads/other', 'deny')}
`,
  )
  // What does not do as its tests say is not loaded.
  expect(await loadPolicy(dir)).toMatchObject({ ok: true, policy: { rules: [{ kind: 'allow' }] } })
})

describe('the GitHub Action', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const path = join(root, '.github/actions/postern')
  const action = parse(readFileSync(join(path, 'action.yml'), 'utf8')) as {
    readonly runs: { readonly steps: readonly { readonly name: string; readonly run: string }[] }
  }

  test('logs the job in, and plain ssh works, with the keys in an agent only', async () => {
    const job = createHome()
    const temp = join(job.dir, 'temp')
    mkdirSync(temp)
    const config = writeSshConfig(job, sshd)
    const env = {
      ...job.env,
      ...variables,
      POSTERN_HOSTS: 'web-*.example.com',
      GITHUB_ACTION_PATH: path,
      GITHUB_PATH: join(temp, 'path'),
      RUNNER_TEMP: temp,
    }
    const [install, ...steps] = action.runs.steps
    expect(install?.run).toMatch(/^npm ci --omit=dev --ignore-scripts /)
    for (const step of steps) {
      const added = existsSync(env.GITHUB_PATH) ? readFileSync(env.GITHUB_PATH, 'utf8').trim() : ''
      const withPath = { ...env, PATH: `${added}:${process.env['PATH']}` }
      const outcome = await run({ ...job, env: withPath }, 'bash', [
        '-eo',
        'pipefail',
        '-c',
        step.run,
      ])
      expect({ name: step.name, code: outcome.code }).toEqual({ name: step.name, code: 0 })
    }
    expect(await run(job, 'ssh', ['-F', config, target, 'id -un'])).toMatchObject({
      code: 0,
      stdout: `${ownLogin}\n`,
    })
    const files = readdirSync(job.places.dir).toSorted()
    expect(files).toEqual([
      'agent.lock',
      'agent.sock',
      'certificates',
      'control.sock',
      'ssh_config',
    ])
    await job.close()
  })
})
