import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ReadLeaves, verifyAgainst } from '../../src/audit/against.ts'
import { createLog } from '../../src/audit/chain.ts'
import type { Checkpoint } from '../../src/audit/checkpoint.ts'
import type { Row } from '../../src/audit/store.ts'
import { createFrontier } from '../../src/audit/tree.ts'
import { verifyLog, verifyTail } from '../../src/audit/verify.ts'
import { openReader, openStore } from '../../src/store/index.ts'
import { createMutations } from '../audit/mutations.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, denyEntry } from '../fakes/entries.ts'

const makeDirectory = useDirectories()
const count = 30
const entries = Array.from({ length: count }, (_, n) =>
  (n + 1) % 4 ? allowEntry(n + 1) : denyEntry(n + 1),
)

let whole = ''
beforeAll(async () => {
  whole = join(mkdtempSync(join(tmpdir(), 'postern-tamper-')), 'postern.db')
  const log = await createLog({ store: await openStore(whole) })
  for (const entry of entries) await log.append(entry)
  await log.close()
})
afterAll(() => rmSync(dirname(whole), { recursive: true }))

/** A log as the service leaves it. */
const copyWhole = (): string => {
  const path = join(makeDirectory(), 'postern.db')
  copyFileSync(whole, path)
  return path
}

/** An older checkpoint of it, and the hashes that the service keeps beside it. */
const sign = async (path: string): Promise<readonly [number, Checkpoint, ReadLeaves]> => {
  const reader = await openReader(path)
  const rows = await reader.read(1, count)
  await reader.close()
  const hashes = rows.map(({ hash }) => Buffer.from(hash, 'hex'))
  const size = count - 6
  const frontier = createFrontier()
  for (const hash of hashes.slice(0, size)) frontier.add(hash)
  const leaves = async (from: number, limit: number) => hashes.slice(from - 1, from - 1 + limit)
  return [size, { origin: 'postern.example.com/log', size, root: frontier.root() }, leaves]
}

/** Somebody who may write the file takes the triggers away first: they keep out mistakes, not thieves. */
const tamper = (path: string, sql: string): void => {
  const connection = new Database(path)
  for (const event of ['update', 'delete', 'insert']) {
    connection.exec(`DROP TRIGGER entries_refuse_${event}`)
  }
  connection.exec(sql)
  connection.close()
}

// ATTACKS 195
describe('somebody who may write the database', () => {
  test.each([
    {
      what: 'turns a refusal into something else',
      sql: `UPDATE entries SET body = replace(body, 'policy_denied', 'policy_demied') WHERE seq = 12`,
      seq: 12,
      reason: 'its hash is not the hash of its text',
    },
    {
      what: 'takes an entry out',
      sql: 'DELETE FROM entries WHERE seq = 12',
      seq: 12,
      reason: 'it is missing: entry 13 stands in its place',
    },
    {
      what: 'takes an entry out and closes the gap',
      sql: `DELETE FROM entries WHERE seq = 12;
        UPDATE entries SET seq = -seq WHERE seq > 12;
        UPDATE entries SET seq = -seq - 1 WHERE seq < 0`,
      seq: 12,
      reason: 'it names another number than its own',
    },
    {
      what: 'lets two entries change places',
      sql: `UPDATE entries SET seq = -1 WHERE seq = 12; UPDATE entries SET seq = 12 WHERE seq = 13;
        UPDATE entries SET seq = 13 WHERE seq = -1`,
      seq: 12,
      reason: 'it names another number than its own',
    },
    {
      what: 'puts an entry in',
      sql: `UPDATE entries SET seq = -seq WHERE seq > 12;
        UPDATE entries SET seq = -seq + 1 WHERE seq < 0;
        INSERT INTO entries (seq, body, hash)
          SELECT 13, replace(replace(body, '"seq":12', '"seq":13'), 'req_12', 'req_99'), hash
          FROM entries WHERE seq = 12`,
      seq: 13,
      reason: 'it does not follow from the entry before it',
    },
    {
      what: 'swaps the person of two entries',
      sql: `UPDATE entries SET body = replace(body, 'u-13', 'u-14') WHERE seq = 13;
        UPDATE entries SET body = replace(body, 'u-14', 'u-13') WHERE seq = 14`,
      seq: 13,
      reason: 'its hash is not the hash of its text',
    },
    {
      what: 'swaps the hashes of two entries',
      sql: `UPDATE entries SET hash = (SELECT hash FROM entries WHERE seq = 14) WHERE seq = 13`,
      seq: 13,
      reason: 'its hash is not the hash of its text',
    },
  ])('$what: the first bad entry is named', async ({ sql, seq, reason }) => {
    const path = copyWhole()
    tamper(path, sql)
    const reader = await openReader(path)
    expect(await verifyLog(reader.read)).toEqual({ ok: false, seq, reason })
    // The service refuses to start on it, too.
    expect(await verifyTail(reader, 1000)).toEqual({ ok: false, seq, reason })
    await reader.close()
  })

  test('whatever is done to it, is found by a checkpoint and the hashes beside it, and named', async () => {
    const path = copyWhole()
    const [size, checkpoint, leaves] = await sign(path)
    const connection = new Database(path)
    const original = connection.prepare('SELECT seq, body, hash FROM entries').all() as Row[]
    // A table that refuses nothing, as whoever writes the file byte by byte has it.
    connection.exec('DROP TABLE entries; CREATE TABLE entries (seq INTEGER, body TEXT, hash TEXT)')
    const put = connection.prepare('INSERT INTO entries VALUES (?, ?, ?)')
    const replace = connection.transaction((rows: readonly Row[]) => {
      connection.exec('DELETE FROM entries')
      for (const { seq, body, hash } of rows) put.run(seq, body, hash)
    })
    replace.immediate(original)
    const reader = await openReader(path)
    const judge = () => verifyAgainst({ read: reader.read, checkpoint, leaves })
    expect(await judge()).toMatchObject({ ok: true, count })

    const mutate = createMutations({ original, entries, size, seed: 7 })
    for (let n = 0; n < 300; n++) {
      const { kind, rows } = mutate()
      replace.immediate(rows)
      const bySeq = new Map(rows.map((row) => [row.seq, row]))
      const first = original.find(({ seq, body, hash }) => {
        const row = bySeq.get(seq)
        return row?.body !== body || row.hash !== hash
      })
      expect(await judge(), kind).toMatchObject({ ok: false, seq: first?.seq })
    }
    await reader.close()
    connection.close()
  })

  // ATTACKS 196: a chain may not claim it. A checkpoint can: audit-restore.test.ts
  test('cuts off the newest entries: the chain alone cannot know', async () => {
    const path = copyWhole()
    tamper(path, 'DELETE FROM entries WHERE seq > 20')
    const reader = await openReader(path)
    expect(await verifyLog(reader.read)).toMatchObject({ ok: true, count: 20 })
    await reader.close()
  })
})
