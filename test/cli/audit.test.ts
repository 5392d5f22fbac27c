import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { run } from '../../src/cli/index.ts'
import type { Sink } from '../../src/cli/output.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, startEntry } from '../fakes/entries.ts'
import { runCli } from './run.ts'

const createDirectory = useDirectories()

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

  test('search prints every match, newest first', async () => {
    const { code, stdout } = await runCli(['audit', 'search', '--person', 'maya'], { cwd })
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.slice(0, 33))).toEqual([
      '#  time                  type   w',
      '2  2026-11-22T10:00:00Z  allow  m',
      '',
    ])
    const none = await runCli(['audit', 'search', '--host', 'nowhere'], { cwd })
    expect(none).toEqual({ code: 0, stdout: '', stderr: 'note: no entry matches\n' })
  })

  test.each([
    [[], [1, 2, 3, 4]],
    [
      ['--type', 'deny'],
      [3, 4],
    ],
    [['--until', '2026-11-22T10:00:00Z'], [1]],
    [
      ['--since', '2026-11-22T10:00:00Z', '--until', '2026-11-22T11:00:00Z'],
      [2, 4],
    ],
    [['--person', 'nobody'], []],
  ])('export %j writes %j, oldest first, as lines of JSON', async (argv, seqs) => {
    const { code, stdout, stderr } = await runCli(['audit', 'export', ...argv], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n').slice(0, -1)
    expect(lines.map((line) => JSON.parse(line).seq)).toEqual(seqs)
    const found = await runCli(['audit', 'search', '--json', ...argv], { cwd })
    expect(found.stdout.split('\n').slice(0, -1)).toEqual(lines.toReversed())
  })

  test('export writes CSV in which nothing hostile stands as it is (ATTACKS 206, 198)', async () => {
    const { code, stdout } = await runCli(['audit', 'export', '--format', 'csv'], { cwd })
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines).toHaveLength(6)
    expect(lines[0]).toMatch(/^seq,time,type,code,issuer,/)
    expect(lines[3]).toContain('"\\u{202e}ayam"')
    expect(lines[3]).toContain('"a\\u{a}b"')
  })

  test('export shows how far it is, on a terminal', async () => {
    const { stderr } = await runCli(['audit', 'export'], { cwd, isTTY: true })
    expect(stderr).toContain(`[${'#'.repeat(30)}] 100 %  entry 4 of 4, 4 written`)
  })

  test('search shows how far it is, on a terminal, and nothing of it stays there', async () => {
    const argv = ['audit', 'search', '--type', 'allow', '--json']
    const { stderr } = await runCli(argv, { cwd, isTTY: true })
    const wipe = '\r\u001b[2K'
    expect(stderr).toBe(
      `${wipe}${wipe}[${'#'.repeat(23)}${' '.repeat(7)}]  75 %  entry 2 of 4, 1 found${wipe}`,
    )
  })

  test.each([
    [
      ['export', '--format', 'xml'],
      "option '--format <format>' argument 'xml' is invalid. Write jsonl or csv.",
    ],
    [
      ['search', '--until', 'soon'],
      "option '--until <time>' argument 'soon' is invalid. Write a duration as 24h, or a time as 2026-11-22T10:00:00Z.",
    ],
  ])('%j is refused', async (argv, message) => {
    const { code, stderr } = await runCli(['audit', ...argv], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain(message)
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

  test('verify says which file there is not, and that a directory is none', async () => {
    const verify = async (file: string) => {
      const key = 'x.example.com/log+904e30b6+AaaaadK85GIkO0EByYn+9CyAgl6e0KBoVWDlGPhZcYlr'
      const argv = ['audit', 'verify', '--against', file, '--signed-by', key]
      return runCli(argv, { cwd })
    }
    expect(await verify('none.txt')).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: There is no file of that name.\ndetail: ${join(cwd, 'none.txt')}\nhint: curl -fsS https://postern.example.com/v1/audit/checkpoint > checkpoint.txt\n`,
    })
    expect((await verify('data')).stderr).toBe(
      'error: The checkpoint cannot be read.\ndetail: EISDIR: illegal operation on a directory, read\n',
    )
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

describe('a log of many entries', () => {
  const pageSize = 500
  const count = 1_300
  let cwd = ''
  beforeAll(async () => {
    cwd = createDirectory()
    await runCli(['init'], { cwd })
    const store = await openStore(join(cwd, 'data/postern.db'))
    await store.append(chainRows(Array.from({ length: count }, (_, n) => allowEntry(n))), undefined)
    await store.close()
  })

  /** Somebody who takes what has been written only when asked, or goes away after the first time. */
  const read = async (argv: readonly string[], isLeaving = false) => {
    const taken: number[] = []
    let untaken = 0
    let leave = (_error: NodeJS.ErrnoException) => {}
    const stdout: Sink = {
      get writableLength() {
        return untaken
      },
      write(text, done) {
        untaken += text.split('\n').length - 1
        if (done === undefined) return
        setTimeout(() => {
          if (untaken > 0) taken.push(untaken)
          untaken = 0
          if (isLeaving) leave(Object.assign(new Error('gone'), { code: 'EPIPE' }))
          done()
        }, 1)
      },
      on: (_event, listener) => {
        leave = listener
      },
    }
    const code = await run(['audit', ...argv], { stdout, stderr: { write() {} }, env: {}, cwd })
    return { code, taken }
  }

  test.each([
    { argv: ['export'], titles: 0 },
    { argv: ['export', '--format', 'csv'], titles: 1 },
    { argv: ['search'], titles: 1 },
    { argv: ['search', '--json'], titles: 0 },
  ])(
    '$argv writes no further ahead than a page, and stops once nobody reads',
    async ({ argv, titles }) => {
      const whole = await read(argv)
      expect(whole.code).toBe(0)
      expect(Math.max(...whole.taken)).toBeLessThanOrEqual(pageSize + titles)
      const written = whole.taken.reduce((sum, lines) => sum + lines, 0)
      expect(written).toBeGreaterThanOrEqual(count)
      expect(written).toBeLessThanOrEqual(count + 3 * titles)
      expect(await read(argv, true)).toEqual({ code: 0, taken: [pageSize + titles] })
    },
  )
})
