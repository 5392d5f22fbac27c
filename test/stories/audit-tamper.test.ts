import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { verifyLog, verifyTail } from '../../src/audit/verify.ts'
import { openReader, openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, denyEntry } from '../fakes/entries.ts'

const makeDirectory = useDirectories()
const count = 30

/** A log as the service leaves it. */
const makeLog = async (): Promise<string> => {
  const path = join(makeDirectory(), 'postern.db')
  const log = await createLog({ store: await openStore(path) })
  for (let n = 1; n <= count; n++) await log.append(n % 4 ? allowEntry(n) : denyEntry(n))
  await log.close()
  return path
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
    const path = await makeLog()
    tamper(path, sql)
    const reader = await openReader(path)
    expect(await verifyLog(reader.read)).toEqual({ ok: false, seq, reason })
    // The service refuses to start on it, too.
    expect(await verifyTail(reader, 1000)).toEqual({ ok: false, seq, reason })
    await reader.close()
  })

  // ATTACKS 196: a chain may not claim it. A checkpoint can: audit-restore.test.ts
  test('cuts off the newest entries: the chain alone cannot know', async () => {
    const path = await makeLog()
    tamper(path, 'DELETE FROM entries WHERE seq > 20')
    const reader = await openReader(path)
    expect(await verifyLog(reader.read)).toMatchObject({ ok: true, count: 20 })
    await reader.close()
  })
})
