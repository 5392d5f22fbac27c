import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import type { Filter, Head, Row, Store } from '../../src/audit/store.ts'
import { openReader } from '../../src/store/index.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { createSummaries, type Range } from '../../src/store/summaries.ts'
import { addTerms, createTerms, encodeTerms, mayHold } from '../../src/store/terms.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, headOf } from '../fakes/entries.ts'

const makeDirectory = useDirectories()

describe('the terms of entries', () => {
  test('are what can be searched for exactly', () => {
    const [row] = chainRows([allowEntry(3)]) as [Row]
    const terms = createTerms()
    expect(addTerms(row.body, terms)).toEqual({ time: '2026-11-22T10:00:00Z', subject: 'u-3' })
    const policy = 'f'.repeat(64)
    expect([...terms.all]).toEqual([
      'type=allow',
      'issuer=https://idp.example.com',
      'subject=u-3',
      'name=maya',
      'host=web-3.example.com',
      'login=deploy',
      'rule=deploy-job',
      'requestId=req_3',
      `policy=${policy}`,
    ])
    const [bare] = chainRows([denyEntry(4)]) as [Row]
    addTerms(bare.body, terms)
    expect([...terms.all].slice(9)).toEqual(['type=deny', 'requestId=req_4'])
    // As the certificate before it, but for whom and where.
    const [other] = chainRows([allowEntry(5)]) as [Row]
    addTerms(other.body, terms)
    expect([...terms.all].slice(11)).toEqual([
      'subject=u-5',
      'host=web-5.example.com',
      'requestId=req_5',
    ])
  })

  test('are never missed, and seldom mistaken for others', () => {
    const terms = Array.from({ length: 3000 }, (_, n) => `host=web-${n}.example.com`)
    const bytes = encodeTerms(new Set(terms))
    expect(bytes.length).toBe(4096)
    expect(terms.filter((term) => !mayHold(bytes, term))).toEqual([])
    const others = terms.filter((term) => mayHold(bytes, term.replace('web', 'db')))
    expect(others.length).toBeLessThan(30)
    expect(mayHold(encodeTerms(new Set()), 'type=allow')).toBe(false)
  })
})

describe('a search of many entries', () => {
  const count = 5000
  const timeOf = (n: number) => new Date(Date.UTC(2026, 10, 22) + n * 60_000).toISOString()
  const entries = Array.from({ length: count }, (_, n) =>
    n % 3 === 2
      ? denyEntry(n, { time: `${timeOf(n).slice(0, 19)}Z` })
      : allowEntry(n, {
          time: `${timeOf(n).slice(0, 19)}Z`,
          // One person has very many.
          ...(n % 7 === 0 ? { identity: { ...allowEntry(n).identity, subject: 'many' } } : {}),
        }),
  )
  const rows = chainRows(entries)

  const fill = async (path: string, batch: number): Promise<Store> => {
    const store = await openSqlite(path)
    let head: Head | undefined
    for (let at = 0; at < count; at += batch) {
      const some = rows.slice(at, at + batch)
      await store.append(some, head)
      head = headOf(some)
    }
    return store
  }
  const listSegments = (path: string) => {
    const connection = new Database(path, { readonly: true })
    const found = connection.prepare('SELECT segment, since, until FROM summaries').all()
    connection.close()
    return found
  }

  const expectAll = async (store: Store) => {
    const filters: readonly (readonly [Filter, number])[] = [
      [{ type: 'deny' }, 1666],
      [{ host: 'web-4.example.com' }, 1],
      [{ subject: 'u-1500', host: 'web-1500.example.com' }, 1],
      [{ subject: 'u-1500', host: 'web-1501.example.com' }, 0],
      [{ subject: 'u-1500' }, 1],
      [{ subject: 'u-1502' }, 0],
      [{ subject: 'many' }, 477],
      [{ subject: 'many', host: 'web-7.example.com' }, 1],
      [{ subject: 'many', issuer: 'https://other.example.com' }, 0],
      [{ subject: 'many', until: '2026-11-22T01:00:00Z' }, 6],
      [{ requestId: 'req_4999' }, 1],
      [{ host: 'web-17000.example.com' }, 0],
      [{ since: '2026-11-23T00:00:00Z', until: '2026-11-23T01:00:00Z' }, 60],
      [{ since: '2026-11-25T10:00:00Z', type: 'allow' }, 54],
    ]
    for (const [filter, most] of filters) {
      const found = (await store.find(filter, count)).map(({ seq }) => seq)
      expect(found, JSON.stringify(filter)).toHaveLength(most)
      expect(found).toEqual(found.toSorted((a, b) => b - a))
      const oldest = (await store.findAfter(filter, count, 0)).map(({ seq }) => seq)
      expect(oldest).toEqual(found.toReversed())
      expect((await store.findAfter(filter, 7, 2000)).map(({ seq }) => seq)).toEqual(
        oldest.filter((seq) => seq > 2000).slice(0, 7),
      )
      expect((await store.find(filter, 7, 3000)).map(({ seq }) => seq)).toEqual(
        found.filter((seq) => seq < 3000).slice(0, 7),
      )
    }
  }

  test.each([7, 100, 256, 2500])('finds the same, appended by %i', async (batch) => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await fill(path, batch)
    await expectAll(store)
    expect(listSegments(path)).toHaveLength(19)
    expect(listSegments(path)[1]).toEqual({
      segment: 1,
      since: '2026-11-22T04:16:00Z',
      until: '2026-11-22T08:31:00Z',
    })
    await store.close()
  })

  test('goes on where a service that was killed has stopped', async () => {
    const path = join(makeDirectory(), 'postern.db')
    await (await fill(path, 900)).close()
    const store = await openSqlite(path)
    const more = chainRows(
      Array.from({ length: 200 }, (_, n) => allowEntry(count + n)),
      headOf(rows),
    )
    await store.append(more, headOf(rows))
    expect(listSegments(path)).toHaveLength(20)
    expect(await store.find({ host: 'web-5010.example.com' }, 10)).toHaveLength(1)
    await expectAll(await openReader(path))
    await store.close()
  })

  test('finds the same without any summary, in a reader too', async () => {
    const path = join(makeDirectory(), 'postern.db')
    await (await fill(path, 2500)).close()
    const connection = new Database(path)
    connection.exec('DELETE FROM summaries; DELETE FROM people')
    connection.close()
    const reader = await openReader(path)
    await expectAll(reader)
    await reader.close()
    // The next service to start makes them again.
    const store = await openSqlite(path)
    const more = [allowEntry(count), allowEntry(count + 1)]
    const [one, two] = chainRows(more, headOf(rows)) as [Row, Row]
    await store.append([one], headOf(rows))
    // So many entries at a time: no append may wait for all of them.
    expect(listSegments(path)).toHaveLength(16)
    await store.append([two], headOf([one]))
    expect(listSegments(path)).toHaveLength(19)
    expect(await store.find({ requestId: `req_${count}` }, 2)).toEqual([one])
    await store.close()
    const older = new Database(path)
    older.exec('DROP TABLE summaries; DROP TABLE people')
    older.close()
    const late = await openReader(path)
    await expectAll(late)
    await late.close()
  })

  test('misses nothing after an append that failed', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await openSqlite(path)
    const [first, second] = [rows.slice(0, 1000), rows.slice(1000, 2000)]
    await store.append(first, undefined)
    await expect(store.append(second, undefined)).rejects.toMatchObject({ code: 'log_conflict' })
    await store.append(second, headOf(first))
    expect(await store.find({ host: 'web-1002.example.com' }, 2)).toEqual([rows[1002]])
    expect(listSegments(path)).toHaveLength(7)
    await store.close()
  })

  test('passes over what cannot match', async () => {
    const path = join(makeDirectory(), 'postern.db')
    await (await fill(path, 2500)).close()
    const connection = new Database(path, { readonly: true })
    const ranges: Range[] = []
    const filter = { host: 'web-1500.example.com' }
    const all = { from: 1, to: count }
    for await (const range of createSummaries(connection).listParts(filter, all, 'newest')) {
      ranges.push(range)
    }
    // The last segment has no summary yet.
    expect(ranges).toEqual([
      { from: 4865, to: 5000 },
      { from: 1281, to: 1536 },
    ])
    connection.close()
  })

  test('lets appends and a close in between', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await fill(path, 2500)
    const search = store.find({ type: 'nothing', since: '2026-01-01T00:00:00Z' }, 1)
    const more = chainRows([allowEntry(count)], headOf(rows))
    await store.append(more, headOf(rows))
    await store.close()
    await expect(search).rejects.toMatchObject({ code: 'audit_unavailable' })
  })
})
