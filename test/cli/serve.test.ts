import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Outcome, type Running, runCli, startCli, writeFiles } from './run.ts'
import { createService } from './service.ts'

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
    const cwd = await createService(idp.issuer)
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
    const service = await start(await createService(idp.issuer))
    service.child.kill('SIGUSR1')
    expect(await ask(service.url, 'maya')).toBe(201)
    expect(await isDebuggerOpen()).toBe(false)
    const { code, stderr } = await stop(service, 'SIGINT')
    expect(code).toBe(0)
    expect(stderr).not.toContain('Debugger')
  })

  test('ends at once at the second signal, whoever is still sending', async () => {
    const service = await start(await createService(idp.issuer))
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
    const service = await start(await createService(idp.issuer))
    const env = { POSTERN_LISTEN: new URL(service.url).host }
    const { code, stdout, stderr } = await runCli(['serve'], {
      cwd: await createService(idp.issuer),
      env,
    })
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
    expect(stderr).toContain(env.POSTERN_LISTEN)
    await stop(service, 'SIGTERM')
  })

  test('is one a database: the second is refused while the first runs on', async () => {
    const cwd = await createService(idp.issuer)
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
    const cwd = await createService(idp.issuer)
    writeFileSync(join(cwd, 'policies/web.yaml'), '# nothing yet\n')
    const service = await start(cwd)
    expect(await ask(service.url, 'maya')).toBe(403)
    const { stderr } = await stop(service, 'SIGTERM')
    expect(stderr).toMatch(/"level":"warn".*the policy has no rule: everyone is refused/)
  })

  test('shows no secret in its arguments or environment (ATTACKS 332)', async () => {
    const cwd = await createService(idp.issuer, {
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
    const cwd = await createService(idp.issuer)
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
