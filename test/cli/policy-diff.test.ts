import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const text = (hosts: string, ttl = '5m') => `rules:
  - name: dev
    who: [{ github: { team: acme/dev } }]
    hosts: [${hosts}]
    logins: [deploy]
    ttl: ${ttl}
`
const gained = '+ team acme/dev may now be deploy on db-* [dev, a.yaml:2]\n'

describe('postern policy diff', () => {
  const files = {
    'old/a.yaml': text('"web-*"'),
    'same/a.yaml': `# a comment\n${text('web-*')}`,
    'wide/a.yaml': text('"web-*", "db-*"'),
    'bad/a.yaml': text('[]'),
  }
  test.each([
    [['old', 'same'], 0, 'Nothing changes for anybody.\n'],
    [['old', 'wide'], 3, gained],
    [['wide', 'old'], 4, '- team acme/dev loses deploy on db-* [dev, a.yaml:2]\n'],
  ])('of %j exits %i', async (argv, code, stdout) => {
    const cwd = writeFiles(createDirectory(), files)
    const result = await runCli(['policy', 'diff', ...argv], { cwd })
    expect(result).toEqual({ code, stdout, stderr: '' })
  })

  test('says the same in JSON', async () => {
    const cwd = writeFiles(createDirectory(), files)
    const { code, stdout } = await runCli(['policy', 'diff', 'old', 'wide', '--json'], { cwd })
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({
      widens: true,
      isWhole: true,
      changes: [{ kind: 'gain', people: ['team acme/dev'], words: gained.slice(2, -1) }],
    })
  })

  test.each([
    [
      ['old'],
      'error: Name the directory as it is to be: no configuration here does.\nhint: postern policy diff old NEW, or postern policy diff --git HEAD old\n',
    ],
    [[], 'error: Name the directory as it was.'],
    [['old', 'bad'], 'error: a.yaml:4:'],
    [['bad', 'old'], 'error: a.yaml:4:'],
  ])('fails for %j by a code that is no harmless change', async (argv, message) => {
    const cwd = writeFiles(createDirectory(), files)
    const { code, stderr } = await runCli(['policy', 'diff', ...argv], { cwd })
    expect([1, 2, 78]).toContain(code)
    expect(stderr).toContain(message)
  })
})

describe('postern policy diff --git', () => {
  const commit = () => {
    const cwd = writeFiles(createDirectory(), { 'policies/a.yaml': text('"web-*"'), other: 'x' })
    const env = { PATH: process.env['PATH'] ?? '', HOME: cwd }
    const git = (...argv: readonly string[]) =>
      execFileSync(
        'git',
        ['-C', cwd, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...argv],
        { env },
      )
    git('init', '-q')
    git('add', '.')
    git('commit', '-q', '-m', 'one')
    return { cwd, env, git }
  }

  test('compares with the directory as a commit has it', async () => {
    const { cwd, env } = commit()
    const diff = () => runCli(['policy', 'diff', '--git', 'HEAD', 'policies'], { cwd, env })
    expect(await diff()).toMatchObject({ code: 0, stdout: 'Nothing changes for anybody.\n' })
    writeFiles(cwd, { 'policies/a.yaml': text('"web-*", "db-*"') })
    expect(await diff()).toEqual({ code: 3, stdout: gained, stderr: '' })
  })

  test.each(['nowhere', '--output=x', 'HEAD:policies', '$(touch x)'])(
    'refuses %j, which is no commit',
    async (revision) => {
      const { cwd, env } = commit()
      const { code, stdout, stderr } = await runCli(
        ['policy', 'diff', `--git=${revision}`, 'policies'],
        { cwd, env },
      )
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(
        `error: ${JSON.stringify(revision)} is no commit of the repository of ${join(cwd, 'policies')}.\n`,
      )
    },
  )

  test('follows no link in a commit', async () => {
    const { cwd, env, git } = commit()
    execFileSync('ln', ['-s', '../other', join(cwd, 'policies/b.yaml')])
    git('add', '.')
    git('commit', '-q', '-m', 'two')
    const { code, stderr } = await runCli(['policy', 'diff', '--git', 'HEAD', 'policies'], {
      cwd,
      env,
    })
    expect(code).toBe(1)
    expect(stderr).toContain(
      'b.yaml:1:1: is not a file in this commit; links are not followed there',
    )
  })
})
