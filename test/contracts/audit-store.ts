import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Entry } from '../../src/audit/index.ts'
import type { Filter, Head, Row, Store } from '../../src/audit/store.ts'
import { allowEntry, chainRows, denyEntry, headOf, startEntry } from '../fakes/entries.ts'

const conflict = {
  code: 'log_conflict',
  message: 'The log has moved on: read its head again before the next append.',
}
const unavailable = {
  code: 'audit_unavailable',
  message: 'The log does not answer now: try again shortly.',
}

/** An entry or two of every kind. */
const sample: readonly Entry[] = [
  startEntry,
  {
    type: 'policy',
    time: '2026-11-22T09:00:01Z',
    policy: 'a'.repeat(64),
    rules: 2,
    files: { 'a.yaml': 'x' },
  },
  allowEntry(3),
  denyEntry(4, { time: '2026-11-22T11:00:00Z' }),
  allowEntry(5, { time: '2026-11-22T12:00:00Z' }),
]

/** What `audit/store.ts` promises, run by every implementation. `open` gives a new, empty store. */
export const describeStore = (name: string, open: () => Promise<Store>): void => {
  const opened: Store[] = []
  const openEmpty = async (): Promise<Store> => {
    const store = await open()
    opened.push(store)
    return store
  }
  /** A store that holds the rows of the sample. */
  const openFilled = async (): Promise<{
    readonly store: Store
    readonly rows: readonly Row[]
  }> => {
    const store = await openEmpty()
    const rows = chainRows(sample)
    await store.append(rows, undefined)
    return { store, rows }
  }

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  describe(`the ${name} store`, () => {
    test('is empty at first', async () => {
      const store = await openEmpty()
      expect(await store.head()).toBeUndefined()
      expect(await store.read(1, 10)).toEqual([])
      expect(await store.find({}, 10)).toEqual([])
    })

    test('gives back exactly what was appended, in order', async () => {
      const { store, rows } = await openFilled()
      expect(await store.head()).toEqual(headOf(rows))
      expect(await store.read(1, 10)).toEqual(rows)
      expect(await store.read(2, 2)).toEqual(rows.slice(1, 3))
      expect(await store.read(6, 10)).toEqual([])
    })

    test('goes on from its head, batch after batch', async () => {
      const { store, rows } = await openFilled()
      const more = chainRows([allowEntry(6), denyEntry(7)], headOf(rows))
      await store.append(more, headOf(rows))
      expect(await store.read(1, 10)).toEqual([...rows, ...more])
    })

    test.each<{ what: string; wrong: (head: Head) => Head | undefined }>([
      { what: 'an empty log', wrong: () => undefined },
      { what: 'an older head', wrong: ({ seq, hash }) => ({ seq: seq - 1, hash }) },
      { what: 'a newer head', wrong: ({ seq, hash }) => ({ seq: seq + 1, hash }) },
      { what: 'another hash', wrong: ({ seq }) => ({ seq, hash: '0'.repeat(64) }) },
    ])('refuses an append that expects $what', async ({ wrong }) => {
      const { store, rows } = await openFilled()
      const head = headOf(rows) as Head
      const more = chainRows([allowEntry(6)], head)
      await expect(store.append(more, wrong(head))).rejects.toMatchObject(conflict)
      expect(await store.head()).toEqual(head)
    })

    test('refuses an append to an empty log that expects a head', async () => {
      const store = await openEmpty()
      const [first, ...more] = chainRows([startEntry, allowEntry(2)])
      await expect(store.append(more, headOf([first as Row]))).rejects.toMatchObject(conflict)
      expect(await store.head()).toBeUndefined()
    })

    test.each<{ what: string; spoil: (rows: readonly Row[]) => readonly (Row | undefined)[] }>([
      { what: 'leaves one out', spoil: ([a, , c]) => [a, c] },
      { what: 'swaps two', spoil: ([a, b, c]) => [a, c, b] },
      { what: 'repeats one', spoil: ([a, b]) => [a, b, b] },
      { what: 'begins late', spoil: ([, b, c]) => [b, c] },
    ])('takes nothing of a batch that $what', async ({ spoil }) => {
      const { store, rows } = await openFilled()
      const more = chainRows([allowEntry(6), allowEntry(7), allowEntry(8)], headOf(rows))
      await expect(store.append(spoil(more) as readonly Row[], headOf(rows))).rejects.toMatchObject(
        conflict,
      )
      expect(await store.read(1, 10)).toEqual(rows)
    })

    // ATTACKS 38
    test('takes a serial once, in one batch as in another', async () => {
      const { store, rows } = await openFilled()
      const again = chainRows([denyEntry(6), allowEntry(3)], headOf(rows))
      await expect(store.append(again, headOf(rows))).rejects.toMatchObject(conflict)
      const twice = chainRows([allowEntry(6), allowEntry(6)], headOf(rows))
      await expect(store.append(twice, headOf(rows))).rejects.toMatchObject(conflict)
      expect(await store.read(1, 10)).toEqual(rows)
    })

    test('takes an append of nothing as a question, under the same condition', async () => {
      const { store, rows } = await openFilled()
      await store.append([], headOf(rows))
      await expect(store.append([], undefined)).rejects.toMatchObject(conflict)
      expect(await store.read(1, 10)).toEqual(rows)
      await (await openEmpty()).append([], undefined)
    })

    test('lets one of many win that expect the same head', async () => {
      const { store, rows } = await openFilled()
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          store.append(chainRows([allowEntry(100 + n)], headOf(rows)), headOf(rows)),
        ),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject(conflict)
      }
      expect(await store.read(1, 100)).toHaveLength(rows.length + 1)
    })

    test('takes overlapping calls in the order in which they were made', async () => {
      const store = await openEmpty()
      const rows = chainRows(Array.from({ length: 40 }, (_, n) => allowEntry(n)))
      const appends = rows.map((row, index) => store.append([row], headOf(rows.slice(0, index))))
      expect(await store.head()).toEqual(headOf(rows))
      await Promise.all(appends)
      expect(await store.read(1, 100)).toEqual(rows)
    })

    // ATTACKS 198
    test('keeps control characters escaped, and gives them back', async () => {
      const store = await openEmpty()
      const reason = 'a\r\nb\u001b[31mc\u0000d\u2028e\u202ef'
      const rows = chainRows([denyEntry(1, { reason })])
      await store.append(rows, undefined)
      const [row] = await store.read(1, 1)
      expect([...(row as Row).body].filter((char) => char < ' ')).toEqual([])
      expect(JSON.parse((row as Row).body)).toMatchObject({ reason })
    })

    test('refuses every call once it is closed, and closes twice', async () => {
      const { store, rows } = await openFilled()
      await store.close()
      await store.close()
      for (const call of [
        () => store.append([], headOf(rows)),
        () => store.head(),
        () => store.read(1, 1),
        () => store.find({}, 1),
        () => store.findAfter({}, 1, 0),
      ]) {
        await expect(call()).rejects.toMatchObject({
          ...unavailable,
          detail: 'the store is closed',
        })
      }
    })
  })

  describe(`searching the ${name} store`, () => {
    const rows = chainRows(sample)
    let store: Store
    beforeAll(async () => {
      store = await open()
      await store.append(rows, undefined)
    })
    afterAll(() => store.close())

    test.each<{ filter: Filter; found: readonly number[] }>([
      { filter: {}, found: [5, 4, 3, 2, 1] },
      { filter: { type: 'allow' }, found: [5, 3] },
      { filter: { type: 'nothing' }, found: [] },
      { filter: { issuer: 'https://idp.example.com' }, found: [5, 3] },
      { filter: { subject: 'u-3' }, found: [3] },
      { filter: { subject: 'U-3' }, found: [] },
      { filter: { name: 'maya' }, found: [5, 3] },
      { filter: { host: 'web-5.example.com' }, found: [5] },
      { filter: { host: 'web-*' }, found: [] },
      { filter: { login: 'deploy' }, found: [5, 3] },
      { filter: { rule: 'deploy-job' }, found: [5, 3] },
      { filter: { serial: (2n ** 62n + 5n).toString() }, found: [5] },
      { filter: { requestId: 'req_4' }, found: [4] },
      { filter: { policy: 'a'.repeat(64) }, found: [2] },
      { filter: { type: 'policy', policy: 'a'.repeat(64) }, found: [2] },
      { filter: { type: 'policy', policy: 'b'.repeat(64) }, found: [] },
      { filter: { type: "'; DROP TABLE entries; --" }, found: [] },
      { filter: { since: '2026-11-22T11:00:00Z' }, found: [5, 4] },
      { filter: { until: '2026-11-22T10:00:00Z' }, found: [2, 1] },
      { filter: { since: '2026-11-22T10:00:00Z', until: '2026-11-22T12:00:00Z' }, found: [4, 3] },
      { filter: { login: 'deploy', subject: 'u-4' }, found: [] },
    ])('finds $found by $filter', async ({ filter, found }) => {
      expect((await store.find(filter, 10)).map(({ seq }) => seq)).toEqual(found)
      const oldest = await store.findAfter(filter, 10, 0)
      expect(oldest.map(({ seq }) => seq)).toEqual(found.toReversed())
    })

    test('finds in pages, newest first', async () => {
      expect(await store.find({}, 2)).toEqual([rows[4], rows[3]])
      expect(await store.find({}, 2, 4)).toEqual([rows[2], rows[1]])
      expect(await store.find({ type: 'allow' }, 2, 5)).toEqual([rows[2]])
    })

    test('finds in pages, oldest first', async () => {
      expect(await store.findAfter({}, 2, 0)).toEqual([rows[0], rows[1]])
      expect(await store.findAfter({}, 2, 4)).toEqual([rows[4]])
      expect(await store.findAfter({}, 2, 5)).toEqual([])
      expect(await store.findAfter({ type: 'allow' }, 2, 3)).toEqual([rows[4]])
    })
  })
}
