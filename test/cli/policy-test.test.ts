import { describe, expect, test } from 'vitest'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const policy = `identities:
  ops: [{ github: { team: acme/ops, teamId: "7", orgId: "9" } }]
rules:
  - name: deploy
    who: [{ identities: ops }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    extensions: [permit-pty]
    ttl: 5m
  - name: mail
    who: [{ identities: ops }]
    hosts: [mail.example.com]
    logins: [deploy]
    ttl: 5m
`
const maya =
  '{ github: { id: "583231", login: maya, teams: [{ team: acme/ops, teamId: "7", orgId: "9" }] } }'
const sam =
  '{ github: { id: "583232", login: sam, teams: [{ team: acme/dev, teamId: "8", orgId: "9" }] } }'
const ask = 'ask: { host: web-1.example.com, login: deploy }'

const write = (tests: string, more: Readonly<Record<string, string>> = {}): string =>
  writeFiles(createDirectory(), { 'rules/web.yaml': `${policy}${tests}`, ...more })

const good = `tests:
  - { name: ops deploys, who: ${maya}, ${ask}, expect: { allow: deploy, ttl: 5m, principals: [deploy@web-1.example.com], extensions: [permit-pty] } }
`
const bad = `tests:
  - { name: dev deploys, who: ${sam}, ${ask}, expect: { allow: deploy } }
  - { name: ops may wait, who: ${maya}, ${ask}, expect: { allow: deploy, ttl: 10m, extensions: [] } }
`

describe('postern policy test', () => {
  test('runs the tests of the files and of *.test.yaml', async () => {
    const cwd = write(good, {
      'rules/web.test.yaml': `tests:\n  - { name: dev does not, who: ${sam}, ${ask}, expect: { deny: policy_denied } }\n`,
    })
    expect(await runCli(['policy', 'test', 'rules'], { cwd })).toEqual({
      code: 0,
      stdout: 'ok: 2 tests passed\n',
      stderr: '',
    })
  })

  test('shows of each failure what was expected, what was got, and the trace', async () => {
    const cwd = write(good, { 'rules/web.test.yaml': bad })
    const { code, stdout, stderr } = await runCli(['policy', 'test', 'rules'], { cwd })
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'error: 2 of 3 tests failed.\n' })
    expect(stdout).toBe(`web.test.yaml:2:1: dev deploys
  expected allow by deploy, got deny: No rule lets you log in to web-1.example.com as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.
  rule deploy (web.yaml:4): allow, passed over
    no   who: needs ops (team acme/ops (id 7)); has GitHub user 583232 (sam), in org acme, team acme/dev (id 8)
    yes  hosts: needs web-*.example.com; has web-1.example.com
    yes  logins: needs deploy; has deploy
web.test.yaml:3:1: ops may wait
  expected ttl 10m, got 5m
  expected extensions [], got [permit-pty]
  rule deploy (web.yaml:4): allow, decides
    yes  who: needs ops (team acme/ops (id 7)); has GitHub user 583231 (maya), in org acme, team acme/ops (id 7)
    yes  hosts: needs web-*.example.com; has web-1.example.com
    yes  logins: needs deploy; has deploy
    yes  commands: needs no command; has no command
    yes  ttl: needs a ttl of at most 5m; has 5m
    yes  principals: needs principals {login}@{host}, each at most 286 characters; has deploy@web-1.example.com
`)
  })

  test('says the same in JSON', async () => {
    const cwd = write(good, { 'rules/web.test.yaml': bad })
    const { code, stdout, stderr } = await runCli(['policy', 'test', 'rules', '--json'], { cwd })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      tests: [
        { name: 'dev deploys', file: 'web.test.yaml', line: 2, ok: false },
        { name: 'ops may wait', explanation: { decision: { kind: 'allow' } } },
        { name: 'ops deploys', ok: true, problems: [] },
      ],
    })
  })

  test('keeps a policy whose tests fail from loading, wherever they stand', async () => {
    const cwd = write(good, { 'rules/web.test.yaml': bad })
    const { code, stdout } = await runCli(['policy', 'check', 'rules'], { cwd })
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^web\.test\.yaml:2:\d+: error: test "dev deploys": expected allow by deploy, got deny/m,
    )
  })

  test('finds no rule in a *.test.yaml, and says so', async () => {
    const cwd = write(good, { 'rules/more.test.yaml': policy })
    const { code, stderr } = await runCli(['policy', 'test', 'rules'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain(
      'error: more.test.yaml:3:1: rules: a *.test.yaml holds tests alone; move this to another file\n',
    )
  })

  test('warns where there are none', async () => {
    expect(await runCli(['policy', 'test', 'rules'], { cwd: write('') })).toEqual({
      code: 0,
      stdout: 'ok: 0 tests passed\n',
      stderr: 'warning: there are no tests; write some under "tests:"\n',
    })
  })
})
