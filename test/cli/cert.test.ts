import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { formatTime } from '../../src/lib/clock.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, startEntry } from '../fakes/entries.ts'
import { runCli } from './run.ts'

const createDirectory = useDirectories()
const timeOf = (seconds: number) => formatTime(new Date(Date.now() + seconds * 1000))
const [issued, until] = [timeOf(-60), timeOf(3600)]
const serials = [2, 3, 4].map((n) => (2n ** 62n + BigInt(n)).toString())

describe('postern cert', () => {
  let cwd = ''
  beforeAll(async () => {
    cwd = createDirectory()
    await runCli(['init'], { cwd })
    const log = await createLog({ store: await openStore(join(cwd, 'data/postern.db')) })
    const { identity, ask, certificate } = allowEntry(4)
    await log.append(startEntry)
    await log.append(allowEntry(2))
    await log.append(allowEntry(3))
    await log.append(
      allowEntry(4, {
        identity: { ...identity, name: '\u202eayam' },
        ask: { ...ask, login: 'root', reason: '=1+1' },
        time: issued,
        certificate: { ...certificate, validAfter: timeOf(-120), validBefore: until },
      }),
    )
    const request = { id: 'req_9', address: '192.0.2.1' }
    const target = { kind: 'subject', issuer: identity.issuer, subject: 'u-3' } as const
    await log.append({
      type: 'revoke',
      time: allowEntry(3).time,
      request,
      identity,
      reason: 'a stolen laptop',
      target,
    })
    await log.close()
  })
  const cert = (...argv: string[]) => runCli(['cert', ...argv], { cwd })

  test('list prints a table, newest first, with hostile text written out (ATTACKS 198)', async () => {
    const { code, stdout, stderr } = await cert('list')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'serial who login@host rule issued until status',
      `${serials[2]} \\u{202e}ayam (u-4) root@web-4.example.com deploy-job ${issued} ${until} active`,
      expect.stringContaining(`${serials[1]} maya (u-3) deploy@web-3.example.com`),
      expect.stringContaining(`${serials[0]} maya (u-2) deploy@web-2.example.com`),
      '',
    ])
  })

  test.each([
    [['--subject', 'u-3'], [1]],
    [['--subject', 'u-3', '--issuer', 'https://other.example.com'], []],
    [['--host', 'web-2.example.com'], [0]],
    [['--login', 'root'], [2]],
    [
      ['--rule', 'deploy-job'],
      [2, 1, 0],
    ],
    [['--serial', serials[1] as string], [1]],
    [['--status', 'active', '--login', 'root'], [2]],
    [['--status', 'revoked'], [1]],
    [['--since', '2200-01-01'], []],
    [
      ['--limit', '2'],
      [2, 1],
    ],
    [
      ['--all', '--limit', '1'],
      [2, 1, 0],
    ],
  ])('list %j finds them, as lines of JSON', async (argv, found) => {
    const { code, stdout } = await cert('list', '--json', ...argv)
    expect(code).toBe(0)
    const lines = stdout.split('\n').slice(0, -1)
    expect(lines.map((line) => JSON.parse(line).serial)).toEqual(found.map((at) => serials[at]))
  })

  test('list says where there are more, and where there are none', async () => {
    expect((await cert('list', '--limit', '1')).stderr).toBe(
      'note: there may be more: --all prints every one\n',
    )
    const none = await cert('list', '--subject', 'nobody')
    expect(none).toEqual({ code: 0, stdout: '', stderr: 'note: no certificate matches\n' })
  })

  test('list writes CSV in which no cell is a formula (ATTACKS 206)', async () => {
    const { code, stdout } = await cert('list', '--csv')
    expect(code).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^serial,status,issued_at,/)
    expect(lines[1]).toContain(`"'=1+1"`)
    expect(lines[1]).toContain('\\u{202e}ayam')
    expect(lines).toHaveLength(5)
  })

  test('show prints one in full', async () => {
    const { code, stdout } = await cert('show', serials[2] as string)
    expect(code).toBe(0)
    expect(stdout).toContain('status       active\n')
    expect(stdout).toContain('rule         deploy-job (policies/web.yaml:7)\n')
    const { stdout: json } = await cert('show', serials[2] as string, '--json')
    expect(JSON.parse(json)).toMatchObject({ serial: serials[2], status: 'active', login: 'root' })
  })

  test('show says by whom one was revoked, when and why', async () => {
    const { stdout } = await cert('show', serials[1] as string)
    expect(stdout).toContain('status       revoked\n')
    expect(stdout).toContain(`revoked      ${allowEntry(3).time} by maya: a stolen laptop\n`)
  })

  test.each(['1', 'x', ''])('show says that serial %j was never issued', async (serial) => {
    expect(await cert('show', serial)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: No certificate with this serial was issued.\nhint: postern cert list\n',
    })
  })
})
