import { describe, expect, test } from 'vitest'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const text = `rules:
  - name: dev
    who: [{ github: { team: acme/dev } }]
    hosts: ["web-*"]
    logins: [deploy]
    when: { through: 2026-11-30, zone: UTC }
    ttl: 5m
`
const maya = '{ github: { id: "583231", login: maya, teams: [acme/dev] } }'

const explain = (...argv: readonly string[]) => {
  const cwd = writeFiles(createDirectory(), { 'rules/a.yaml': text })
  return runCli(['policy', 'explain', 'rules', '--at', '2026-11-22T10:00:00Z', ...argv], { cwd })
}

describe('postern policy explain', () => {
  test('prints each rule, the answer, and the certificate that would be written', async () => {
    const { code, stdout, stderr } = await explain(
      ...['--as', maya, '--host', 'web-1', '--login', 'deploy'],
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(`rule dev (a.yaml:2): allow, decides
  yes  who: needs team acme/dev; has GitHub user 583231 (maya), in org acme, team acme/dev
  yes  hosts: needs web-*; has web-1
  yes  logins: needs deploy; has deploy
  yes  when: needs through 2026-11-30 (UTC); has 2026-11-22T10:00:00Z
  yes  commands: needs no command; has no command
  yes  ttl: needs a ttl of at most 5m; has 5m
  yes  principals: needs principals {login}@{host}, each at most 286 characters; has deploy@web-1

allow by rule dev (a.yaml:2)
  It holds only through 2026-11-30 (UTC).
  Without rule dev (a.yaml:2) no rule would allow it.
The certificate that would be written:
  principals  deploy@web-1
  ttl         5m
  until       2026-11-22T10:05:00Z
`)
  })

  test('exits 1 where the answer is no, and says what would change it, in JSON too', async () => {
    const argv = ['--as', maya, '--host', 'db-1', '--login', 'deploy']
    const { code, stdout, stderr } = await explain(...argv)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'note: rules that do not name the host: 1; --all prints them\n',
    })
    expect(stdout).toContain(
      'deny, policy_denied: No rule lets you log in to db-1 as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.\n',
    )
    const json = JSON.parse((await explain(...argv, '--json')).stdout) as Record<string, unknown>
    expect(json).toMatchObject({
      at: '2026-11-22T10:00:00Z',
      decision: { kind: 'deny', code: 'policy_denied' },
      rules: [{ rule: { name: 'dev', file: 'a.yaml', line: 2 }, outcome: 'passed' }],
      advice: ['rule dev (a.yaml:2) would decide, but hosts needs web-*; has db-1.'],
    })
    expect(json).not.toHaveProperty('certificate')
  })

  test.each([
    [['--host', 'web-1', '--login', 'deploy'], 'error: --as is missing.'],
    [['--as', maya, '--login', 'deploy'], 'error: --host is missing.'],
    [
      ['--as', '{ github: { id: 583231 } }', '--host', 'web-1', '--login', 'deploy'],
      'error: --as: github.id: must stand in quotes: "583231".',
    ],
    [['--as', '{', '--host', 'web-1', '--login', 'deploy'], 'error: --as: '],
  ])('refuses %j as usage', async (argv, message) => {
    const { code, stdout, stderr } = await explain(...argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })
})
