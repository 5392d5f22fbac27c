import { lstatSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Running, runCli as run, startCli, writeFiles } from './run.ts'
import { createDirectory, createService } from './service.ts'

let idp: OidcIssuer
const running: Running[] = []
const servers: Server[] = []
beforeAll(async () => {
  idp = await startOidcIssuer()
})
afterAll(() => idp.close())
afterEach(async () => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL')
  for (const server of servers.splice(0)) server.close()
})

/** Without the warnings about the configuration, which are another file's matter. */
const runCli: typeof run = async (argv, given) => {
  const outcome = await run(argv, given)
  return { ...outcome, stderr: outcome.stderr.replaceAll(/^warning: .*\n/gm, '') }
}

const start = async (cwd: string) => {
  const started = startCli(['serve'], { cwd })
  running.push(started)
  const line = await started.firstLine
  return { ...started, url: line.replace('postern: ready on ', '') }
}
const { username } = userInfo()
const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ'
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsYVPRsNWzN8JjxPyhJzMmKjXwqJTR1KKo3WdSFbEeY'

const ask = async (url: string) => {
  const answer = await fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await idp.mintFor('maya')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ publicKey, host: 'web-1.example.com', login: 'deploy' }),
  })
  return answer.status
}

const roles = () => `roles:
  admin: [{ oidc: { issuer: "${idp.issuer}", subject: u-1001 } }]
`
const writeToken = async (cwd: string, user: string) => {
  writeFiles(cwd, { token: `${await idp.mintFor(user)}\n` })
  return { POSTERN_TOKEN_FILE: 'token' }
}

describe('postern freeze', () => {
  test('stops a running service through kill -9, with the provider down, until unfreeze', async () => {
    const cwd = await createService(idp.issuer)
    const first = await start(cwd)
    idp.switches.discovery = 'error'
    idp.switches.keys = 'error'
    try {
      const env = { SUDO_USER: 'maya' }
      const frozen = await runCli(['freeze', '--reason', 'a laptop was stolen'], { cwd, env })
      expect(frozen).toEqual({
        code: 0,
        stdout: expect.stringMatching(
          new RegExp(`^frozen by local:maya since ${time}: a laptop was stolen\n$`),
        ),
        stderr: '',
      })
    } finally {
      idp.switches.discovery = undefined
      idp.switches.keys = undefined
    }
    expect(await ask(first.url)).toBe(503)
    first.child.kill('SIGKILL')
    await first.ended
    // The socket of the dead process is still there, and is replaced.
    expect(lstatSync(join(cwd, 'data/admin.sock')).isSocket()).toBe(true)
    const second = await start(cwd)
    expect(await ask(second.url)).toBe(503)

    const lifted = await runCli(['unfreeze'], { cwd })
    expect(lifted.stdout).toMatch(
      new RegExp(
        `^issuing goes on; it was frozen by local:maya since ${time}: a laptop was stolen\n$`,
      ),
    )
    expect(await ask(second.url)).toBe(201)
    expect(await runCli(['unfreeze'], { cwd })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'note: issuing was not frozen\n',
    })
    const listed = await runCli(['audit', 'list', '--type', 'freeze'], { cwd })
    expect(listed.stdout).toMatch(/ freeze {2}local:maya .* a laptop was stolen\n$/)
    const shown = await runCli(['audit', 'list', '--type', 'unfreeze', '--json'], { cwd })
    expect(JSON.parse(shown.stdout)).toMatchObject([
      { identity: { issuer: 'local', subject: username, name: username } },
    ])
  })

  test('works from elsewhere with a token of an admin, and with no other', async () => {
    const cwd = await createService(idp.issuer)
    writeFileSync(join(cwd, 'policies/roles.yaml'), roles())
    const { url } = await start(cwd)
    const argv = ['freeze', '--reason', 'x', '--url', url]
    expect(await runCli(argv, { cwd, env: await writeToken(cwd, 'sam') })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: This needs the role admin: .*\ndetail: request req_[0-9a-f]{24}\nhint: on the server itself, without --url, no role is asked for\n$/,
      ),
    })
    const env = await writeToken(cwd, 'maya')
    const frozen = await runCli([...argv, '--json'], { cwd, env })
    expect(JSON.parse(frozen.stdout)).toMatchObject({ frozen: true, by: 'maya', reason: 'x' })
    const lifted = await runCli(['unfreeze', '--url', url, '--json'], { cwd, env })
    expect(JSON.parse(lifted.stdout)).toMatchObject({ frozen: false, by: 'maya' })
  })
})

describe('postern freeze, when it cannot', () => {
  const usage = { code: 2, stdout: '' }
  const failure = { code: 1, stdout: '' }

  test('says that a reason is needed', async () => {
    expect(await runCli(['freeze'], { cwd: createDirectory() })).toEqual({
      ...usage,
      stderr:
        'error: Say why: the log keeps it.\nhint: postern freeze --reason "a laptop was stolen"\n',
    })
  })

  test('says what to run where no service runs', async () => {
    const cwd = await createService(idp.issuer)
    const path = join(cwd, 'data/admin.sock')
    const stderr = (code: string) =>
      `error: No service answers on the admin socket.\ndetail: ${path}: ${code}\nhint: start it: postern serve; for one elsewhere, name it: --url https://HOST\n`
    expect(await runCli(['unfreeze'], { cwd })).toEqual({ ...failure, stderr: stderr('ENOENT') })
    writeFileSync(path, '')
    expect(await runCli(['unfreeze'], { cwd })).toEqual({
      ...failure,
      stderr: stderr('ECONNREFUSED'),
    })
  })

  test.each([
    'http://postern.example.com',
    'https://postern.example.com/v1',
    'postern.example.com',
    'https://maya@postern.example.com',
  ])('sends no token to %s', async (url) => {
    const { code, stderr } = await runCli(['unfreeze', '--url', url], { cwd: createDirectory() })
    expect(code).toBe(2)
    expect(stderr).toContain('Write the origin of a service as https://postern.example.com.')
  })

  test('wants a token for a service elsewhere, in a file of ones own', async () => {
    const cwd = writeFiles(createDirectory(), { token: 'x' })
    const argv = ['unfreeze', '--url', 'https://postern.example.com']
    expect(await runCli(argv, { cwd })).toEqual({
      ...usage,
      stderr:
        'error: A service at --url wants a token.\nhint: write it to a file of your own (chmod 600), and name that in POSTERN_TOKEN_FILE\n',
    })
    const missing = await runCli(argv, { cwd, env: { POSTERN_TOKEN_FILE: 'none' } })
    expect(missing).toMatchObject({ code: 78, stderr: expect.stringContaining('cannot be read') })
    writeFiles(cwd, { token: 'two\nlines' })
    expect(await runCli(argv, { cwd, env: { POSTERN_TOKEN_FILE: 'token' } })).toEqual({
      ...usage,
      stderr:
        'error: The file that POSTERN_TOKEN_FILE names holds no token.\nhint: write the token into it, on one line, and nothing else\n',
    })
  })

  /** Something that is no postern. */
  const serve = async (status: number, headers: Readonly<Record<string, string>>, body: string) => {
    const requests: (string | undefined)[] = []
    const server = createServer((request, response) => {
      requests.push(request.url)
      response.writeHead(status, headers).end(body)
    })
    servers.push(server)
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
  }

  test.each([
    ['a page', 200, {}, '<html>'],
    ['an error of a proxy', 502, {}, 'Bad Gateway'],
    ['a problem with a code that is none', 403, {}, '{"code":"constructor","detail":"X."}'],
    ['a redirect, which it does not follow', 307, { location: '/elsewhere' }, ''],
  ])('takes %s for no postern', async (_what, status, headers, body) => {
    const cwd = createDirectory()
    const { url, requests } = await serve(status, headers, body)
    const env = await writeToken(cwd, 'maya')
    expect(await runCli(['unfreeze', '--url', url], { cwd, env })).toEqual({
      ...failure,
      stderr: `error: What answers there (${status}) is no postern.\nhint: name the origin of the service itself, as in its publicUrl\n`,
    })
    expect(requests).toEqual(['/v1/freeze'])
  })
})

test('SIGHUP reads the policy, and ends nothing', async () => {
  const cwd = await createService(idp.issuer)
  const service = await start(cwd)
  expect(await ask(service.url)).toBe(201)
  writeFileSync(join(cwd, 'policies/web.yaml'), 'rules: []\n')
  service.child.kill('SIGHUP')
  await vi.waitFor(async () => expect(await ask(service.url)).toBe(403), {
    timeout: 8_000,
    interval: 30,
  })
  service.child.kill('SIGTERM')
  expect((await service.ended).code).toBe(0)
})

test('SIGHUP ends nothing while the service starts', async () => {
  const service = startCli(['serve'], { cwd: await createService(idp.issuer) })
  running.push(service)
  // The configuration is read, and nothing else is: what it says of the audience is a warning.
  await new Promise((resolve) => service.child.stderr?.once('data', resolve))
  service.child.kill('SIGHUP')
  expect(await service.firstLine).toMatch(/^postern: ready on /)
})
