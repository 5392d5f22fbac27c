import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { loadConfig } from '../../src/config.ts'
import { openStore } from '../../src/store/index.ts'
import { runTool } from '../ca/tools.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, denyEntry, startEntry } from '../fakes/entries.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('postern init', () => {
  test('makes what serve needs, closed to others, and says what is next (ATTACKS 338)', async () => {
    const cwd = createDirectory()
    const { code, stdout, stderr } = await runCli(['init', 'ca'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const dir = join(cwd, 'ca')
    expect(
      ['', 'data', 'policies', 'postern.yaml', 'user_ca', 'policies/first.yaml'].map((name) =>
        modeOf(join(dir, name)),
      ),
    ).toEqual(['700', '700', '700', '600', '600', '600'])

    const shown = await runCli(['ca', 'show'], { cwd: dir })
    const [line = '', fingerprint = ''] = shown.stdout.split('\n')
    expect(line).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]+$/)
    expect(fingerprint).toMatch(/^# SHA256:/)
    expect(stdout).toBe(`Made:
  ${dir}/postern.yaml         the configuration
  ${dir}/user_ca              the CA key: it signs for every host that trusts it; keep a copy offline
  ${dir}/policies/first.yaml  a first policy, an example
  ${dir}/data                 for the log

Next:
  1. Name your identity provider under "identity" in ca/postern.yaml.
  2. Say who may reach what in ${dir}/policies/first.yaml, then: postern policy check --config ca/postern.yaml
  3. postern serve --config ca/postern.yaml
  4. On each host, as root: put this line into /etc/ssh/postern/user_ca.pub
       ${line}
     and into /etc/ssh/sshd_config.d/50-postern.conf
       TrustedUserCAKeys /etc/ssh/postern/user_ca.pub
       AuthorizedPrincipalsFile /etc/ssh/postern/principals/%u
     with the line LOGIN@HOST in /etc/ssh/postern/principals/LOGIN.
`)
  })

  test('writes a policy that loads without a warning, and a configuration that serve refuses alone', async () => {
    const cwd = createDirectory()
    expect((await runCli(['init'], { cwd })).code).toBe(0)
    const checked = await runCli(['policy', 'check'], { cwd })
    expect(checked).toMatchObject({ code: 0, stderr: '' })
    expect(checked.stdout).toMatch(/^ok: 1 rule in 1 file, sha256 [0-9a-f]{64}\n$/)
    expect(await runCli(['serve'], { cwd })).toEqual({
      code: 78,
      stdout: '',
      stderr: `error: No identity provider is configured: nobody could ask.\nhint: add one under identity in ${cwd}/postern.yaml; "postern init" writes an example of each\n`,
    })
  })

  test('writes a configuration whose every line may be uncommented', async () => {
    const cwd = createDirectory()
    await runCli(['init'], { cwd })
    const file = join(cwd, 'postern.yaml')
    const text = readFileSync(file, 'utf8')
    // A passphrase goes with a file, the agent's socket with a key in it: both are shown.
    const whole = text.replace(/^( *)#([a-zA-Z-])/gm, '$1$2')
    expect(whole).not.toBe(text)
    writeFileSync(file, whole)
    const { config, warnings } = await loadConfig({ env: {}, cwd })
    expect(warnings).toEqual([])
    expect(config.identity.oidc).toHaveLength(1)
    expect(config.identity.github).toHaveLength(1)
    expect(config.tls).toBeDefined()
    expect(config.ca.userKeyPassphraseFile).toBe(join(cwd, 'user_ca.passphrase'))
  })

  test.each(['postern.yaml', 'user_ca', 'policies/first.yaml'])(
    'leaves everything as it is where there is a %s',
    async (name) => {
      const cwd = writeFiles(createDirectory(), { [name]: 'mine' })
      expect(await runCli(['init'], { cwd })).toEqual({
        code: 1,
        stdout: '',
        stderr: `error: ${cwd}/${name} exists already; nothing was written.\nhint: name another directory: postern init DIR\n`,
      })
      expect(readFileSync(join(cwd, name), 'utf8')).toBe('mine')
      const others = ['postern.yaml', 'user_ca', 'policies/first.yaml'].filter((n) => n !== name)
      expect(others.filter((other) => existsSync(join(cwd, other)))).toEqual([])
    },
  )

  test('does not write through a link to nowhere', async () => {
    const cwd = createDirectory()
    symlinkSync(join(cwd, 'elsewhere'), join(cwd, 'user_ca'))
    const { code, stderr } = await runCli(['init'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain(`${cwd}/user_ca exists already; nothing was written.`)
    expect(existsSync(join(cwd, 'elsewhere'))).toBe(false)
  })

  test('says where it could not write', async () => {
    const cwd = writeFiles(createDirectory(), { file: '' })
    const { code, stderr } = await runCli(['init', 'file/ca'], { cwd })
    expect(code).toBe(78)
    expect(stderr).toMatch(
      /^error: The directory cannot be written\.\ndetail: .*ENOTDIR.*\nhint: ls -ld /,
    )
  })
})

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

describe('postern audit', () => {
  let cwd = ''
  const rightToLeft = '\u202eayam'

  beforeAll(async () => {
    cwd = createDirectory()
    await runCli(['init'], { cwd })
    const log = await createLog({ store: await openStore(join(cwd, 'data/postern.db')) })
    await log.append(startEntry)
    await log.append(allowEntry(2))
    await log.append(
      denyEntry(3, {
        time: '2026-11-22T11:00:00Z',
        identity: { ...allowEntry(3).identity, name: rightToLeft },
        ask: { host: 'web-1.example.com', login: 'root', fingerprint: 'SHA256:x', reason: 'a\nb' },
      }),
    )
    await log.append(denyEntry(4, { code: 'invalid_token', reason: 'Not accepted.' }))
    await log.close()
  })

  const list = async (...argv: string[]) => {
    const { code, stdout, stderr } = await runCli(['audit', 'list', '--json', ...argv], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return (JSON.parse(stdout) as { seq: number }[]).map(({ seq }) => seq)
  }

  test('list prints the newest first, aligned, with hostile text written out (ATTACKS 198)', async () => {
    const { code, stdout, stderr } = await runCli(['audit', 'list'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(
      [
        '#  time                  type   who                 login@host                rule        what',
        '4  2026-11-22T10:00:00Z  deny                                                             invalid_token: Not accepted.',
        '3  2026-11-22T11:00:00Z  deny   \\u{202e}ayam (u-3)  root@web-1.example.com                policy_denied: No rule lets you do this.',
        '2  2026-11-22T10:00:00Z  allow  maya (u-2)          deploy@web-2.example.com  deploy-job  serial 4611686018427387906 until 2026-11-22T10:05:00Z',
        '1  2026-11-22T09:00:00Z  start                                                            version 0.1.0, CA SHA256:ca',
        '',
      ].join('\n'),
    )
  })

  test.each([
    [
      ['--limit', '2'],
      [4, 3],
    ],
    [['--type', 'allow'], [2]],
    [['--person', 'maya'], [2]],
    [['--person', 'u-3'], [3]],
    [['--host', 'web-1.example.com'], [3]],
    [['--login', 'deploy'], [2]],
    [['--rule', 'deploy-job'], [2]],
    [['--since', '2026-11-22T10:30:00Z'], [3]],
    [['--since', '2026-11-22T12:30:00+02:00'], [3]],
    [['--since', '2026-11-23'], []],
    [['--type', 'deny', '--login', 'root'], [3]],
    [['--person', 'nobody'], []],
  ])('list %j finds %j', async (argv, seqs) => {
    expect(await list(...argv)).toEqual(seqs)
  })

  test('list says so where nothing matches', async () => {
    expect(await runCli(['audit', 'list', '--login', 'nobody'], { cwd })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'note: no entry matches\n',
    })
  })

  test.each(['2', '4611686018427387906', 'req_2'])('show finds the entry by %s', async (name) => {
    const { code, stdout } = await runCli(['audit', 'show', name], { cwd })
    expect(code).toBe(0)
    const facts = new Map(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/) as [string, string]),
    )
    expect(Object.fromEntries(facts)).toMatchObject({
      entry: '2',
      type: 'allow',
      'identity.name': 'maya',
      'identity.groups': 'platform',
      'rule.file': 'policies/web.yaml',
      'certificate.principals': 'deploy@web-2.example.com',
      'certificate.serial': '4611686018427387906',
    })
    expect(facts.get('hash')).toMatch(/^[0-9a-f]{64}$/)
  })

  test('show writes hostile text out (ATTACKS 198)', async () => {
    const { stdout } = await runCli(['audit', 'show', '3'], { cwd })
    expect(stdout).toMatch(/\nidentity\.name +\\u\{202e\}ayam\n/)
    expect(stdout).toMatch(/\nask\.reason +a\\u\{a\}b\n/)
  })

  test('show as JSON is the entry with its place', async () => {
    const { stdout } = await runCli(['audit', 'show', '3', '--json'], { cwd })
    const [entry] = JSON.parse(stdout) as Record<string, unknown>[]
    expect(entry).toMatchObject({ seq: 3, type: 'deny', identity: { name: rightToLeft } })
  })

  test.each(['5', '0', '99999999999999999999', 'req_none', "' OR 1=1 --"])(
    'show %s finds nothing, and exits 1',
    async (name) => {
      expect(await runCli(['audit', 'show', '--', name], { cwd })).toEqual({
        code: 1,
        stdout: '',
        stderr: 'error: The log has no such entry, serial or request.\nhint: postern audit list\n',
      })
    },
  )

  test('verify reads the whole log', async () => {
    const { code, stdout, stderr } = await runCli(['audit', 'verify'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ok: 4 entries\nnewest: 4 [0-9a-f]{64}\n$/)
    const json = await runCli(['audit', 'verify', '--json'], { cwd })
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, count: 4, head: { seq: 4 } })
  })

  test('verify shows how far it is on a terminal', async () => {
    const { stderr } = await runCli(['audit', 'verify'], { cwd, isTTY: true })
    expect(stderr).toContain('verified 4 of 4')
  })

  test('verify names the first bad entry, and exits 1', async () => {
    const other = createDirectory()
    await runCli(['init'], { cwd: other })
    const store = await openStore(join(other, 'data/postern.db'))
    const log = await createLog({ store })
    await log.append(startEntry)
    await log.append(denyEntry(2))
    // A row that does not follow: as whoever writes the file past the service would leave it.
    const head = await store.head()
    const rows = await store.read(2, 1)
    const [row] = rows
    if (row === undefined) throw new Error('no row')
    await store.append([{ seq: 3, body: row.body, hash: row.hash }], head)
    await log.close()
    const { code, stdout, stderr } = await runCli(['audit', 'verify'], { cwd: other })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^error: Entry 3 does not verify: ./)
    const json = await runCli(['audit', 'verify', '--json'], { cwd: other })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, seq: 3 })
  })

  test.each(['list', 'verify'])('%s says where there is no log yet', async (command) => {
    const fresh = createDirectory()
    await runCli(['init'], { cwd: fresh })
    const { code, stdout, stderr } = await runCli(['audit', command], { cwd: fresh })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^error: There is no log yet\.\n/)
    expect(existsSync(join(fresh, 'data/postern.db'))).toBe(false)
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
