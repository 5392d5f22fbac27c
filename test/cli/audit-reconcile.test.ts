import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, startEntry } from '../fakes/entries.ts'
import { runCli } from './run.ts'

const createDirectory = useDirectories()
const { certificate, ask } = allowEntry(2)

const format = (changes: Partial<{ keyId: string; serial: string; ca: string; end: string }>) => {
  const { keyId, serial, ca, end } = { ...certificate, end: '', ...changes }
  return `Nov 22 10:01:00 web-2 sshd[1]: Accepted publickey for deploy from 192.0.2.7 port 5 ssh2: ED25519-CERT ${ask.fingerprint} ID ${keyId} (serial ${serial}) CA ED25519 ${ca}${end}\n`
}

describe('postern audit reconcile', () => {
  let cwd = ''
  beforeAll(async () => {
    cwd = createDirectory()
    await runCli(['init'], { cwd })
    const log = await createLog({ store: await openStore(join(cwd, 'data/postern.db')) })
    await log.append(startEntry)
    await log.append(allowEntry(2))
    await log.close()
    writeFileSync(join(cwd, 'good.log'), `${format({})}nothing of interest\n${format({})}`)
    writeFileSync(
      join(cwd, 'bad.log'),
      `first\n${format({ serial: '4242', keyId: '\u001b[2J\u202ex' })}`,
    )
  })
  const reconcile = (...argv: string[]) => runCli(['audit', 'reconcile', ...argv], { cwd })

  test('says of a log that all is accounted for, and exits 0', async () => {
    expect(await reconcile('good.log')).toEqual({
      code: 0,
      stdout: '2 logins by certificate, 0 findings\n',
      stderr: '',
    })
  })

  test('names file, line, login and serial of each finding, and exits 3', async () => {
    const { code, stdout, stderr } = await reconcile('good.log', 'bad.log')
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' })
    expect(stdout).toMatch(
      /^bad\.log:2: 20\d\d-11-22T10:01:00Z deploy on web-2, serial 4242: never-issued: no certificate with this serial was issued: whoever made it holds the CA key, or the log has lost its entry\n3 logins by certificate, 1 finding\n$/,
    )
  })

  test('writes lines of JSON, in which nothing hostile stands as it is (ATTACKS 198)', async () => {
    const { code, stdout } = await reconcile('--json', 'bad.log')
    expect(code).toBe(3)
    for (const char of ['\u001b', '\u202e']) expect(stdout).not.toContain(char)
    const [finding, end] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(finding).toMatchObject({
      kind: 'never-issued',
      file: 'bad.log',
      line: 2,
      host: 'web-2',
      keyId: '\u001b[2J\u202ex',
      serial: '4242',
    })
    expect(end).toEqual({
      summary: { logins: 1, foreign: 0, findings: 1, unknown: 0, untimed: 0 },
    })
  })

  test('counts what it could not look at', async () => {
    const file = join(cwd, 'odd.log')
    writeFileSync(file, format({ ca: 'SHA256:theirs' }))
    appendFileSync(file, format({}).replace(/^.*?: /, ''))
    appendFileSync(file, format({}).replace('sshd[1]', 'logger'))
    expect(await reconcile('odd.log')).toEqual({
      code: 0,
      stdout: '2 logins by certificate, 0 findings\n',
      stderr: [
        'note: signed by another CA than ours, and not looked at: 1',
        'note: without a time, so that only the rest could be checked: 1',
        'note: lines of logins in a form that is not known: 1',
        '',
      ].join('\n'),
    })
  })

  test.each([
    [['nowhere.log'], 1, 'error: The log nowhere.log cannot be read.\n'],
    [['.'], 1, 'error: The log . cannot be read.\n'],
    [[], 2, "error: missing required argument 'file'.\n"],
    [['--offset', 'CET', 'good.log'], 2, "error: option '--offset <+hh:mm>' argument 'CET'"],
    [['--tolerance', 'long', 'good.log'], 2, "error: option '--tolerance <duration>'"],
  ])('refuses %j', async (argv, code, message) => {
    const outcome = await reconcile(...argv)
    expect(outcome).toMatchObject({ code, stdout: '' })
    expect(outcome.stderr).toContain(message)
  })
})
