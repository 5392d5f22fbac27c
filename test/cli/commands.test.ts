import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runTool } from '../ca/tools.ts'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

describe('postern ca show', () => {
  test('prints a file sshd can take, and as JSON the same', async () => {
    const cwd = createDirectory()
    await runCli(['init'], { cwd })
    const { stdout } = await runCli(['ca', 'show'], { cwd })
    const file = join(cwd, 'user_ca.pub')
    writeFileSync(file, stdout)
    const fingerprint = runTool('ssh-keygen', ['-lf', file]).split(' ')[1]
    const [publicKey, comment] = stdout.split('\n')
    expect(comment).toBe(`# ${fingerprint}`)
    const json = await runCli(['ca', 'show', '--json'], { cwd })
    expect(JSON.parse(json.stdout)).toEqual({ publicKey, fingerprint })
  })

  test('refuses a key file others may read, by its exit code too (ATTACKS 61)', async () => {
    const cwd = createDirectory()
    await runCli(['init'], { cwd })
    chmodSync(join(cwd, 'user_ca'), 0o644)
    const { code, stdout, stderr } = await runCli(['ca', 'show'], { cwd })
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
    expect(stderr).toContain(`hint: chmod 600 ${cwd}/user_ca\n`)
  })
})

describe('postern policy check', () => {
  const broken = `rules:
  - name: a
    who: [everyone]
    hosts: []
    logins: [root]
    ttl: 5m
    tll: 5m
`
  test('names everything that is wrong with its place, and exits 1', async () => {
    const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': broken })
    const { code, stdout, stderr } = await runCli(['policy', 'check', 'rules'], { cwd })
    expect(code).toBe(1)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThanOrEqual(3)
    for (const line of lines) expect(line).toMatch(/a\.yaml:\d+:\d+: ./)
    expect(stderr).toBe(`error: ${lines.length} problems found.\n`)
  })

  test('says the same in JSON', async () => {
    const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': broken })
    const { code, stdout, stderr } = await runCli(['policy', 'check', 'rules', '--json'], { cwd })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const { ok, problems } = JSON.parse(stdout) as { ok: boolean; problems: { line: number }[] }
    expect(ok).toBe(false)
    expect(problems.map(({ line }) => line)).toContain(4)
  })

  test('of a directory that is not there is a problem, not a pass', async () => {
    const { code, stdout, stderr } = await runCli(['policy', 'check', 'none'], {
      cwd: createDirectory(),
    })
    expect(code).toBe(1)
    expect(stdout).not.toBe('')
    expect(stderr).toBe('error: 1 problem found.\n')
  })

  test('measures by ca.maxTtl where a configuration is named', async () => {
    const cwd = createDirectory()
    await runCli(['init'], { cwd })
    const env = { POSTERN_CONFIG: 'postern.yaml', POSTERN_CA_MAX_TTL: '5m' }
    const { code, stdout } = await runCli(['policy', 'check', 'policies'], { cwd, env })
    expect(code).toBe(1)
    expect(stdout).toMatch(/first\.yaml:\d+:\d+: .*5m/)
  })

  test('of no rule at all warns (ATTACKS 145)', async () => {
    const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': 'rules: []\n', 'none/.keep': '' })
    const { code, stderr } = await runCli(['policy', 'check', 'none'], { cwd })
    expect(code).toBe(0)
    expect(stderr).toMatch(/^warning: ./)
  })
})

describe('postern systemd', () => {
  test('prints a unit for this installation, closed down', async () => {
    const { code, stdout } = await runCli(['systemd', '--config', '/srv/my ca/postern.yaml'], {
      cwd: '/',
    })
    expect(code).toBe(0)
    expect(stdout).toContain(`\nExecStart=${process.execPath} --disable-sigusr1 `)
    expect(stdout).toContain(' serve --config "/srv/my ca/postern.yaml"\n')
    expect(stdout).toContain('\nReadWritePaths=-"/srv/my ca/data"\n')
    for (const line of [
      'LimitCORE=0',
      'UMask=0077',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
    ]) {
      expect(stdout).toContain(`\n${line}\n`)
    }
  })
})
