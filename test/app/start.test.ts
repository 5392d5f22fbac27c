import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Filter, Store } from '../../src/audit/store.ts'
import { openConnection } from '../../src/store/connection.ts'
import { createSqlite } from '../../src/store/sqlite.ts'
import { startTestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows } from '../fakes/entries.ts'

const makeDirectory = useDirectories()

/** A log of 3,000 certificates, and how often its summaries were read: once for each search by them. */
const openWatched = async () => {
  const connection = await openConnection(join(makeDirectory(), 'postern.db'))
  const prepare = connection.prepare.bind(connection)
  let reads = 0
  connection.prepare = (sql) => {
    const statement = prepare(sql)
    if (!sql.includes('FROM summaries WHERE segment BETWEEN')) return statement
    const all = statement.all.bind(statement)
    statement.all = (...parameters) => {
      reads++
      return all(...parameters)
    }
    return statement
  }
  const store = createSqlite(connection)
  const entries = Array.from({ length: 3000 }, (_, n) =>
    allowEntry(n, { time: '2026-01-01T00:00:00Z' }),
  )
  await store.append(chainRows(entries), undefined)
  return { store, countReads: () => reads }
}

test('a start asks by an index for what it looks for in the log, and so no longer of a long one', async () => {
  const { store, countReads } = await openWatched()
  const asked: Filter[] = []
  const watched: Store = {
    ...store,
    find: (filter, ...more) => {
      asked.push(filter)
      return store.find(filter, ...more)
    },
    findAfter: (filter, ...more) => {
      asked.push(filter)
      return store.findAfter(filter, ...more)
    },
  }
  const { close } = await startTestApp({ overrides: { store: watched } })
  try {
    expect([...new Set(asked.map(({ type }) => type))].sort()).toEqual([
      'allow',
      'ca-key',
      'freeze',
      'host-enrol',
      'host-invite',
      'host-remove',
      'policy',
      'revoke',
      'rollback',
      'start',
      'unfreeze',
      'unrevoke',
    ])
    // For the newest certificate alone, which is soon found.
    expect(countReads()).toBe(1)
  } finally {
    await close()
  }
})
