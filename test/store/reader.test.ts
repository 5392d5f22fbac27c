import { chmodSync, copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { openReader, openStore } from '../../src/store/index.ts'
import { migrate, migrations } from '../../src/store/migrations.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, headOf } from '../fakes/entries.ts'
import { run } from '../fakes/process.ts'

const makeDirectory = useDirectories()
const rows = chainRows([allowEntry(1), allowEntry(2), allowEntry(3)])

const readOnly = {
  code: 'audit_unavailable',
  detail: 'SQLITE_READONLY: attempt to write a readonly database',
}

/** Runs a program as somebody with no rights of their own: root may read and write anywhere. */
const runAsReader = (program: string) =>
  run(
    process.execPath,
    [
      '-e',
      `const { openReader } = await import(${JSON.stringify(new URL('../../src/store/index.ts', import.meta.url).href)})
      ${program}`,
    ],
    process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {},
  )

describe('the reader', () => {
  test('sees what a running service has written, and goes on seeing', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await openStore(path)
    const reader = await openReader(path)
    expect(await reader.head()).toBeUndefined()
    await store.append(rows, undefined)
    expect(await reader.head()).toEqual(headOf(rows))
    expect(await reader.read(1, 10)).toEqual(rows)
    expect(await reader.find({ subject: 'u-2' }, 10)).toEqual([rows[1]])
    await reader.close()
    await store.append([], headOf(rows))
    await store.close()
  })

  test('writes nothing', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await openSqlite(path)
    await store.append(rows, undefined)
    await store.close()
    const before = statSync(path).mtimeMs
    const reader = await openReader(path)
    await expect(reader.append([], headOf(rows))).rejects.toMatchObject(readOnly)
    expect(await reader.read(1, 10)).toEqual(rows)
    await reader.close()
    await expect(reader.head()).rejects.toMatchObject({ detail: 'the store is closed' })
    expect(statSync(path).mtimeMs).toBe(before)
    const again = await openSqlite(path)
    expect(await again.head()).toEqual(headOf(rows))
    await again.close()
  })

  test('reads what a service that was killed has left', async () => {
    const directory = makeDirectory()
    const path = join(directory, 'postern.db')
    const store = await openSqlite(path)
    await store.append(rows, undefined)
    const copy = join(directory, 'copy.db')
    for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`)
    await store.close()
    const reader = await openReader(copy)
    expect(await reader.read(1, 10)).toEqual(rows)
    await reader.close()
  })

  test('reads in a directory where it may write nothing', async () => {
    const parent = makeDirectory()
    const directory = join(parent, 'data')
    mkdirSync(directory)
    const path = join(directory, 'postern.db')
    const store = await openSqlite(path)
    await store.append(rows, undefined)
    await store.close()
    chmodSync(parent, 0o755)
    chmodSync(directory, 0o555)
    chmodSync(path, 0o444)
    const { stdout } = await runAsReader(
      `const reader = await openReader(${JSON.stringify(path)})
      console.log(JSON.stringify(await reader.read(1, 10)))
      await reader.append([], await reader.head()).catch((error) => console.log(error.detail))`,
    )
    const [found, refusal] = stdout.trim().split('\n')
    expect(JSON.parse(found ?? '')).toEqual(rows)
    expect(refusal).toBe(readOnly.detail)
    expect(readdirSync(directory)).toEqual(['postern.db'])
    chmodSync(directory, 0o755)
  })

  test('says who may read where this user may not', async () => {
    const directory = makeDirectory()
    const path = join(directory, 'postern.db')
    await (await openSqlite(path)).close()
    chmodSync(directory, 0o755)
    chmodSync(path, 0)
    const { stdout } = await runAsReader(
      `await openReader(${JSON.stringify(path)}).catch((error) => console.log(JSON.stringify(error)))`,
    )
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'audit_unavailable',
      hint: 'run the command as the user that the service runs as',
    })
  })

  test('says where there is no log', async () => {
    await expect(openReader(join(makeDirectory(), 'postern.db'))).rejects.toMatchObject({
      code: 'not_found',
      message: 'There is no log yet.',
      hint: 'check dataDir in the configuration; `postern serve` makes the log at its first start',
    })
  })

  test('refuses the log of a newer postern', async () => {
    const path = join(makeDirectory(), 'postern.db')
    await (await openSqlite(path)).close()
    const connection = new Database(path)
    migrate(connection, [...migrations, { name: 'more', statements: [] }])
    connection.close()
    await expect(openReader(path)).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The log was written by a newer postern than this one.',
    })
  })
})
