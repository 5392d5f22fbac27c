import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { useDirectories } from '../fakes/directory.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Outcome, type Running, runCli, startCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsYVPRsNWzN8JjxPyhJzMmKjXwqJTR1KKo3WdSFbEeY'

let idp: OidcIssuer
const running: Running[] = []

beforeAll(async () => {
  idp = await startOidcIssuer()
})
afterAll(() => idp.close())
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL')
})

const policy = () => `rules:
  - name: deploy
    who: [{ oidc: { issuer: "${idp.issuer}", groups: [platform] } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    ttl: 5m
`

/** A directory as init makes it, with a provider, a free port, and a policy for it. */
const createService = async (more: { readonly ca?: string; readonly rest?: string } = {}) => {
  const cwd = createDirectory()
  await runCli(['init'], { cwd })
  rmSync(join(cwd, 'policies/first.yaml'))
  return writeFiles(cwd, {
    'policies/web.yaml': policy(),
    'postern.yaml': `listen: 127.0.0.1:0
ca: { userKey: user_ca${more.ca ?? ''} }
identity: { oidc: [{ issuer: "${idp.issuer}", audience: postern }]${more.rest ?? ''} }
`,
  })
}

const start = async (
  cwd: string,
  more: Omit<Parameters<typeof startCli>[1], 'cwd'> = {},
): Promise<Running & { readonly url: string }> => {
  const started = startCli(['serve'], { cwd, ...more })
  running.push(started)
  const line = await started.firstLine
  const url = /^postern: ready on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1]
  if (url === undefined) throw new Error(`not the ready line: ${line}`)
  return { ...started, url }
}

const ask = async (url: string, user: string) => {
  const answer = await fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await idp.mintFor(user)}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ publicKey, host: 'web-1.example.com', login: 'deploy' }),
  })
  return answer.status
}

const stop = ({ child, ended }: Running, signal: NodeJS.Signals): Promise<Outcome> => {
  child.kill(signal)
  return ended
}

const isDebuggerOpen = () => readPort(9229)
const readPort = (port: number) =>
  new Promise<boolean>((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(true))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(false)))
  })

describe('postern serve', () => {
  test('serves from its ready line to SIGTERM; its log is read meanwhile and afterwards', async () => {
    const cwd = await createService()
    // As the unit and the image start it (ATTACKS 67).
    const service = await start(cwd, { nodeFlags: ['--disable-proto=delete'] })
    expect(await ask(service.url, 'maya')).toBe(201)
    expect(await ask(service.url, 'sam')).toBe(403)

    const meanwhile = await runCli(['audit', 'list', '--json'], { cwd })
    const types = (JSON.parse(meanwhile.stdout) as { type: string }[]).map(({ type }) => type)
    expect(types).toEqual(['deny', 'allow', 'policy', 'start'])
    // Nothing the service makes is for others (ATTACKS 338).
    const open = readdirSync(join(cwd, 'data')).filter(
      (name) => (statSync(join(cwd, 'data', name)).mode & 0o077) !== 0,
    )
    expect(open).toEqual([])

    const { code, stdout, stderr } = await stop(service, 'SIGTERM')
    expect(code).toBe(0)
    expect(stdout).toBe(`postern: ready on ${service.url}\n`)
    for (const line of stderr
      .trimEnd()
      .split('\n')
      .filter((text) => !text.startsWith('warning: '))) {
      expect(() => JSON.parse(line)).not.toThrow()
    }
    const verified = await runCli(['audit', 'verify'], { cwd })
    expect(verified.stdout).toMatch(/^ok: 4 entries\n/)
  })

  test('ends at SIGINT too, and lets no SIGUSR1 open a debugger (ATTACKS 66)', async () => {
    expect(await isDebuggerOpen()).toBe(false)
    const service = await start(await createService())
    service.child.kill('SIGUSR1')
    expect(await ask(service.url, 'maya')).toBe(201)
    expect(await isDebuggerOpen()).toBe(false)
    const { code, stderr } = await stop(service, 'SIGINT')
    expect(code).toBe(0)
    expect(stderr).not.toContain('Debugger')
  })

  test('ends at once at the second signal, whoever is still sending', async () => {
    const service = await start(await createService())
    const { hostname, port } = new URL(service.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(
      `POST /v1/certificates HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${await idp.mintFor('maya')}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    )
    await setTimeout(300)
    service.child.kill('SIGTERM')
    await setTimeout(300)
    expect(service.child.exitCode).toBeNull()
    expect((await stop(service, 'SIGTERM')).code).toBe(1)
    socket.destroy()
  })

  test('says which address is taken', async () => {
    const service = await start(await createService())
    const env = { POSTERN_LISTEN: new URL(service.url).host }
    const { code, stdout, stderr } = await runCli(['serve'], { cwd: await createService(), env })
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
    expect(stderr).toContain(env.POSTERN_LISTEN)
    await stop(service, 'SIGTERM')
  })

  test('is one a database: the second is refused while the first runs on', async () => {
    const cwd = await createService()
    const service = await start(cwd)
    const { code, stdout, stderr } = await runCli(['serve'], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('postern.lock')
    expect(await ask(service.url, 'maya')).toBe(201)
    expect((await stop(service, 'SIGKILL')).code).toBeNull()
    // The kernel has dropped the lock.
    const next = await start(cwd)
    expect((await stop(next, 'SIGTERM')).code).toBe(0)
  })

  test('without a rule starts, warns loudly and refuses everyone (ATTACKS 145)', async () => {
    const cwd = await createService()
    writeFileSync(join(cwd, 'policies/web.yaml'), '# nothing yet\n')
    const service = await start(cwd)
    expect(await ask(service.url, 'maya')).toBe(403)
    const { stderr } = await stop(service, 'SIGTERM')
    expect(stderr).toMatch(/"level":"warn".*the policy has no rule: everyone is refused/)
  })

  test('shows no secret in its arguments or environment (ATTACKS 332)', async () => {
    const cwd = await createService({
      rest: ', github: [{ clientId: Iv1.a, clientSecretFile: github }]',
    })
    writeFiles(cwd, { github: 'canary-secret\n' })
    const service = await start(cwd)
    const shown = ['cmdline', 'environ'].map((name) =>
      readFileSync(`/proc/${service.child.pid}/${name}`, 'latin1'),
    )
    // Nor does what it makes lie open to others.
    expect(readFileSync(`/proc/${service.child.pid}/status`, 'utf8')).toContain('Umask:\t0077\n')
    const { stderr } = await stop(service, 'SIGTERM')
    expect([...shown, stderr].filter((text) => text.includes('canary-secret'))).toEqual([])
  })
})

describe('postern serve refuses', () => {
  const refuse = async (cwd: string, env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await runCli(['serve'], { cwd, env })
    expect(stdout).toBe('')
    // The audience of these configurations is a doubtful one, and they are told.
    return { code, stderr: stderr.replace(/^warning: .*\n/gm, '') }
  }

  test.each([
    ['NODE_TLS_REJECT_UNAUTHORIZED', '0', 'NODE_TLS_REJECT_UNAUTHORIZED=0 accepts any certificate'],
    ['NODE_OPTIONS', '--inspect=0', "Node's --inspect opens a debugger"],
    ['NODE_DEBUG', 'http', 'NODE_DEBUG prints requests'],
  ])('with %s=%s, before anything else (ATTACKS 66, 69)', async (name, value, message) => {
    const cwd = await createService()
    const { code, stderr } = await refuse(cwd, { [name]: value })
    expect(code).toBe(78)
    expect(stderr).toContain(`error: ${message}`)
    expect(existsSync(join(cwd, 'data/postern.db'))).toBe(false)
  })

  test('a key file that others may read, and names the command (ATTACKS 61)', async () => {
    const cwd = await createService()
    chmodSync(join(cwd, 'user_ca'), 0o640)
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr: `error: Other users may read or change the CA key file.\nhint: chmod 600 ${cwd}/user_ca\n`,
    })
  })

  test('a missing key, and makes no new one (ATTACKS 62)', async () => {
    const cwd = await createService()
    rmSync(join(cwd, 'user_ca'))
    const { code, stderr } = await refuse(cwd)
    expect(code).toBe(78)
    expect(stderr).toMatch(/^error: The CA key file does not exist\.\n/)
    expect(existsSync(join(cwd, 'user_ca'))).toBe(false)
  })

  test('a truncated key, and leaves it as it is (ATTACKS 62)', async () => {
    const cwd = await createService()
    const half = readFileSync(join(cwd, 'user_ca'), 'utf8').slice(0, 60)
    writeFileSync(join(cwd, 'user_ca'), half)
    expect((await refuse(cwd)).code).toBe(78)
    expect(readFileSync(join(cwd, 'user_ca'), 'utf8')).toBe(half)
  })

  test('a passphrase file that others may read (ATTACKS 333, 338)', async () => {
    const cwd = await createService({ ca: ', userKeyPassphraseFile: pass' })
    writeFiles(cwd, { pass: 'secret' })
    chmodSync(join(cwd, 'pass'), 0o644)
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr: `error: The secret file ${cwd}/pass can be read or written by others.\nhint: chmod 600 ${cwd}/pass\n`,
    })
  })

  test('a client secret that others may read (ATTACKS 333)', async () => {
    const cwd = await createService({
      rest: ', github: [{ clientId: Iv1.a, clientSecretFile: github }]',
    })
    writeFiles(cwd, { github: 'secret' })
    chmodSync(join(cwd, 'github'), 0o644)
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr: `error: The secret file ${cwd}/github can be read or written by others.\nhint: chmod 600 ${cwd}/github\n`,
    })
  })

  test.each([
    ['a policy with a fault in it', 'rules:\n  - name: half-writ', /^error: .*web\.yaml:\d+:\d+: /],
    ['a policy that does not parse', 'rules: [', /^error: .*web\.yaml:\d+:\d+: /],
  ])('%s (ATTACKS 156)', async (_what, text, message) => {
    const cwd = await createService()
    writeFileSync(join(cwd, 'policies/web.yaml'), text)
    const { code, stderr } = await refuse(cwd)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).toContain(`hint: postern policy check ${cwd}/policies\n`)
  })

  test('a policy directory that is gone (ATTACKS 156)', async () => {
    const cwd = await createService()
    rmSync(join(cwd, 'policies'), { recursive: true })
    expect((await refuse(cwd)).code).toBe(1)
  })

  test('a configuration with a fault, by line (ATTACKS 333)', async () => {
    const cwd = writeFiles(createDirectory(), { 'postern.yaml': 'ca: { userKy: a }\n' })
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr:
        'error: postern.yaml:1:5: "userKey" is missing\nerror: postern.yaml:1:7: unknown key "userKy"; did you mean "userKey"?\n',
    })
  })
})

describe('the process', () => {
  test('of an older Node says what to do, before anything is loaded', async () => {
    const pretend =
      "data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })"
    const { ended } = startCli(['--version'], { cwd: '/', nodeFlags: ['--import', pretend] })
    expect(await ended).toEqual({
      code: 78,
      stdout: '',
      stderr:
        'error: postern needs Node 24 or newer, and this is 20.19.0; install it, or use a checkout, which brings its own: npm ci && npm run -s postern -- --help\n',
    })
  })

  test('runs on where the reader of its ready line has gone', async () => {
    const cwd = await createService()
    const env = { POSTERN_LISTEN: 'unix:postern.sock' }
    const started = startCli(['serve'], { cwd, env })
    running.push(started)
    started.child.stdout?.destroy()
    await vi.waitFor(() => expect(existsSync(join(cwd, 'postern.sock'))).toBe(true), 10_000)
    // It has written the line by then, or will before it takes the signal.
    await setTimeout(300)
    const { code, stderr } = await stop(started, 'SIGTERM')
    expect(code).toBe(0)
    expect(stderr).not.toContain('EPIPE')
  })
})
