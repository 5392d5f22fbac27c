import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { formatFingerprint, parsePublicKey } from '../../src/ssh/keys.ts'
import { createPublicKeyLine } from '../app.ts'
import { createKeyFile, startAgent } from '../ca/tools.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Running, runCli, startCli, writeFiles } from './run.ts'
import { createDirectory, createService } from './service.ts'

/**
 * The four steps on the command line, from elsewhere, with a next key that an ssh-agent holds; the
 * admin socket and a key in a file are ca-key-suspected.test.ts's.
 */
const dir = createDirectory()
const socket = join(dir, 'agent.sock')
const { fingerprint } = parsePublicKey(createKeyFile('ecdsa-sha2-nistp256', join(dir, 'agent_ca')))
let agent: Awaited<ReturnType<typeof startAgent>>
let idp: OidcIssuer
let cwd = ''
const running: Running[] = []
beforeAll(async () => {
  agent = await startAgent(socket)
  agent.add(join(dir, 'agent_ca'))
  idp = await startOidcIssuer()
  cwd = await createService(idp.issuer, { ca: `, agentSocket: ${socket}` })
  writeFileSync(
    join(cwd, 'policies/roles.yaml'),
    `roles: { admin: [{ oidc: { issuer: "${idp.issuer}", subject: u-1001 } }] }\n`,
  )
})
afterAll(async () => {
  for (const { child } of running) child.kill('SIGKILL')
  await idp.close()
  await agent.stop()
})

const start = async () => {
  const started = startCli(['serve'], { cwd })
  running.push(started)
  return { ...started, url: (await started.firstLine).replace('postern: ready on ', '') }
}
const runAs = async (user: string, url: string, ...argv: readonly string[]) => {
  writeFiles(cwd, { token: `${await idp.mintFor(user)}\n` })
  const env = { POSTERN_TOKEN_FILE: 'token' }
  return runCli(['ca', ...argv, '--url', url], { cwd, env })
}
const findSigner = async (url: string) => {
  const response = await fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await idp.mintFor('maya')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      publicKey: createPublicKeyLine(),
      host: 'web-1.example.com',
      login: 'deploy',
    }),
  })
  const { certificate } = (await response.json()) as { certificate: string }
  return formatFingerprint(parseCertificate(certificate).authority)
}
const listKeys = async () => {
  const { keys } = JSON.parse((await runCli(['ca', 'list', '--json'], { cwd })).stdout) as {
    keys: readonly {
      readonly fingerprint: string
      readonly state: string
      readonly place: string
    }[]
  }
  return keys.map(({ fingerprint, state, place }) => [fingerprint, state, place])
}

test('a key of the ssh-agent takes the place of one in a file, step by step, by an admin elsewhere', async () => {
  const first = await start()
  const { url } = first
  const old = await findSigner(url)

  const refused = { code: 1, stdout: '', stderr: expect.stringContaining('needs the role admin') }
  expect(await runAs('sam', url, 'next', '--agent', fingerprint)).toMatchObject(refused)
  const absent = `SHA256:${'A'.repeat(43)}`
  expect(await runAs('maya', url, 'next', '--agent', absent)).toMatchObject({
    code: 78,
    stdout: '',
    stderr: expect.stringContaining('error: The ssh-agent does not hold the CA key.\n'),
  })
  expect(await runCli(['ca', 'next', '--agent', 'agent_ca'], { cwd })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Write it as ssh-add -l prints it: SHA256:…'),
  })

  expect(await runAs('maya', url, 'next', '--agent', fingerprint)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${fingerprint} is next since `),
    stderr:
      'note: hosts that fetch their trust take it by themselves; give the others `postern ca show`\n',
  })
  expect(await findSigner(url)).toBe(old)
  expect(await runAs('maya', url, 'retire')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: There is no key to retire: see the list of keys\.\n/),
  })
  expect(await runAs('maya', url, 'activate')).toMatchObject({ code: 0 })
  expect(await findSigner(url)).toBe(fingerprint)
  expect(await listKeys()).toEqual([
    [old, 'next', 'config'],
    [fingerprint, 'active', 'agent'],
  ])

  // It is found in the agent again after a restart.
  first.child.kill('SIGTERM')
  expect((await first.ended).code).toBe(0)
  const second = await start()
  expect(await findSigner(second.url)).toBe(fingerprint)

  expect(await runAs('sam', second.url, 'retire')).toMatchObject(refused)
  expect(await runAs('maya', second.url, 'retire')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${old} is retired since `),
    stderr:
      'note: once its last certificate has ended (postern ca list says when): postern ca remove\n',
  })
  expect(await runAs('maya', second.url, 'activate', old)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${old} is retired, and never signs again.`),
  })
  expect(await runAs('maya', second.url, 'remove')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^error: The key has 2 certificates alive, of 1 person, the last until \S+Z\. /,
    ),
  })
  const removed = await runAs('maya', second.url, 'remove', '--force', '--json')
  expect(JSON.parse(removed.stdout)).toMatchObject({
    fingerprint: old,
    state: 'removed',
    breaks: [
      expect.stringMatching(/^The key has 2 certificates alive, of 1 person, the last until /),
    ],
  })
  expect(await findSigner(second.url)).toBe(fingerprint)
  expect(await listKeys()).toEqual([
    [old, 'removed', 'config'],
    [fingerprint, 'active', 'agent'],
  ])
})
