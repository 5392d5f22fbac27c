/**
 * The README's steps of an upgrade, walked: a backup, a log in the shape of the first release, a start of
 * this one on it, and the way back from a newer one. No entry is written anew on the way.
 */
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Row } from '../../src/audit/store.ts'
import { openReader } from '../../src/store/index.ts'
import { migrate, migrations } from '../../src/store/migrations.ts'
import { createServed, type Served } from '../cli/served.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'

let issuer: OidcIssuer
let { cli, pathOf, serve, ask, putBack } = {} as Served
beforeEach(async () => {
  issuer = await startOidcIssuer()
  ;({ cli, pathOf, serve, ask, putBack } = await createServed(issuer))
})
afterEach(() => issuer.close())

const readLog = async (): Promise<readonly Row[]> => {
  const reader = await openReader(pathOf('data/postern.db'))
  const rows = await reader.read(1, 1_000)
  await reader.close()
  return rows
}

/** The same entries in the shape that the database had at first. */
const makeOld = async (): Promise<readonly Row[]> => {
  const rows = await readLog()
  const path = pathOf('data/postern.db')
  rmSync(path)
  const connection = new Database(path)
  connection.pragma('journal_mode = WAL', { simple: true })
  migrate(connection, migrations.slice(0, 1))
  const insert = connection.prepare('INSERT INTO entries (seq, body, hash) VALUES (?, ?, ?)')
  for (const { seq, body, hash } of rows) insert.run(seq, body, hash)
  connection.close()
  return rows
}

describe('an upgrade', () => {
  test('takes a log of the first shape as it is, and goes on with it', async () => {
    await serve(async (url) => {
      for (let n = 0; n < 3; n++) await ask(url)
      expect((await cli('backup', 'copy.db')).code).toBe(0)
    })
    const before = await makeOld()
    const { stdout } = await cli('audit', 'search', '--person', 'maya', '--json')
    expect(stdout.split('\n').slice(0, -1), 'the new commands read the old log').toHaveLength(3)

    await serve(ask)
    expect((await readLog()).slice(0, before.length)).toEqual(before)
    expect(await cli('audit', 'verify', '--against', 'copy.db.checkpoint')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^ok: 8 entries\nsigned: 5 /),
    })
    expect((await cli('audit', 'verify')).stdout).toMatch(/^ok: 8 entries\nsigned: 8 /)
    const found = await cli('audit', 'search', '--person', 'maya', '--json')
    expect(found.stdout.split('\n').slice(0, -1)).toHaveLength(4)
  })

  test('from before there were checkpoints signs the log as it is', async () => {
    await serve(ask)
    const before = await makeOld()
    for (const name of ['log.key', 'checkpoints', 'tree', 'trust.key']) {
      rmSync(pathOf(`data/${name}`), { recursive: true })
    }
    await serve(ask)
    expect((await readLog()).slice(0, before.length)).toEqual(before)
    expect((await cli('audit', 'verify')).stdout).toMatch(/^ok: 6 entries\nsigned: 6 /)
  })

  test('that does not please is undone by the backup, and what that lacks is on the record', async () => {
    await serve(async (url) => {
      await ask(url)
      expect((await cli('backup', 'copy.db')).code).toBe(0)
    })
    await serve(ask)
    // What a newer postern leaves: a step of the shape that this one does not know.
    const connection = new Database(pathOf('data/postern.db'))
    const next = migrations.length + 1
    connection.exec(`INSERT INTO migrations (version, name) VALUES (${next}, 'of tomorrow')`)
    connection.close()
    await expect(serve(ask)).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The log was written by a newer postern than this one.',
    })
    expect(await cli('audit', 'list')).toEqual({
      code: 78,
      stdout: '',
      stderr: `error: The log was written by a newer postern than this one.\ndetail: the database has version ${next}, this program knows ${next - 1}\nhint: run the newer postern again, or restore the log that this version wrote\n`,
    })

    await putBack(pathOf('copy.db'))
    expect((await cli('audit', 'verify', '--against', 'copy.db.checkpoint')).code).toBe(0)
    await expect(serve(ask)).rejects.toMatchObject({ code: 'log_rollback' })
    await serve(ask, { rollback: true })
    const { stdout } = await cli('audit', 'search', '--type', 'rollback', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ lost: { from: 4, to: 6 } })
    expect((await cli('audit', 'verify')).code).toBe(0)
  })
})
