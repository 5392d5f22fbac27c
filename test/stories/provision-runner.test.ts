import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, build, createCaKeyFile, openAuthority, openLog } from '../../src/app.ts'
import { parseEntry } from '../../src/audit/entry.ts'
import type { AllowEntry } from '../../src/audit/index.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/lib/log.ts'
import { useDirectories } from '../fakes/directory.ts'
import { type Github, startGithub } from '../fakes/github.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { ownLogin } from '../ssh/client.ts'
import { findPort, type Sshd, startSshd } from '../ssh/sshd.ts'

/**
 * The reason this project exists: a web application in which people set up runners on machines, and whose
 * backend does so as them. It holds no key and no password; what lies on its disk, in its database and
 * in its environment between two jobs opens no host; and the hosts' own logs name the person.
 */
const createDirectory = useDirectories()
const dir = createDirectory()
const pool = ['runner-1.example.com', 'runner-2.example.com', 'runner-3.example.com']
const clientId = 'Ov23liPostern'
const clientSecret = 'app-secret'

let github: Github
let platform: OidcIssuer
let service: App
let config: Config
let backend: Awaited<ReturnType<typeof startBackend>>
const hosts: Sshd[] = []

/** A script of the hosts. It reads the runner's name: what comes as an argument would have to be taken apart. */
const writeScript = (name: string, lines: readonly string[]): string => {
  const path = join(dir, name)
  const refuse = 'case $name in "" | *[!a-z0-9-]*) exit 64 ;; esac'
  const head = ['#!/bin/sh', 'set -e', 'name=$(cat)', refuse]
  writeFileSync(path, [...head, ...lines, ''].join('\n'))
  chmodSync(path, 0o755)
  return path
}

const formatPolicy = (scripts: { readonly setup: string; readonly teardown: string }) => `hosts:
${pool.map((name, at) => `  - { name: ${name}, address: 127.0.0.1, port: ${hosts[at]?.port}, logins: ["${ownLogin}"], hostKeys: ["${hosts[at]?.hostKey}"] }`).join('\n')}
rules:
  - name: runners
    who: [{ github: { team: acme/platform, server: "${new URL(github.webUrl).host}" } }]
    hosts: ["runner-*.example.com"]
    logins: ["${ownLogin}"]
    require: { proof: true }
    commands: { setup: ${scripts.setup}, teardown: ${scripts.teardown} }
    ttl: 2m
  - name: runner-reaper
    who: [{ oidc: { issuer: "${platform.issuer}", subject: runner-reaper } }]
    hosts: ["runner-*.example.com"]
    logins: ["${ownLogin}"]
    require: { proof: true }
    commands: { teardown: ${scripts.teardown} }
    ttl: 1m
`

beforeAll(async () => {
  github = await startGithub()
  platform = await startOidcIssuer({ people: { reaper: { sub: 'runner-reaper' } } })
  const port = await findPort()
  mkdirSync(join(dir, 'policies'))
  writeFileSync(join(dir, 'github-secret'), clientSecret, { mode: 0o600 })
  writeFileSync(
    join(dir, 'postern.yaml'),
    `listen: 127.0.0.1:${port}
ca: { userKey: user_ca }
identity:
  github: [{ clientId: ${clientId}, clientSecretFile: github-secret, apiUrl: "${github.apiUrl}" }]
  oidc: [{ issuer: "${platform.issuer}", audience: postern }]
`,
  )
  await createCaKeyFile(join(dir, 'user_ca'))
  config = (await loadConfig({ cwd: dir, env: {} })).config
  const authority = await openAuthority(config)
  const { publicKey } = authority
  await authority.close()
  for (const name of pool) {
    const logins = { [ownLogin]: [`${ownLogin}@${name}`] }
    const [number] = name.split('.') as [string]
    const variables = { RUNNER_HOME: join(dir, number) }
    hosts.push(
      await startSshd({ name, dir: join(dir, number), caKeys: [publicKey], logins, variables }),
    )
  }
  const setup = writeScript('install', [
    'for step in 1 2 3; do echo "step $step of 3"; sleep 0.15; done',
    'touch "$RUNNER_HOME/$name"',
  ])
  const teardown = writeScript('remove', ['rm "$RUNNER_HOME/$name"'])
  writeFileSync(join(dir, 'policies/runners.yaml'), formatPolicy({ setup, teardown }))
  service = await build(config, { logger: createLogger('error') })
  await service.listen()
  backend = await startBackend()
}, 30_000)

afterAll(async () => {
  await backend?.stop()
  await service?.close()
  await Promise.all(hosts.map((host) => host.stop()))
  await Promise.all([github?.close(), platform?.close()])
})

const startBackend = async () => {
  const home = join(dir, 'backend')
  mkdirSync(home)
  const url = `http://127.0.0.1:${await findPort()}`
  const main = fileURLToPath(new URL('../example/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      URL: url,
      POSTERN_URL: config.publicUrl,
      GITHUB_WEB_URL: github.webUrl,
      GITHUB_API_URL: github.apiUrl,
      GITHUB_CLIENT_ID: clientId,
      GITHUB_CLIENT_SECRET: clientSecret,
      POOL: pool.join(' '),
      LOGIN: ownLogin,
      DATABASE: join(home, 'runners.db'),
      WORKLOAD_TOKEN_URL: `${platform.issuer}/token`,
    },
  })
  const ended = once(child, 'exit')
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const waitFor = async (line: string) => {
    while (!said.includes(line)) await once(child.stdout, 'data')
  }
  await waitFor('ready\n')
  return {
    url,
    home,
    environment: () => readFileSync(`/proc/${child.pid}/environ`, 'utf8'),
    async reap() {
      child.kill('SIGUSR2')
      await waitFor('reap')
      return said.slice(said.indexOf('reap')).trim()
    },
    async stop() {
      child.kill()
      await ended
    },
  }
}

/** A person at a browser: follows redirects, keeps cookies, and says where a request comes from. */
const openBrowser = () => {
  const jar = new Map<string, string>()
  const request = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
    headers.set('sec-fetch-site', 'same-origin')
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }
  return {
    jar,
    order: (path: string) => request(`${backend.url}${path}`, { method: 'POST' }),
    /** `person` sits in front of it, and says yes to GitHub. */
    async logIn(person: string) {
      const toGithub = (await request(`${backend.url}/login`)).headers.get('location')
      const back = await fetch(`${toGithub}&login=${person}`, { redirect: 'manual' })
      const answer = await request(back.headers.get('location') as string)
      expect([answer.status, answer.headers.get('location')]).toEqual([302, '/'])
    },
  }
}

const listIssued = async (): Promise<readonly AllowEntry[]> => {
  const log = await openLog(config)
  try {
    return (await log.find({ type: 'allow' }, 100)).map(
      (row) => parseEntry(row).entry as AllowEntry,
    )
  } finally {
    await log.close()
  }
}

const hasRunner = (at: number, name: string) => existsSync(join(dir, `runner-${at}`, name))

describe('a backend that sets up machines as whoever is logged in', () => {
  const maya = openBrowser()
  /** The token she is logged in with: the web session’s, never to be found anywhere else. */
  const findToken = () => [...github.world.tokens.keys()].at(-1) as string
  let tokens: string[] = []

  test('provisions a runner as her, and shows her each step as it is taken', async () => {
    await maya.logIn('maya')
    tokens = [findToken()]
    const answer = await maya.order(`/runners/${pool[0]}/provision`)
    expect(answer.status).toBe(200)
    const arrivals: number[] = []
    let text = ''
    for await (const part of answer.body as ReadableStream<Uint8Array>) {
      text += Buffer.from(part).toString()
      arrivals.push(performance.now())
    }
    expect(text).toBe('step 1 of 3\nstep 2 of 3\nstep 3 of 3\ndone\n')
    // The steps take 150 ms each: whoever kept them back would have sent them all at once.
    expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(250)
    expect(hasRunner(1, 'runner-of-maya')).toBe(true)
  })

  test('is named in the log of the host by her id and login, and in ours with the rule', async () => {
    const [entry] = await listIssued()
    expect(entry?.rule.name).toBe('runners')
    expect(entry?.identity).toMatchObject({ kind: 'github', subject: '583231', name: 'maya' })
    const { serial, keyId } = entry?.certificate ?? {}
    expect(keyId).toMatch(/:583231:maya\/runners\/req_[0-9a-f]{24}$/)
    await hosts[0]?.waitForLog(new RegExp(`ID ${keyId} \\(serial ${serial}\\) CA ED25519`))
    expect(hosts[1]?.readLog()).not.toContain('maya')
  })

  test('lets nobody provision whom the policy does not name, and says why', async () => {
    const sam = openBrowser()
    await sam.logIn('sam')
    tokens.push(findToken())
    const answer = await sam.order(`/runners/${pool[1]}/provision`)
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({ code: 'policy_denied' })
    expect(hasRunner(2, 'runner-of-sam')).toBe(false)
    await sam.order('/logout')
  })

  test('tears it down as her', async () => {
    expect(await (await maya.order(`/runners/${pool[0]}/teardown`)).text()).toBe(
      'torn down with 0\n',
    )
    expect(hasRunner(1, 'runner-of-maya')).toBe(false)
    const [entry] = await listIssued()
    expect(entry?.certificate.criticalOptions['force-command']).toBe(join(dir, 'remove'))
    expect(entry?.identity.name).toBe('maya')
  })

  test('holds between two jobs nothing that opens a host', async () => {
    await (await maya.order(`/runners/${pool[2]}/provision`)).text()
    const files = readdirSync(backend.home, { recursive: true, encoding: 'utf8' })
    expect(files).toContain('runners.db')
    const dump = [
      backend.environment(),
      ...files.map((file) => readFileSync(join(backend.home, file), 'latin1')),
    ].join('\n')
    expect(dump).toContain('runner-of-maya')
    for (const secret of [...tokens, ...maya.jar.values()]) {
      expect(dump).not.toContain(secret)
    }
    expect(dump).not.toMatch(/PRIVATE KEY|openssh-key-v1|cert-v01|ssh-ed25519|gh[a-z]_|eyJ/)
    // Whatever looks like a secret is tried: none of it is a token of anybody.
    const words = new Set(dump.match(/[A-Za-z0-9._~+/-]{8,}=*/g))
    expect(words).toContain(clientSecret)
    for (const word of words) {
      const headers = { authorization: `Bearer ${word}` }
      const { status } = await fetch(`${config.publicUrl}/v1/whoami`, { headers })
      expect(status, word).toBe(401)
    }
  })

  test('forgets her token when she logs out; what she left is taken down by the service, as itself', async () => {
    await maya.order('/logout')
    expect((await maya.order(`/runners/${pool[2]}/provision`)).status).toBe(401)
    expect(hasRunner(3, 'runner-of-maya')).toBe(true)
    expect(await backend.reap()).toBe('reaped')
    expect(hasRunner(3, 'runner-of-maya')).toBe(false)
    const [entry] = await listIssued()
    expect(entry?.rule.name).toBe('runner-reaper')
    expect(entry?.identity).toMatchObject({ kind: 'oidc', subject: 'runner-reaper' })
    await hosts[2]?.waitForLog(/ID oidc:[^ ]*:runner-reaper[^ ]*\/runner-reaper\/req_/)
  })

  test('cannot have more as itself than taking down', async () => {
    const { createClient } = await import('../../src/client/index.ts')
    const token = await platform.mintFor('reaper')
    const client = createClient({ url: config.publicUrl })
    const ask = { token, host: pool[0] as string, login: ownLogin, command: 'setup' }
    await expect(client.connect(ask)).rejects.toMatchObject({ code: 'command_required' })
  })
})
