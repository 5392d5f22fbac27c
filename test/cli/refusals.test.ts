import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli, writeFiles } from './run.ts'
import { createDirectory, createService } from './service.ts'

/** Nobody is there: none of these gets as far as asking. */
const issuer = 'http://127.0.0.1:9'

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
    const cwd = await createService(issuer)
    const { code, stderr } = await refuse(cwd, { [name]: value })
    expect(code).toBe(78)
    expect(stderr).toContain(`error: ${message}`)
    expect(existsSync(join(cwd, 'data/postern.db'))).toBe(false)
  })

  test('a key file that others may read, and names the command (ATTACKS 61)', async () => {
    const cwd = await createService(issuer)
    chmodSync(join(cwd, 'user_ca'), 0o640)
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr: `error: Other users may read or change the CA key file.\nhint: chmod 600 ${cwd}/user_ca\n`,
    })
  })

  test('a missing key, and makes no new one (ATTACKS 62)', async () => {
    const cwd = await createService(issuer)
    rmSync(join(cwd, 'user_ca'))
    const { code, stderr } = await refuse(cwd)
    expect(code).toBe(78)
    expect(stderr).toMatch(/^error: The CA key file does not exist\.\n/)
    expect(existsSync(join(cwd, 'user_ca'))).toBe(false)
  })

  test('a truncated key, and leaves it as it is (ATTACKS 62)', async () => {
    const cwd = await createService(issuer)
    const half = readFileSync(join(cwd, 'user_ca'), 'utf8').slice(0, 60)
    writeFileSync(join(cwd, 'user_ca'), half)
    expect((await refuse(cwd)).code).toBe(78)
    expect(readFileSync(join(cwd, 'user_ca'), 'utf8')).toBe(half)
  })

  test('a passphrase file that others may read (ATTACKS 333, 338)', async () => {
    const cwd = await createService(issuer, { ca: ', userKeyPassphraseFile: pass' })
    writeFiles(cwd, { pass: 'secret' })
    chmodSync(join(cwd, 'pass'), 0o644)
    expect(await refuse(cwd)).toEqual({
      code: 78,
      stderr: `error: The secret file ${cwd}/pass can be read or written by others.\nhint: chmod 600 ${cwd}/pass\n`,
    })
  })

  test('a client secret that others may read (ATTACKS 333)', async () => {
    const cwd = await createService(issuer, {
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
    const cwd = await createService(issuer)
    writeFileSync(join(cwd, 'policies/web.yaml'), text)
    const { code, stderr } = await refuse(cwd)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).toContain(`hint: postern policy check ${cwd}/policies\n`)
  })

  test('a policy directory that is gone (ATTACKS 156)', async () => {
    const cwd = await createService(issuer)
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
