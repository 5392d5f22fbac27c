import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/audit/index.ts'
import type { Filter, Store } from '../../src/audit/store.ts'
import { openConnection } from '../../src/store/connection.ts'
import { openReader } from '../../src/store/index.ts'
import { checkVersion, migrate, migrations } from '../../src/store/migrations.ts'
import { createSqlite, openSqlite } from '../../src/store/sqlite.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, headOf, startEntry } from '../fakes/entries.ts'

const makeDirectory = useDirectories()
const makePath = () => join(makeDirectory(), 'postern.db')

describe('a search', () => {
  /** How SQLite goes about every search for entries that the work makes. */
  const explain = async (work: (store: Store) => Promise<unknown>): Promise<readonly string[]> => {
    const connection = await openConnection(makePath())
    const prepare = connection.prepare.bind(connection)
    const store = createSqlite(connection)
    const asked: string[] = []
    connection.prepare = (sql) => {
      asked.push(sql)
      return prepare(sql)
    }
    await work(store)
    const plans = asked.flatMap((sql) => {
      const values = sql.split('?').slice(1)
      return prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { readonly detail: string }[]
    })
    await store.close()
    return plans.map(({ detail }) => detail)
  }

  test.each<{ filter: Filter; index: string }>([
    { filter: { serial: '1' }, index: 'entries_serial (serial=?' },
    { filter: { type: 'policy', policy: 'a' }, index: 'entries_policy (policy=?' },
    { filter: { type: 'policy' }, index: 'entries_rare (type=?' },
    { filter: { type: 'freeze' }, index: 'entries_rare (type=?' },
    { filter: { type: 'one to come' }, index: 'entries_rare (type=?' },
  ])('for $filter goes by an index, in one go and without sorting', async ({ filter, index }) => {
    const searches = [`SEARCH entries USING INDEX ${index} AND rowid>? AND rowid<?)`]
    expect(await explain((store) => store.find(filter, 1))).toEqual(searches)
    expect(await explain((store) => store.findAfter(filter, 1, 0))).toEqual(searches)
  })

  test.each<Filter>([
    { type: 'allow' },
    { type: 'host-enrol', subject: 'u-1' },
    { type: 'freeze', since: '2026-01-01T00:00:00Z' },
    { policy: 'a' },
  ])('for %o goes piece by piece, so that appends need not wait', async (filter) => {
    // An empty log has no piece.
    expect(await explain((store) => store.find(filter, 1))).toEqual([])
  })
})

describe('a log from before there was an index of rare types', () => {
  const entries: readonly Entry[] = [
    startEntry,
    ...Array.from({ length: 600 }, (_, n) => (n % 5 === 4 ? denyEntry(n) : allowEntry(n))),
    { ...startEntry, time: '2026-11-22T11:00:00Z' },
    { type: 'policy', time: '2026-11-22T11:00:01Z', policy: 'a'.repeat(64), rules: 2 },
  ]
  const rows = chainRows(entries)

  const makeOlder = async (): Promise<string> => {
    const path = makePath()
    const connection = new Database(path)
    connection.pragma('journal_mode = WAL', { simple: true })
    migrate(connection, migrations.slice(0, 4))
    await createSqlite(connection).append(rows, undefined)
    connection.close()
    return path
  }
  const searches: readonly (readonly [Filter, readonly number[]])[] = [
    [{ type: 'start' }, [602, 1]],
    [{ type: 'policy' }, [603]],
    [{ type: 'policy', policy: 'a'.repeat(64) }, [603]],
    [{ type: 'freeze' }, []],
    [{ type: 'start', since: '2026-11-22T10:30:00Z' }, [602]],
    [{ type: 'deny', requestId: 'req_104' }, [106]],
    [{ subject: 'u-100', host: 'web-100.example.com' }, [102]],
    [{ login: 'deploy', until: '2026-11-22T10:00:00Z' }, []],
    [{ serial: allowEntry(100).certificate.serial }, [102]],
  ]
  const expectAll = async (store: Store) => {
    for (const [filter, found] of searches) {
      const seqs = (await store.find(filter, 10)).map(({ seq }) => seq)
      expect(seqs, JSON.stringify(filter)).toEqual(found)
    }
  }

  test('is searched by a reader as it is', async () => {
    const path = await makeOlder()
    const reader = await openReader(path)
    await expectAll(reader)
    await reader.close()
    const connection = new Database(path, { readonly: true })
    expect(checkVersion(connection)).toBe(4)
    connection.close()
  })

  test('has one from the next start on, and every entry as it was', async () => {
    const path = await makeOlder()
    const store = await openSqlite(path)
    expect(await store.read(1, 1000)).toEqual(rows)
    await expectAll(store)
    const more = chainRows([{ ...startEntry, time: '2026-11-23T00:00:00Z' }], headOf(rows))
    await store.append(more, headOf(rows))
    expect(await store.find({ type: 'start' }, 1)).toEqual(more)
    const again = chainRows([allowEntry(100)], headOf(more))
    await expect(store.append(again, headOf(more))).rejects.toMatchObject({ code: 'log_conflict' })
    await store.close()

    const connection = new Database(path)
    const list = (sql: string) => connection.prepare(sql).all() as { readonly name: string }[]
    expect(list('PRAGMA table_xinfo(entries)').map(({ name }) => name)).toEqual([
      'seq',
      'body',
      'hash',
      'type',
      'serial',
      'policy',
    ])
    expect(list('PRAGMA index_list(entries)').map(({ name }) => name)).toEqual([
      'entries_rare',
      'entries_policy',
      'entries_serial',
    ])
    expect(list('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(() => connection.exec('DELETE FROM entries')).toThrow('no DELETE here')
    expect(() => connection.exec('UPDATE entries SET body = body')).toThrow('no UPDATE here')
    expect(() => connection.exec('REPLACE INTO entries SELECT * FROM entries')).toThrow()
    connection.close()
  })

  test('is not brought on where an entry is damaged, which the start says', async () => {
    const path = await makeOlder()
    const bytes = readFileSync(path)
    bytes[bytes.indexOf('"host":"web-77.example.com"') - 1] = 0x7b
    writeFileSync(path, bytes)
    await expect(openSqlite(path)).rejects.toMatchObject({
      code: 'log_corrupt',
      detail: 'SQLITE_ERROR: malformed JSON',
    })
  })

  test('stays as it was where that was killed, and is brought on by the start after', async () => {
    const path = await makeOlder()
    const connection = new Database(path)
    const broken = migrations.map((step, at) =>
      at === 4 ? { ...step, statements: [...step.statements, 'SELECT nothing'] } : step,
    )
    expect(() => migrate(connection, broken)).toThrow('nothing')
    expect(checkVersion(connection)).toBe(4)
    await expectAll(createSqlite(connection))
    connection.close()
    const store = await openSqlite(path)
    await expectAll(store)
    await store.close()
  })
})
