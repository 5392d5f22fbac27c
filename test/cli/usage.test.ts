import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/index.ts'
import { variables } from '../../src/config/variables.ts'
import { runCli } from './run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cwd = '/nonexistent'

describe('the command line', () => {
  test('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(await runCli(['--version'], { cwd })).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    })
  })

  test('lists every command in its help', async () => {
    const { code, stdout, stderr } = await runCli(['--help'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const { name } of commands) expect(stdout).toContain(`\n  ${name.split(' ')[0]} `)
    expect(stdout).toContain('\nExamples:\n  $ postern init /etc/postern\n')
  })

  test.each(commands)('explains $name, with examples that it would run', async (command) => {
    const { code, stdout } = await runCli([...command.name.split(' '), '--help'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain(command.summary.slice(0, 40))
    expect(stdout).toContain('--config <file>')
    expect(command.examples.length).toBeGreaterThan(0)
    for (const example of command.examples) {
      expect(stdout).toContain(`  $ ${example}\n`)
      expect(example.startsWith(`postern ${command.name}`)).toBe(true)
    }
  })

  test.each(['ca', 'policy', 'audit'])('explains the group %s', async (group) => {
    const { code, stdout } = await runCli([group, '--help'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain(`\nExamples:\n  $ postern ${group} `)
  })

  test.each([[[]], [['audit']]])('alone is no command: %j', async (argv) => {
    const { code, stdout, stderr } = await runCli(argv, { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^Usage: postern/)
  })

  test.each([
    [['serv'], "unknown command 'serv'.", 'did you mean serve?'],
    [['audit', 'lst'], "unknown command 'lst'.", 'did you mean list?'],
    [['entirely', 'other'], "unknown command 'entirely'.", 'postern --help'],
    [['audit', 'list', '--limt', '3'], "unknown option '--limt'.", 'did you mean --limit?'],
    [['serve', '--confg', 'x'], "unknown option '--confg'.", 'did you mean --config?'],
    [['serve', '--config'], "option '--config <file>' argument missing.", 'postern serve --help'],
    [['audit', 'show'], "missing required argument 'entry'.", 'postern audit show --help'],
    [
      ['serve', 'now'],
      "too many arguments for 'serve'. Expected 0 arguments but got 1: now.",
      'postern serve --help',
    ],
    [
      ['audit', 'list', '--limit', '0'],
      "option '--limit <number>' argument '0' is invalid. Write a number from 1 to 1000.",
      'postern audit list --help',
    ],
    [
      ['audit', 'list', '--type', 'denied'],
      "option '--type <type>' argument 'denied' is invalid. Write one of allow, deny, error, refusals, start, policy, policy-error, freeze, unfreeze, revoke, unrevoke, rollback, ca-key, host-invite, host-enrol, host-remove, read.",
      'postern audit list --help',
    ],
    [
      ['audit', 'list', '--since', 'yesterday'],
      "option '--since <time>' argument 'yesterday' is invalid. Write a duration as 24h, or a time as 2026-11-22T10:00:00Z.",
      'postern audit list --help',
    ],
    [['serve\u001b[2K'], "unknown command 'serve\\u{1b}[2K'.", 'postern --help'],
  ])('refuses %j with exit 2 and the nearest', async (argv, message, hint) => {
    expect(await runCli(argv, { cwd })).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${message}\nhint: ${hint}\n`,
    })
  })

  test.each([
    [['--config', 'a.yaml', 'audit', 'list']],
    [['audit', '--config', 'a.yaml', 'list']],
    [['audit', 'list', '--config', 'a.yaml']],
    [['audit', 'list', '--config=a.yaml']],
  ])('takes --config anywhere: %j', async (argv) => {
    const { code, stderr } = await runCli(argv, { cwd, env: { POSTERN_CONFIG: 'b.yaml' } })
    expect({ code, stderr }).toEqual({
      code: 78,
      stderr:
        'error: The configuration a.yaml cannot be read.\nhint: name it with --config FILE, or make one: postern init\n',
    })
  })
})

describe('no switch (ATTACKS 114, 332)', () => {
  const flags = commands.flatMap(({ options = [] }) => options.map((option) => option.flags))

  test('of the command line weakens a check or takes a secret', () => {
    expect(flags.length).toBeGreaterThan(5)
    const wrong =
      /debug|dev|insecure|skip|unsafe|force|no-|disable|trust|verify|secret|token|pass|key/i
    // What is forced is said before, and stands in the entry (rotate.ts).
    // The key to revoke is a public one, and anything else is not sent (revoke.ts).
    const known = ['--force', '--key <key>']
    expect(flags.filter((text) => wrong.test(text) && !known.includes(text))).toEqual([])
  })

  test('of the environment or the configuration does either', () => {
    const wrong = /DEBUG|DEV|INSECURE|SKIP|UNSAFE|FORCE|DISABLE|VERIFY|SECRET(?!_FILE)|TOKEN/
    expect([...variables.keys()].filter((name) => wrong.test(name))).toEqual([])
  })

  test('is read from a variable that no table names', () => {
    const source = join(root, 'src')
    const reading = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) =>
        [
          ...readFileSync(join(source, name), 'utf8').matchAll(/\benv(?:\.|\[['"])([A-Z][A-Z_]+)/g),
        ].map(([, variable]) => `${name}: ${variable}`),
      )
    expect(reading.sort()).toEqual([
      'cli/commands/login.ts: DISPLAY',
      'cli/commands/login.ts: POSTERN_URL',
      'cli/commands/login.ts: WAYLAND_DISPLAY',
      'cli/commands/policy-pin.ts: POSTERN_TOKEN_FILE',
      'cli/commands/ssh-config.ts: HOME',
      'cli/commands/systemd.ts: POSTERN_CONFIG',
      'cli/output.ts: NO_COLOR',
      'cli/policies.ts: POSTERN_CONFIG',
      'cli/process.ts: NODE_OPTIONS',
      'cli/process.ts: NODE_TLS_REJECT_UNAUTHORIZED',
      'cli/service.ts: POSTERN_TOKEN_FILE',
      'cli/service.ts: SUDO_USER',
      'config.ts: POSTERN_CONFIG',
      'config.ts: SSH_AUTH_SOCK',
      'config/secret.ts: CREDENTIALS_DIRECTORY',
      'desk/login/index.ts: ACTIONS_ID_TOKEN_REQUEST_TOKEN',
      'desk/login/index.ts: ACTIONS_ID_TOKEN_REQUEST_URL',
      'desk/login/index.ts: POSTERN_ID_TOKEN',
      'desk/places.ts: HOME',
      'desk/places.ts: XDG_STATE_HOME',
    ])
  })
})
