import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
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
    expect(comment).toBe(`# ${fingerprint} active`)
    const json = await runCli(['ca', 'show', '--json'], { cwd })
    expect(JSON.parse(json.stdout)).toMatchObject({
      publicKey,
      fingerprint,
      keys: [{ publicKey, fingerprint, state: 'active' }],
    })
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
    for (const line of lines) expect(line).toMatch(/a\.yaml:\d+:\d+: error: ./)
    expect(stderr).toBe(`error: ${lines.length} errors found.\n`)
  })

  test('says the same in JSON', async () => {
    const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': broken })
    const { code, stdout, stderr } = await runCli(['policy', 'check', 'rules', '--json'], { cwd })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: { line: number }[] }
    expect(ok).toBe(false)
    expect(findings.map(({ line }) => line)).toContain(4)
  })

  test('of a directory that is not there is a problem, not a pass', async () => {
    const { code, stdout, stderr } = await runCli(['policy', 'check', 'none'], {
      cwd: createDirectory(),
    })
    expect(code).toBe(1)
    expect(stdout).not.toBe('')
    expect(stderr).toBe('error: 1 error found.\n')
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
    const { code, stdout } = await runCli(['policy', 'check', 'none'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^\*\.yaml:1:1: warning: there are no rules, .*\nok: 0 rules .*; 1 warning\n$/,
    )
  })

  test('fails on warnings where it is told to, and says so in JSON too', async () => {
    const text = `rules:
  - name: root
    who: [{ oidc: { issuer: https://idp.example.com, groups: [ops] } }]
    hosts: [web-1]
    logins: [root]
    ttl: 5m
`
    const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': text })
    const run = (...more: string[]) => runCli(['policy', 'check', 'rules', ...more], { cwd })
    const line =
      'a.yaml:5:14: warning: root is given without a second factor and without a reason; add require: { mfa: true, reason: { minLength: 10 } }\n'
    const lenient = await run()
    expect(lenient).toEqual({
      code: 0,
      stdout: expect.stringMatching(/; 1 warning\n$/),
      stderr: '',
    })
    expect(lenient.stdout.startsWith(line)).toBe(true)
    expect(await run('--strict')).toEqual({
      code: 1,
      stdout: line,
      stderr: 'error: 1 warning found.\n',
    })
    expect(JSON.parse((await run('--json')).stdout)).toEqual({
      ok: true,
      rules: 1,
      files: ['a.yaml'],
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      findings: [
        {
          file: 'a.yaml',
          line: 5,
          column: 14,
          level: 'warning',
          code: 'root-ungated',
          message: 'root is given without a second factor and without a reason',
          advice: 'add require: { mfa: true, reason: { minLength: 10 } }',
        },
      ],
    })
    const strict = await run('--strict', '--json')
    expect(strict.code).toBe(1)
    expect(JSON.parse(strict.stdout)).toMatchObject({ ok: false })
  })
})

describe('postern schemas', () => {
  test('writes them where it is told, again too, and init beside what names them', async () => {
    const cwd = createDirectory()
    await runCli(['init', 'ca'], { cwd })
    const first = (name: string) => readFileSync(join(cwd, name), 'utf8').split('\n')[0]
    expect(first('ca/postern.yaml')).toBe('# yaml-language-server: $schema=schemas/config.json')
    expect(first('ca/policies/first.yaml')).toBe(
      '# yaml-language-server: $schema=../schemas/policy.json',
    )
    for (let time = 0; time < 2; time++) {
      expect(await runCli(['schemas', 'mine'], { cwd })).toEqual({
        code: 0,
        stdout: `${cwd}/mine/policy.json\n${cwd}/mine/policy-test.json\n${cwd}/mine/config.json\n`,
        stderr: '',
      })
    }
    for (const name of ['policy', 'policy-test', 'config']) {
      const text = readFileSync(join(cwd, `mine/${name}.json`), 'utf8')
      expect(readFileSync(join(cwd, `ca/schemas/${name}.json`), 'utf8')).toBe(text)
      expect(JSON.parse(text)).toMatchObject({ type: 'object', additionalProperties: false })
    }
  })

  test('says where it cannot write', async () => {
    const cwd = writeFiles(createDirectory(), { file: '' })
    const { code, stderr } = await runCli(['schemas', 'file/schemas'], { cwd })
    expect(code).toBe(78)
    expect(stderr).toMatch(/^error: The schemas cannot be written\.\ndetail: .*ENOTDIR/)
  })
})

describe('postern systemd', () => {
  test('prints a unit for this installation, closed down', async () => {
    const { code, stdout } = await runCli(['systemd', '--config', '/srv/my ca/postern.yaml'], {
      cwd: '/',
    })
    expect(code).toBe(0)
    expect(stdout).toContain('\nExecReload=/bin/kill -HUP $MAINPID\n')
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
