/**
 * What an older log that was put back has forgotten beside certificates: revocations and freezes. The
 * README's runbook has them ordered again, and what is lost revoked by its key, for its serial is in no
 * entry. And the same runbook on another machine, of which nothing but the copies is left. ATTACKS 197
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createServed, type Served } from '../cli/served.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { execute } from '../tools.ts'

let issuer: OidcIssuer
let { cwd, cli, pathOf, serve, ask, issue, putBack } = {} as Served
beforeEach(async () => {
  issuer = await startOidcIssuer()
  ;({ cwd, cli, pathOf, serve, ask, issue, putBack } = await createServed(issuer))
})
afterEach(() => issuer.close())

/** Whether sshd would take the certificate, by the list that hosts are given now. */
const isRevoked = async (url: string, certificate: string): Promise<boolean> => {
  const response = await fetch(`${url}/v1/krl`)
  writeFileSync(pathOf('krl'), new Uint8Array(await response.arrayBuffer()))
  writeFileSync(pathOf('cert.pub'), `${certificate}\n`)
  const { code, stdout } = await execute('ssh-keygen', ['-Q', '-f', 'krl', 'cert.pub'], { cwd })
  expect(stdout).toMatch(code === 1 ? /: REVOKED\n$/ : /: ok\n$/)
  return code === 1
}

const makeKey = async () => {
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', pathOf('id')])
  const { stdout } = await execute('ssh-keygen', ['-l', '-f', pathOf('id.pub')])
  return {
    publicKey: readFileSync(pathOf('id.pub'), 'utf8').trim(),
    fingerprint: stdout.split(' ')[1] as string,
  }
}

test('revocations and freezes since the copy are forgotten, and are ordered again', async () => {
  const { publicKey, fingerprint } = await makeKey()
  const { serial, certificate } = await serve(async (url) => {
    expect((await cli('backup', 'copy.db')).code).toBe(0)
    const issued = await issue(url, publicKey)
    expect((await cli('revoke', '--serial', issued.serial, '--reason', 'stolen')).code).toBe(0)
    expect((await cli('freeze', '--reason', 'stolen')).code).toBe(0)
    expect(await isRevoked(url, issued.certificate)).toBe(true)
    return issued
  })
  await putBack(pathOf('copy.db'))
  await serve(
    async (url) => {
      await ask(url)
      expect(await isRevoked(url, certificate)).toBe(false)
      expect((await cli('revocations')).stderr).toBe('note: nothing was ever revoked\n')
      // Its serial says nothing to a log that has lost its entry. Its key stands in the host's own log.
      expect(await cli('revoke', '--serial', serial, '--reason', 'stolen')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('error: No certificate of this serial was issued'),
      })
      expect((await cli('revoke', '--key', fingerprint, '--reason', 'stolen')).code).toBe(0)
      expect(await isRevoked(url, certificate)).toBe(true)
      expect((await cli('freeze', '--reason', 'as before')).code).toBe(0)
    },
    { rollback: true },
  )
  const { stdout } = await cli('audit', 'list', '--json')
  const types = (JSON.parse(stdout) as { type: string }[]).map(({ type }) => type).toReversed()
  expect(types).toEqual([
    ...['start', 'policy', 'rollback', 'start', 'policy', 'allow', 'revoke', 'freeze'],
  ])
})

/** The copies that the runbook of a backup asks for, in a new dataDir, and nothing else. */
const moveAway = async (checkpoints: string | undefined) => {
  const keys = ['log.key', 'trust.key'].map(
    (name) => [`data/${name}`, readFileSync(pathOf(`data/${name}`))] as const,
  )
  rmSync(pathOf('data'), { recursive: true })
  mkdirSync(pathOf('data'), { mode: 0o700 })
  for (const [name, bytes] of keys) writeFileSync(pathOf(name), bytes, { mode: 0o600 })
  if (checkpoints !== undefined) writeFileSync(pathOf('data/checkpoints'), checkpoints)
  await putBack(pathOf('copy.db'))
}

test('another machine notices what the copy lacks by a checkpoint that somebody kept', async () => {
  await serve(async (url) => {
    await ask(url)
    expect((await cli('backup', 'copy.db')).code).toBe(0)
    await ask(url)
  })
  const kept = await serve(async (url) => (await fetch(`${url}/v1/audit/checkpoint`)).text())
  await moveAway(kept)
  await expect(serve(ask)).rejects.toMatchObject({ code: 'log_rollback' })
  await serve(ask, { rollback: true })
  const { stdout } = await cli('audit', 'search', '--type', 'rollback', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ seq: 4, lost: { from: 4, to: 6 } })
  expect(await cli('audit', 'verify')).toMatchObject({ code: 0, stderr: '' })
  // Whoever kept that checkpoint hears of the rollback, and that it is no proof of anything else.
  writeFileSync(pathOf('kept.txt'), kept)
  expect(await cli('audit', 'verify', '--against', 'kept.txt')).toMatchObject({
    code: 1,
    stderr:
      'error: Entry 1 does not verify: from it to entry 6 the log was written anew: they are not what the checkpoint was signed over.\nhint: entry 4 says that entries 4 to 6 of an earlier log were given up, and the checkpoint counts some of those: judge by a newer one as well\n',
  })
})

test('and without one takes the copy for the whole log, as nothing says otherwise', async () => {
  await serve(async (url) => {
    await ask(url)
    expect((await cli('backup', 'copy.db')).code).toBe(0)
    await ask(url)
  })
  await moveAway(undefined)
  await serve(ask)
  const { stdout } = await cli('audit', 'list', '--json')
  expect(stdout).not.toContain('rollback')
  expect((await cli('audit', 'verify', '--against', 'copy.db.checkpoint')).code).toBe(0)
})
