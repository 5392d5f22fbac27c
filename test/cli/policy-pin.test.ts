import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useDirectories } from '../fakes/directory.ts'
import { type Github, startGithub } from '../fakes/github.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

let github: Github
let server: string
beforeAll(async () => {
  github = await startGithub()
  server = new URL(github.apiUrl).host
})
afterAll(() => github.close())
beforeEach(() => {
  delete github.switches.trouble.publicUser
})

const format = (team: string, login: string) => `# Ours.
identities:
  platform:
    - github: { team: acme/platform${team}, server: "${server}" }
rules:
  - name: deploy                # with care
    who: [{ identities: platform }, { github: { login: maya${login}, server: "${server}" } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
`
const formatLoose = () => format('', '')
const pinnedTeam = ', teamId: "70", orgId: "9001"'

const write = (more: Readonly<Record<string, string>> = {}): string =>
  writeFiles(createDirectory(), {
    'policies/web.yaml': formatLoose(),
    'postern.yaml': `publicUrl: https://postern.example.com
ca: { userKey: key }
identity: { github: [{ clientId: Ov23liPostern, clientSecretFile: secret, apiUrl: "${github.apiUrl}" }] }
`,
    token: `${github.mintToken('maya')}\n`,
    ...more,
  })

const read = (cwd: string) => readFileSync(join(cwd, 'policies/web.yaml'), 'utf8')
const env = { POSTERN_TOKEN_FILE: 'token' }
const pin = (cwd: string, ...more: readonly string[]) =>
  runCli(['policy', 'pin', ...more], {
    cwd,
    env: { POSTERN_TOKEN_FILE: join(cwd, env.POSTERN_TOKEN_FILE) },
  })

describe('postern policy pin', () => {
  test('writes ids, shows them, keeps everything else, and names the schema', async () => {
    const cwd = write()
    expect(await pin(cwd)).toEqual({
      code: 0,
      stdout: `web.yaml:4: acme/platform: teamId: "70"
web.yaml:4: acme: orgId: "9001"
web.yaml:7: maya: id: "583231"
wrote 3 ids into 1 file
`,
      stderr: '',
    })
    const line = '# yaml-language-server: $schema=https://postern.example.com/schemas/policy.json\n'
    expect(read(cwd)).toBe(`${line}${format(pinnedTeam, ', id: "583231"')}`)
    expect(statSync(join(cwd, 'policies/web.yaml')).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(cwd, 'policies'))).toEqual(['web.yaml'])
    expect(await pin(cwd)).toMatchObject({ code: 0, stdout: 'nothing to write\n' })
    expect((await runCli(['policy', 'check', '--strict'], { cwd })).code).toBe(0)
  })

  test('writes nothing in a dry run', async () => {
    const cwd = write()
    const { code, stdout } = await pin(cwd, '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^web\.yaml:4: .*\nwould write 3 ids into 1 file\n$/s)
    expect(read(cwd)).toBe(formatLoose())
  })

  test('says the same in JSON', async () => {
    const { code, stdout } = await pin(write(), '--json', '--dry-run')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      written: false,
      problems: [],
      pins: [
        { file: 'web.yaml', line: 4, name: 'acme/platform', key: 'teamId', id: '70' },
        { file: 'web.yaml', line: 4, name: 'acme', key: 'orgId', id: '9001' },
        { file: 'web.yaml', line: 7, name: 'maya', key: 'id', id: '583231' },
      ],
    })
  })

  test('without a token writes what is public, and says what it lacks', async () => {
    const cwd = write()
    const { code, stdout, stderr } = await runCli(['policy', 'pin'], { cwd })
    expect(code).toBe(1)
    expect(stdout).toBe(`web.yaml:4: acme: orgId: "9001"
web.yaml:7: maya: id: "583231"
wrote 2 ids into 1 file
`)
    expect(
      stderr,
    ).toBe(`warning: web.yaml:4:23: there is no team acme/platform on ${server}, or none that may be seen
error: 1 name could not be pinned.
hint: teams, and what is not public, need POSTERN_TOKEN_FILE: a file with a GitHub token that has read:org
`)
  })

  test('shows GitHub no token of anybody else', async () => {
    const cwd = write({ token: 'eyJhbGciOiJub25lIn0.e30.\n' })
    const before = { ...github.requests }
    const { code, stderr } = await pin(cwd)
    expect(code).toBe(78)
    expect(stderr).toMatch(/^error: The file of POSTERN_TOKEN_FILE holds no GitHub token\.\n/)
    expect(stderr).not.toContain('eyJ')
    expect(github.requests).toEqual(before)
  })

  test('writes nothing where GitHub does not answer', async () => {
    const cwd = write()
    github.switches.trouble.publicUser = 'rate-limited'
    const { code, stderr } = await pin(cwd)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: GitHub does not answer: try again in a moment\.\ndetail: /)
    expect(read(cwd)).toBe(formatLoose())
  })

  test('names a schema that stands beside the policy', async () => {
    const cwd = write()
    await runCli(['schemas'], { cwd })
    await pin(cwd)
    expect(read(cwd).split('\n')[0]).toBe('# yaml-language-server: $schema=../schemas/policy.json')
  })

  test('writes nothing that would no longer load', async () => {
    const tests = `tests:
  - name: maya deploys
    who: { github: { id: "1", server: "${server}" } }
    ask: { host: web-1.example.com, login: deploy }
    expect: { allow: deploy }
`
    // The organisation's members are named by a rule; the test's person has no membership with an id.
    const text = `rules:
  - name: deploy
    who: [{ github: { org: acme, server: "${server}" } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
${tests.replace('id: "1",', 'id: "1", orgs: [{ org: acme }],')}`
    const cwd = write({ 'policies/web.yaml': text })
    const { code, stderr } = await pin(cwd)
    expect(code).toBe(1)
    expect(stderr).toContain('so nothing was written')
    expect(read(cwd)).toBe(text)
  })
})
