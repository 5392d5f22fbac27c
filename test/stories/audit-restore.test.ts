/**
 * The runbooks of the README, walked: a backup while the service runs, the log judged by it, a
 * database that is lost, and a backup of yesterday put back. ATTACKS 196, 197
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runOffline } from '../../src/audit/offline.ts'
import { openReader } from '../../src/store/index.ts'
import { createServed, type Served } from '../cli/served.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { run } from '../fakes/process.ts'
import { mayMount } from '../soak/disk.ts'

let issuer: OidcIssuer
let { cwd, cli, pathOf, serve, ask, putBack, tamper } = {} as Served
beforeEach(async () => {
  issuer = await startOidcIssuer()
  ;({ cwd, cli, pathOf, serve, ask, putBack, tamper } = await createServed(issuer))
})
afterEach(() => issuer.close())

describe('a backup', () => {
  test('is made while the service runs, holds everything until then, and no key', async () => {
    const serial = await serve(async (url) => {
      expect((await cli('ca', 'next')).code).toBe(0)
      expect((await cli('ca', 'activate')).code).toBe(0)
      const issued = await ask(url)
      // What a backup leaves that was killed.
      writeFileSync(pathOf('copy.db.partial'), 'half a database')
      const { code, stdout } = await cli('backup', 'copy.db', '--json')
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ entries: 6, file: pathOf('copy.db') })
      expect(await cli('backup', 'other.db')).toMatchObject({
        code: 0,
        stderr:
          'note: no key is in it: keep copies of ca.userKey, and of keys, trust.key and log.key in dataDir, apart from it\n',
      })
      await ask(url)
      return issued
    })
    expect(statSync(pathOf('copy.db')).mode & 0o777).toBe(0o600)
    expect(existsSync(pathOf('copy.db.partial'))).toBe(false)
    const written = ['copy.db', 'copy.db.checkpoint'].map((name) =>
      readFileSync(pathOf(name), 'latin1'),
    )
    const [made] = readdirSync(pathOf('data/keys'))
    const keys = ['user_ca', 'data/log.key', 'data/trust.key', `data/keys/${made}`].map((name) =>
      readFileSync(pathOf(name), 'latin1'),
    )
    expect(written[0]).toContain(serial)
    expect(written[0]).not.toContain('PRIVATE KEY')
    for (const key of keys) {
      const secret = key.split('\n').find((line) => line.length > 40) ?? ''
      expect(secret.slice(-40)).toHaveLength(40)
      for (const text of written) expect(text).not.toContain(secret.slice(-40))
    }
    const { code, stdout } = await cli('audit', 'verify', '--against', 'copy.db.checkpoint')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ok: 7 entries\nsigned: 6 \S{44}\nnewest: 7 [0-9a-f]{64}\n$/)

    // Put back without the key that signs, it says which one is missing, and what to do.
    await putBack(pathOf('copy.db'))
    renameSync(pathOf('data/keys'), pathOf('elsewhere'))
    await expect(serve(ask, { rollback: true })).rejects.toMatchObject({
      message: expect.stringMatching(/^The active CA key, SHA256:\S+, cannot be opened: /),
      hint: expect.stringMatching(
        /; where it is lost, name another key in ca\.userKey and start once with postern serve --accept-ca$/,
      ),
    })
    renameSync(pathOf('elsewhere'), pathOf('data/keys'))
    await serve(ask, { rollback: true })
  })

  test('overwrites nothing, and is not made of a log that does not verify', async () => {
    await serve(ask)
    expect(await cli('backup', 'postern.yaml')).toMatchObject({
      code: 1,
      stderr: `error: ${pathOf('postern.yaml')} exists already; nothing was written.\nhint: name another file: postern backup FILE\n`,
    })
    tamper(`UPDATE entries SET body = replace(body, '"deploy"', '"Deploy"') WHERE seq = 3`)
    expect(await cli('backup', 'copy.db')).toMatchObject({
      code: 1,
      stderr:
        'error: No backup was made: entry 3 does not verify: its hash is not the hash of its text.\nhint: postern audit verify\n',
    })
    expect(readdirSync(cwd).filter((name) => name.startsWith('copy'))).toEqual([])
  })

  test('is not made of a log that has lost entries which were signed', async () => {
    await serve(async (url) => {
      for (let n = 0; n < 2; n++) await ask(url)
    })
    tamper('DELETE FROM entries WHERE seq > 3')
    expect(await cli('backup', 'copy.db')).toMatchObject({
      code: 1,
      stderr:
        'error: No backup was made: entry 4 does not verify: it is missing: the checkpoint counts 4 entries.\nhint: postern audit verify\n',
    })
    expect(readdirSync(cwd).filter((name) => name.startsWith('copy'))).toEqual([])
  })

  test('of a log that is being written is whole, and has all that was answered before', async () => {
    await serve(async (url) => {
      const serials: string[] = []
      let isOver = false
      const work = Array.from({ length: 4 }, async () => {
        while (!isOver) serials.push(await ask(url))
      })
      for (let n = 1; n <= 3; n++) {
        await expect.poll(() => serials.length, { timeout: 20_000 }).toBeGreaterThan(n * 20)
        const answered = [...serials]
        const { code, stdout } = await cli('backup', `copy-${n}.db`, '--json')
        expect(code).toBe(0)
        const { entries } = JSON.parse(stdout) as { readonly entries: number }
        const reader = await openReader(pathOf(`copy-${n}.db`))
        const rows = await reader.read(1, 100_000)
        await reader.close()
        expect(rows).toHaveLength(entries)
        const held = new Set(rows.map(({ body }) => /"serial":"(\d+)"/.exec(body)?.[1]))
        expect(answered.filter((serial) => !held.has(serial))).toEqual([])
      }
      isOver = true
      await Promise.all(work)
      for (let n = 1; n <= 3; n++) {
        const file = `copy-${n}.db.checkpoint`
        expect((await cli('audit', 'verify', '--against', file)).code).toBe(0)
      }
    })
  })

  test('says where it cannot be written, and leaves nothing there', async () => {
    await serve(ask)
    expect(await cli('backup', 'none/copy.db')).toMatchObject({
      code: 1,
      stderr: `error: The backup cannot be written there.\ndetail: ENOENT: no such file or directory, open '${pathOf('none/copy.db.partial')}'\nhint: name a file in a directory that exists and may be written\n`,
    })
    if (!mayMount()) return
    mkdirSync(pathOf('small'))
    await run('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', pathOf('small')])
    try {
      expect(await cli('backup', 'small/copy.db')).toMatchObject({
        code: 1,
        stderr: `error: The backup cannot be written: there is no room.\nhint: make room in ${pathOf('small')}, or name a file elsewhere\n`,
      })
      expect(readdirSync(pathOf('small'))).toEqual([])
    } finally {
      await run('umount', ['--lazy', pathOf('small')])
    }
  })

  test('before the first start is of nothing', async () => {
    expect(await cli('backup', 'copy.db')).toMatchObject({
      code: 1,
      stderr:
        'error: There is no key of the log yet.\nhint: `postern serve` makes log.key in dataDir at its first start\n',
    })
  })
})

describe('the runbook of a lost database', () => {
  test('leads back to a service, and the loss is on the record', async () => {
    await serve(async (url) => {
      await ask(url)
      expect((await cli('backup', 'copy.db')).code).toBe(0)
      await ask(url)
      await ask(url)
    })
    await putBack(pathOf('copy.db'))
    // The copy is whole; what the log's own checkpoints say of it is the loss.
    expect((await cli('audit', 'verify', '--against', 'copy.db.checkpoint')).code).toBe(0)
    expect(await cli('audit', 'verify')).toMatchObject({
      code: 1,
      stderr: 'error: Entry 4 does not verify: it is missing: the checkpoint counts 5 entries.\n',
    })
    // By the real command, with its exit code: audit-readme.test.ts
    await expect(serve(ask)).rejects.toMatchObject({
      code: 'log_rollback',
      message:
        'The log ends at entry 3, and its newest checkpoint counts 5: an older log was put back, or its newest entries were removed.',
      hint: 'put the newest log back; where that one is lost for good: postern serve --accept-rollback',
    })

    await serve(ask, { rollback: true })
    const { stdout } = await cli('audit', 'list', '--json')
    const entries = (JSON.parse(stdout) as Record<string, unknown>[]).toReversed()
    expect(entries.map(({ type }) => type)).toEqual([
      'start',
      'policy',
      'allow',
      'rollback',
      'start',
      'policy',
      'allow',
    ])
    expect(entries[3]).toMatchObject({
      lost: { from: 4, to: 5 },
      checkpoint: { size: 5, root: expect.stringMatching(/^\S{44}$/) },
      expiredBy: expect.any(String),
    })
    const { time, expiredBy } = entries[3] as Record<string, string>
    expect(Date.parse(expiredBy as string) - Date.parse(time as string)).toBe(3_600_000)
    expect((await cli('audit', 'verify')).code).toBe(0)
    // From here on it starts as ever.
    await serve(ask)
  })

  test('without any backup begins a new log, and the loss of all of it is on the record', async () => {
    await serve(ask)
    for (const name of readdirSync(pathOf('data'))) {
      if (name.startsWith('postern.db')) rmSync(pathOf(`data/${name}`))
    }
    await expect(serve(ask)).rejects.toThrow('The log ends at entry 0,')
    await serve(ask, { rollback: true })
    const { stdout } = await cli('audit', 'list', '--json')
    expect(JSON.parse(stdout)).toContainEqual(
      expect.objectContaining({ seq: 1, type: 'rollback', lost: { from: 1, to: 3 } }),
    )
  })

  test('the flag alone accepts nothing where nothing is lost', async () => {
    await serve(ask)
    await serve(ask, { rollback: true })
    const { stdout } = await cli('audit', 'list', '--json')
    expect(stdout).not.toContain('rollback')
  })
})

describe('a checkpoint that somebody kept', () => {
  test('shows that the newest entries were removed, or all made anew', async () => {
    await serve(async (url) => {
      for (let n = 0; n < 3; n++) await ask(url)
    })
    // At its end the service has signed all of it, and somebody asked for that at the next start.
    const kept = await serve(async (url) => (await fetch(`${url}/v1/audit/checkpoint`)).text())
    const { stdout: key } = await cli('audit', 'key')
    await copyFile(pathOf('data/checkpoints'), pathOf('elsewhere.txt'))
    expect(readFileSync(pathOf('elsewhere.txt'), 'utf8')).toContain(kept)

    // Whoever may write the data may write all of it, the checkpoints and the tree as well.
    tamper('DELETE FROM entries WHERE seq > 4')
    rmSync(pathOf('data/checkpoints'))
    rmSync(pathOf('data/tree'), { recursive: true })
    expect((await cli('audit', 'verify')).code).toBe(0)
    const found = await cli('audit', 'verify', '--against', 'elsewhere.txt', '--signed-by', key)
    expect(found).toMatchObject({
      code: 1,
      stderr: 'error: Entry 5 does not verify: it is missing: the checkpoint counts 7 entries.\n',
    })
    const json = await cli('audit', 'verify', '--against', 'elsewhere.txt', '--json')
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, seq: 5, checkpoint: { size: 7 } })
  })

  test('stands wherever audit.checkpoints says, and judges the start from there', async () => {
    mkdirSync(pathOf('elsewhere'))
    appendFileSync(pathOf('postern.yaml'), 'audit: { checkpoints: elsewhere/checkpoints }\n')
    await serve(ask)
    expect(existsSync(pathOf('data/checkpoints'))).toBe(false)
    expect(readFileSync(pathOf('elsewhere/checkpoints'), 'utf8')).toMatch(/log\n2\n.*log\n3\n/s)
    tamper('DELETE FROM entries WHERE seq > 2')
    rmSync(pathOf('data/tree'), { recursive: true })
    await expect(serve(ask)).rejects.toMatchObject({ code: 'log_rollback' })
    expect(await cli('audit', 'verify')).toMatchObject({
      code: 1,
      stderr: 'error: Entry 3 does not verify: it is missing: the checkpoint counts 3 entries.\n',
    })
  })

  test.each([
    ['none', 'none.txt', 'There is no file of that name.'],
    [
      'a file of something else',
      'postern.yaml',
      'This is no signed checkpoint: give the text of GET /v1/audit/checkpoint, whole.',
    ],
  ])('is refused where it is %s', async (_what, name, message) => {
    await serve(ask)
    const { code, stderr } = await cli('audit', 'verify', '--against', name)
    expect({ code, error: stderr.split('\n')[0] }).toEqual({ code: 1, error: `error: ${message}` })
  })

  test('judges an export without the service and its database', async () => {
    await serve(ask)
    const { stdout: key } = await cli('audit', 'key')
    const { stdout } = await cli('audit', 'export')
    const lines = stdout.split('\n')
    const file = pathOf('export.jsonl')
    writeFileSync(file, stdout)
    const argv = [pathOf('data/checkpoints'), file, '--key', key.trim()]
    expect(await runOffline(argv)).toEqual({ code: 0, text: 'ok: 3 entries, 3 of them signed' })
    writeFileSync(file, `${lines.slice(0, 2).join('\n')}\n`)
    expect(await runOffline(argv)).toEqual({
      code: 1,
      text: 'error: entry 3 does not verify: it is missing: the checkpoint counts 3 entries',
    })
  })
})
