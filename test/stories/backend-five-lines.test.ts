import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { startTestApp } from '../app.ts'
import { answerJson, readBody, serve } from '../fakes/http.ts'
import { startSshd } from '../ssh/sshd.ts'

// The story: somebody copies the example of the README into a backend, and sets url, token and name. It runs
// as it is printed there, in a process of its own, against the real service over HTTP and a real sshd.

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const example =
  /```ts\n(import \{ createClient \}[\s\S]*?)```/.exec(
    readFileSync(file('README.md'), 'utf8'),
  )?.[1] ?? ''
const host = 'runner-17.example.com'

/** A login of this machine: `runner` where there is one that can be had, else whoever runs this. */
const passwd = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : ''
const isRoot = process.getuid?.() === 0
const login = isRoot && /^runner:/m.test(passwd) ? 'runner' : userInfo().username

const front = await serve(async (request, response) => {
  const body = await readBody(request)
  const headers = Object.entries(request.headers).map(
    ([name, text]) => [name, String(text)] as [string, string],
  )
  const init = { method: request.method ?? 'GET', headers, ...(body === '' ? {} : { body }) }
  const incoming = {
    url: request.url ?? '/',
    socket: { remoteAddress: '127.0.0.1', localPort: front.port },
  }
  const answer = await service.app.fetch(new Request(`${front.url}${request.url}`, init), {
    incoming,
  })
  const value = JSON.parse(await answer.text()) as Record<string, unknown>
  // What the host list says of it.
  const place = {
    name: host,
    address: '127.0.0.1',
    port: sshd.port,
    knownHosts: [`[${host}]:${sshd.port} ${sshd.hostKey}`],
  }
  answerJson(response, answer.status, answer.status === 201 ? { ...value, host: place } : value)
})
const service = await startTestApp({
  config: { publicUrl: front.url },
  level: 'warn',
  policies: (issuer) => ({
    'a.yaml': `rules:
  - name: runner-setup
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["runner-*.example.com"]
    logins: ["${login}"]
    ttl: 5m
`,
  }),
})
const home = join(service.dir, 'home')
mkdirSync(home)
writeFileSync(join(home, 'install.sh'), '#!/bin/sh\necho "installing $2"\nexit 3\n')
chmodSync(join(home, 'install.sh'), 0o755)
const caKey = await service.app.fetch(new Request(`${front.url}/v1/ca/user.pub`), {
  incoming: {
    url: '/v1/ca/user.pub',
    socket: { remoteAddress: '127.0.0.1', localPort: front.port },
  },
})
const sshd = await startSshd({
  name: host,
  dir: join(service.dir, 'host'),
  caKeys: [(await caKey.text()).trim()],
  logins: { [login]: [`${login}@${host}`] },
  settings: [`ForceCommand cd "${home}" && eval "$SSH_ORIGINAL_COMMAND"`],
})
afterAll(async () => {
  await sshd.stop()
  await front.close()
  await service.close()
})

test('the five lines of the README run as they stand there', async () => {
  expect(
    example
      .trim()
      .split('\n')
      .filter((line) => line !== ''),
  ).toHaveLength(5)
  const given = { url: front.url, token: await service.token(), name: "it's $(id)" }
  const path = join(service.dir, 'example.ts')
  writeFileSync(
    path,
    [
      `const { url, token, name } = ${JSON.stringify(given)}`,
      example
        .replace("'postern/client'", JSON.stringify(file('src/client/index.ts')))
        .replace("'runner'", `'${login}'`),
      'console.log(JSON.stringify({ code, stdout }))',
    ].join('\n'),
  )
  const { stdout } = await promisify(execFile)(process.execPath, [path])
  expect(JSON.parse(stdout)).toEqual({ code: 3, stdout: "installing it's $(id)\n" })

  const [entry] = (await service.rows())
    .map(({ entry }) => entry)
    .filter(({ type }) => type === 'allow')
  expect(entry).toMatchObject({
    identity: { name: 'maya' },
    ask: { host, login, reason: 'install runner' },
  })
  await sshd.waitForLog(/Accepted publickey .* ID oidc:\S+maya\/runner-setup\/req_/)
})
