import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/audit/store.ts'
import { verifyLog, verifyTail } from '../../src/audit/verify.ts'
import { checkSetting, openConnection } from '../../src/store/connection.ts'
import { toStoreError } from '../../src/store/failures.ts'
import { checkVersion, type Migration, migrate, migrations } from '../../src/store/migrations.ts'
import { createSqlite, openSqlite } from '../../src/store/sqlite.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, headOf } from '../fakes/entries.ts'
import { run } from '../fakes/process.ts'

const makeDirectory = useDirectories()
const makePath = () => join(makeDirectory(), 'postern.db')

const rows = chainRows(Array.from({ length: 40 }, (_, n) => allowEntry(n)))

/** A log of forty entries, closed again. */
const makeLog = async (): Promise<string> => {
  const path = makePath()
  const store = await openSqlite(path)
  await store.append(rows, undefined)
  await store.close()
  return path
}

describe('the database', () => {
  // ATTACKS 190: better-sqlite3's build would leave WAL at NORMAL, and lose commits with the power.
  test('is refused where it is another user’s, as a backup is that root has put back', async () => {
    const path = makePath()
    ;(await openConnection(path)).close()
    // To anybody but root, root's; to root it is shown by a process of nobody's.
    const nobody = 65_534
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(dirname(path), nobody, nobody)
    else {
      rmSync(path)
      symlinkSync('/etc/hostname', path)
    }
    const file = new URL('../../src/store/connection.ts', import.meta.url).href
    const program = `
      const { openConnection } = await import(${JSON.stringify(file)})
      const error = await openConnection(${JSON.stringify(path)}).catch((error) => error)
      console.log(JSON.stringify([error.code, error.message, error.hint]))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
      ...(isRoot ? { uid: nobody, gid: nobody } : {}),
    })
    expect(JSON.parse(stdout)).toEqual([
      'invalid_config',
      'The log belongs to another user.',
      `chown ${isRoot ? nobody : process.getuid?.()} ${path}`,
    ])
  })

  test('is durable by its settings, and asserts them', async () => {
    const connection = await openConnection(makePath())
    const settings = ['journal_mode', 'synchronous', 'fullfsync', 'trusted_schema']
    expect(settings.map((name) => connection.pragma(name, { simple: true }))).toEqual([
      'wal',
      2,
      1,
      0,
    ])
    connection.close()
    expect(() => checkSetting('synchronous', 1, 2)).toThrow(
      expect.objectContaining({
        code: 'audit_unavailable',
        message: 'The log does not answer now: try again shortly.',
        detail: 'synchronous is 1, and must be 2',
      }),
    )
  })

  test('and what lies beside it is for its owner alone', async () => {
    const path = makePath()
    const store = await openSqlite(path)
    await store.append(rows, undefined)
    for (const suffix of ['', '-wal', '-shm']) {
      expect(statSync(`${path}${suffix}`).mode & 0o777).toBe(0o600)
    }
    await store.close()
    chmodSync(path, 0o644)
    await (await openSqlite(path)).close()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('is not made where anybody may write, or where there is no directory', async () => {
    const directory = makeDirectory()
    chmodSync(directory, 0o777)
    await expect(openSqlite(join(directory, 'postern.db'))).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'Anybody may write to the directory of the log.',
      hint: `chmod o-w ${directory}`,
    })
    await expect(openSqlite(join(directory, 'none', 'postern.db'))).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The directory of the log does not exist.',
      hint: `mkdir -m 700 ${join(directory, 'none')}`,
    })
    expect(readdirSync(directory)).toEqual([])
  })

  // ATTACKS 192
  test('keeps its write-ahead log short, but for as long as somebody reads', async () => {
    const path = makePath()
    const store = await openSqlite(path)
    const size = () => statSync(`${path}-wal`).size / 1024 / 1024
    const reason = 'x'.repeat(4000)
    let head = headOf([])
    const append = async (batches: number) => {
      for (let batch = 0; batch < batches; batch++) {
        const more = chainRows(
          Array.from({ length: 256 }, (_, n) => denyEntry(n, { reason })),
          head,
        )
        await store.append(more, head)
        head = headOf(more)
      }
    }
    await append(24)
    expect(size()).toBeLessThan(28)
    const reader = new Database(path, { readonly: true })
    const rowsOfReader = reader.prepare('SELECT seq FROM entries').iterate()
    rowsOfReader.next()
    await append(32)
    expect(size()).toBeGreaterThan(32)
    rowsOfReader.return?.()
    reader.close()
    await append(2)
    expect(size()).toBeLessThanOrEqual(32)
    await store.close()
  })
})

describe('the table', () => {
  const rawly = async (work: (connection: Database) => void) => {
    const path = await makeLog()
    const connection = new Database(path)
    try {
      work(connection)
    } finally {
      connection.close()
    }
    const store = await openSqlite(path)
    expect(await store.read(1, 100)).toEqual(rows)
    await store.close()
  }
  const serial = allowEntry(3).certificate.serial

  test.each([
    { sql: 'UPDATE entries SET body = body', event: 'UPDATE' },
    { sql: 'UPDATE entries SET seq = seq + 100', event: 'UPDATE' },
    { sql: 'DELETE FROM entries', event: 'DELETE' },
    { sql: 'DELETE FROM entries WHERE seq = 40', event: 'DELETE' },
    { sql: `INSERT INTO entries (seq, body, hash) VALUES (42, '{}', '')`, event: 'INSERT' },
    { sql: `INSERT INTO entries (seq, body, hash) VALUES (40, '{}', '')`, event: 'INSERT' },
    { sql: `INSERT INTO entries (seq, body, hash) VALUES (0, '{}', '')`, event: 'INSERT' },
    { sql: `INSERT INTO entries (body, hash) VALUES ('{}', '')`, event: 'INSERT' },
    { sql: `REPLACE INTO entries (seq, body, hash) VALUES (40, '{}', '')`, event: 'INSERT' },
    { sql: `REPLACE INTO entries (seq, body, hash) VALUES (1, '{}', '')`, event: 'INSERT' },
    {
      sql: `REPLACE INTO entries (seq, body, hash)
        VALUES (41, '{"certificate":{"serial":"${serial}"}}', '')`,
      event: 'INSERT',
    },
    {
      sql: `INSERT INTO entries (seq, body, hash) VALUES (40, '{}', '')
        ON CONFLICT DO UPDATE SET body = '{}'`,
      event: 'INSERT',
    },
  ])('is append-only, whoever writes: $sql', async ({ sql, event }) => {
    await rawly((connection) => {
      expect(() => connection.exec(sql)).toThrow(`entries is append-only: no ${event} here`)
    })
  })

  test.each([
    { sql: `INSERT INTO entries (seq, body, hash) VALUES (41, 'not JSON', '')`, says: 'malformed' },
    { sql: "INSERT INTO entries (seq, body, hash) VALUES (41, x'00', '')", says: 'BLOB' },
    { sql: `INSERT INTO entries (seq, hash) VALUES (41, '')`, says: 'NOT NULL' },
    { sql: `UPDATE entries SET type = 'deny'`, says: 'generated column' },
  ])('takes only rows that say something: $sql', async ({ sql, says }) => {
    await rawly((connection) => expect(() => connection.exec(sql)).toThrow(says))
  })
})

describe('migrations', () => {
  const more: Migration = { name: 'more', statements: ['CREATE TABLE more (a)', 'SELECT 1'] }
  const known = migrations.length

  test('run once, and leave what is there', async () => {
    const path = await makeLog()
    const connection = new Database(path)
    migrate(connection, [...migrations, more])
    migrate(connection, [...migrations, more])
    expect(connection.prepare('SELECT * FROM migrations').all()).toEqual([
      ...migrations.map(({ name }, index) => ({ version: index + 1, name })),
      { version: known + 1, name: 'more' },
    ])
    expect(await createSqlite(connection).read(1, 100)).toEqual(rows)
    connection.close()
  })

  test('that were killed in the middle have not happened, and run again', async () => {
    const path = await makeLog()
    const connection = new Database(path)
    const broken = { name: 'more', statements: ['CREATE TABLE more (a)', 'SELECT nothing'] }
    expect(() => migrate(connection, [...migrations, broken])).toThrow('nothing')
    expect(checkVersion(connection)).toBe(known)
    migrate(connection, [...migrations, more])
    expect(checkVersion(connection, [...migrations, more])).toBe(known + 1)
    connection.close()
  })

  test('of a database that was never finished begin anew', async () => {
    const path = makePath()
    writeFileSync(`${path}.new`, 'half a database')
    writeFileSync(`${path}.new-journal`, 'and its journal')
    const store = await openSqlite(path)
    expect(await store.head()).toBeUndefined()
    await store.close()
    expect(existsSync(`${path}.new`) || existsSync(`${path}.new-journal`)).toBe(false)
  })

  test('refuse a database that a newer postern has written', async () => {
    const path = await makeLog()
    const connection = new Database(path)
    migrate(connection, [...migrations, more])
    connection.close()
    await expect(openSqlite(path)).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The log was written by a newer postern than this one.',
      detail: `the database has version ${known + 1}, this program knows ${known}`,
      hint: 'run the newer postern again, or restore the log that this version wrote',
    })
  })
})

describe('damage', () => {
  const corrupt = {
    code: 'log_corrupt',
    message: 'The log is damaged: run `postern audit verify`, and restore it from a backup.',
  }
  const verifyAt = async (path: string): Promise<unknown> => {
    let store: Store | undefined
    try {
      store = await openSqlite(path)
      return await verifyTail(store, 1000)
    } catch (error) {
      return error
    } finally {
      await store?.close()
    }
  }

  // ATTACKS 194
  test.each<{ what: string; damage: (path: string) => void; said: object }>([
    {
      what: 'emptied',
      damage: (path) => truncateSync(path, 0),
      said: { ...corrupt, detail: 'postern.db is empty' },
    },
    {
      what: 'zeroed',
      damage: (path) => writeFileSync(path, new Uint8Array(statSync(path).size)),
      said: corrupt,
    },
    {
      what: 'replaced',
      damage: (path) => writeFileSync(path, 'no database at all\n'.repeat(500)),
      said: corrupt,
    },
    {
      what: 'cut in half',
      damage: (path) => truncateSync(path, statSync(path).size / 2),
      said: { code: 'log_corrupt' },
    },
    {
      what: 'flipped in one byte of a row',
      damage: (path) => {
        const bytes = readFileSync(path)
        bytes[bytes.indexOf('web-17.example.com')] = 0x57
        writeFileSync(path, bytes)
      },
      said: { ok: false, seq: 18, reason: 'its hash is not the hash of its text' },
    },
  ])('of a file that was $what is found at the start', async ({ damage, said }) => {
    const path = await makeLog()
    damage(path)
    expect(await verifyAt(path)).toMatchObject(said)
  })

  test.each([
    { code: 'SQLITE_CORRUPT_VTAB', becomes: 'log_corrupt' },
    { code: 'SQLITE_NOTADB', becomes: 'log_corrupt' },
    { code: 'SQLITE_CONSTRAINT_TRIGGER', becomes: 'log_conflict' },
    { code: 'SQLITE_CONSTRAINT_UNIQUE', becomes: 'log_conflict' },
    { code: 'SQLITE_FULL', becomes: 'audit_unavailable' },
    { code: 'SQLITE_IOERR_FSYNC', becomes: 'audit_unavailable' },
    { code: 'SQLITE_READONLY', becomes: 'audit_unavailable' },
    { code: 'SQLITE_BUSY', becomes: 'audit_unavailable' },
    { code: 'SQLITE_CANTOPEN', becomes: 'audit_unavailable' },
    { code: 'SQLITE_NEVER_HEARD_OF', becomes: 'audit_unavailable' },
  ])('and failures are told apart: $code is $becomes', ({ code, becomes }) => {
    const error = toStoreError(Object.assign(new Error('in /secret/path'), { code }))
    expect(error).toMatchObject({ code: becomes, detail: `${code}: in /secret/path` })
    expect(error.message).not.toContain('secret')
  })
})

describe('a disk that fails', () => {
  const unavailable = {
    code: 'audit_unavailable',
    message: 'The log does not answer now: try again shortly.',
  }

  // ATTACKS 191: full by SQLite's own limit, which needs no disk to be filled.
  test('refuses the whole batch when it is full, and takes it when there is room', async () => {
    const connection = await openConnection(makePath())
    const store = createSqlite(connection)
    await store.append(rows, undefined)
    const pages = connection.pragma('page_count', { simple: true })
    connection.pragma(`max_page_count = ${pages}`, { simple: true })
    const more = chainRows(
      Array.from({ length: 40 }, (_, n) => denyEntry(100 + n)),
      headOf(rows),
    )
    await expect(store.append(more, headOf(rows))).rejects.toMatchObject({
      ...unavailable,
      detail: 'SQLITE_FULL: database or disk is full',
    })
    expect(await store.head()).toEqual(headOf(rows))
    connection.pragma('max_page_count = 100000', { simple: true })
    await store.append(more, headOf(rows))
    expect(await verifyLog(store.read)).toMatchObject({ ok: true, count: 80 })
    await store.close()
  })

  // ATTACKS 191, 192
  test('waits a bounded time for another writer, then refuses, then goes on', async () => {
    const path = await makeLog()
    const store = await openSqlite(path)
    const other = new Database(path)
    other.exec('BEGIN IMMEDIATE')
    const started = performance.now()
    await expect(store.append([], headOf(rows))).rejects.toMatchObject({
      ...unavailable,
      detail: 'SQLITE_BUSY: database is locked',
    })
    expect(performance.now() - started).toBeLessThan(5000)
    other.exec('ROLLBACK')
    await store.append([], headOf(rows))
    other.close()
    await store.close()
  })

  test('says so where the log may only be read', async () => {
    const path = await makeLog()
    const store = createSqlite(new Database(path, { readonly: true }))
    await expect(store.append([], headOf(rows))).rejects.toMatchObject({
      ...unavailable,
      detail: 'SQLITE_READONLY: attempt to write a readonly database',
    })
    await store.close()
  })
})
