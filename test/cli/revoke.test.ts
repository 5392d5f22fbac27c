import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openLog } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { decodeKrl, isRevoked } from '../../src/ssh/krl-reader.ts'
import { createPublicKeyLine } from '../app.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Running, runCli as run, startCli } from './run.ts'
import { createService } from './service.ts'

let idp: OidcIssuer
const running: Running[] = []
beforeAll(async () => {
  idp = await startOidcIssuer()
})
afterAll(() => idp.close())
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL')
})

/** Without the warnings about the configuration, which are another file's matter. */
const runCli: typeof run = async (argv, given) => {
  const outcome = await run(argv, given)
  return { ...outcome, stderr: outcome.stderr.replaceAll(/^warning: .*\n/gm, '') }
}
const start = async (cwd: string) => {
  const started = startCli(['serve'], { cwd })
  running.push(started)
  return { ...started, url: (await started.firstLine).replace('postern: ready on ', '') }
}
const ask = async (url: string, publicKey = createPublicKeyLine()) => {
  const answer = await fetch(`${url}/v1/certificates`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await idp.mintFor('maya')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ publicKey, host: 'web-1.example.com', login: 'deploy' }),
  })
  return (await answer.json()) as Record<'certificate' | 'serial' | 'code', string>
}
const isRefused = async (url: string, { certificate }: { readonly certificate: string }) => {
  const krl = decodeKrl(new Uint8Array(await (await fetch(`${url}/v1/krl`)).arrayBuffer()))
  return isRevoked(krl, parseCertificate(certificate))
}
const limits = `note: each host refuses them once it has the new list: within its next poll
note: sessions that are open go on: end them on the host
`

describe('postern revoke', () => {
  test('says what it reaches, revokes it, and says what that does not do', async () => {
    const cwd = await createService(idp.issuer)
    const { url } = await start(cwd)
    const [first, second] = [await ask(url), await ask(url)]
    const why = ['--reason', 'a laptop was stolen']
    expect(await runCli(['revoke', '--serial', first.serial, ...why], { cwd })).toEqual({
      code: 0,
      stdout: `revoked 1 certificate of 1 person: serial ${first.serial}\n`,
      stderr: `note: this reaches 1 certificate of 1 person\n${limits}`,
    })
    expect(await isRefused(url, first)).toBe(true)
    expect(await isRefused(url, second)).toBe(false)
    const again = await runCli(['revoke', '--serial', first.serial, ...why], { cwd })
    expect(again.stdout).toMatch(/^revoked already by local:\S+ at \S+Z: a laptop was stolen\n$/)

    const person = ['--issuer', idp.issuer, '--subject', 'u-1001']
    const dry = await runCli(['revoke', ...person, ...why, '--dry-run'], { cwd })
    expect(dry).toEqual({ code: 0, stdout: 'would revoke 1 certificate of 1 person\n', stderr: '' })
    expect(await isRefused(url, second)).toBe(false)
    expect((await runCli(['revoke', ...person, ...why], { cwd })).stdout).toBe(
      `revoked 1 certificate of 1 person: subject u-1001 of ${idp.issuer}\nnew certificates are refused until: postern unrevoke\n`,
    )
    expect(await isRefused(url, second)).toBe(true)
    expect(await ask(url)).toMatchObject({ code: 'subject_revoked' })
    expect(await runCli(['unrevoke', ...person, '--reason', 'it was found'], { cwd })).toEqual({
      code: 0,
      stdout: 'new certificates are issued again; those that were revoked stay so\n',
      stderr: '',
    })
    const third = await ask(url)

    writeFileSync(join(cwd, 'id.pub'), `${createPublicKeyLine()} maya@laptop\n`)
    const key = await runCli(['revoke', '--key', 'id.pub', ...why, '--json'], { cwd })
    expect(JSON.parse(key.stdout)).toMatchObject({
      certificates: 0,
      revocation: { refusesNew: true },
    })
    const since = await runCli(['revoke', '--after', '1h', ...why], { cwd })
    expect(since.stdout).toMatch(/^revoked 1 certificate of 1 person: issued from \S+Z\n$/)
    expect(await isRefused(url, third)).toBe(true)

    const { stdout } = await runCli(['revocations'], { cwd })
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(3).join(' | '))).toEqual([
      'what | new ones | why',
      expect.stringMatching(/^issued from \S+Z \|? ?\|? ?a laptop was stolen$/),
      expect.stringMatching(/^key SHA256:\S+ \| refused \| a laptop was stolen$/),
      `subject u-1001 of ${idp.issuer} | a laptop was stolen`,
      `serial ${first.serial} | a laptop was stolen`,
      '',
    ])
    const listed = await runCli(['audit', 'list', '--type', 'unrevoke'], { cwd })
    expect(listed.stdout).toContain(`subject u-1001 of ${idp.issuer}: it was found`)
  })

  // ATTACKS 222
  test('holds where the service is killed between its entry and its answer', async () => {
    const cwd = await createService(idp.issuer)
    const first = await start(cwd)
    const issued = await ask(first.url)
    const { config } = await loadConfig({ file: undefined, env: {}, cwd })
    const log = await openLog(config)
    const argv = ['revoke', '--serial', issued.serial, '--reason', 'a laptop was stolen']
    const order = runCli(argv, { cwd })
    await vi.waitFor(async () => expect(await log.find({ type: 'revoke' }, 1)).toHaveLength(1), {
      interval: 1,
      timeout: 10_000,
    })
    first.child.kill('SIGKILL')
    await Promise.all([first.ended, order, log.close()])
    const second = await start(cwd)
    expect(await isRefused(second.url, issued)).toBe(true)
    expect((await runCli(argv, { cwd })).stdout).toMatch(/^revoked already by /)
  })

  test('never sends a private key', async () => {
    const cwd = await createService(idp.issuer)
    const argv = ['revoke', '--key', 'user_ca', '--reason', 'x']
    expect(await runCli(argv, { cwd })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: This is no public key.\nhint: name a .pub file, or write the fingerprint as SHA256:…\n',
    })
  })

  test.each([
    [['revoke', '--serial', '1'], 'Say why: the log keeps it.'],
    [['unrevoke', '--key', 'SHA256:x'], 'Say why: the log keeps it.'],
    [
      ['revoke', '--subject', 'u-1', '--reason', 'x'],
      'A person is an issuer and a subject: name both.',
    ],
    [['revoke', '--key', 'missing.pub', '--reason', 'x'], 'The file of the key cannot be read.'],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await runCli(argv, { cwd: '/' })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^error: ${message.replaceAll('.', '\\.')}\nhint: `))
  })
})
