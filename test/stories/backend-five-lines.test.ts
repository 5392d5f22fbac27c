import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { decodePublicKey, formatPublicKey } from '../../src/ssh/keys.ts'
import { startTestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'
import { findPort, startSshd } from '../ssh/sshd.ts'

// The story: somebody copies the example of the README into a backend, and sets url, token and name. It runs
// as it is printed there, in a process of its own, against the real service over HTTP and a real sshd.

const createDirectory = useDirectories()
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

const home = createDirectory()
writeFileSync(join(home, 'install.sh'), '#!/bin/sh\necho "installing $2"\nexit 3\n')
chmodSync(join(home, 'install.sh'), 0o755)
const signer = createMemorySigner()
const sshd = await startSshd({
  name: host,
  dir: join(home, 'host'),
  caKeys: [formatPublicKey(decodePublicKey(signer.publicKey))],
  logins: { [login]: [`${login}@${host}`] },
  settings: [`ForceCommand cd "${home}" && eval "$SSH_ORIGINAL_COMMAND"`],
})
const port = await findPort()
const url = `http://127.0.0.1:${port}`
const service = await startTestApp({
  config: { listen: { kind: 'tcp', host: '127.0.0.1', port }, publicUrl: url },
  overrides: { signer },
  level: 'warn',
  policies: (issuer) => ({
    'a.yaml': `hosts:
  - { name: ${host}, address: 127.0.0.1, port: ${sshd.port}, hostKeys: ["${sshd.hostKey}"] }
rules:
  - name: runner-setup
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["runner-*.example.com"]
    logins: ["${login}"]
    ttl: 5m
`,
  }),
})
await service.app.listen()
afterAll(async () => {
  await sshd.stop()
  await service.close()
})

test('the five lines of the README run as they stand there', async () => {
  expect(
    example
      .trim()
      .split('\n')
      .filter((line) => line !== ''),
  ).toHaveLength(5)
  const given = { url, token: await service.token(), name: "it's $(id)" }
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
  // All the places a program writes to unasked; what is made there and taken away again is seen as well.
  const own = createDirectory()
  const touched: string[] = []
  const watcher = watch(own, { recursive: true }, (_event, name) => touched.push(String(name)))
  const env = { ...process.env, HOME: own, TMPDIR: own, XDG_CACHE_HOME: own, XDG_STATE_HOME: own }
  const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: own, env })
  watcher.close()
  expect({ touched, left: readdirSync(own) }).toEqual({ touched: [], left: [] })
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
