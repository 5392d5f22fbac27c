import { describe, expect, test } from 'vitest'
import { formatEntry, hashBody } from '../../src/audit/entry.ts'
import type { Head, Row } from '../../src/audit/store.ts'
import { type ReadRows, verifyLog, verifyTail } from '../../src/audit/verify.ts'
import { AppError } from '../../src/errors.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry, headOf, startEntry } from '../fakes/entries.ts'

const rows = chainRows([
  startEntry,
  { type: 'policy', time: '2026-11-22T09:00:01Z', policy: 'a'.repeat(64), rules: 2 },
  allowEntry(3),
  denyEntry(4),
  { ...denyEntry(5), type: 'error' },
  allowEntry(6, { shortenedBy: 'token' }),
])
const last = rows.length

const reader =
  (stored: readonly Row[]): ReadRows =>
  async (from, limit) =>
    stored.filter(({ seq }) => seq >= from).slice(0, limit)

const at = (seq: number): Row => rows[seq - 1] as Row

/** The log with one row changed. */
const change = (seq: number, to: (row: Row) => Partial<Row>): readonly Row[] =>
  rows.map((row) => (row.seq === seq ? { ...row, ...to(row) } : row))

/** A row whose body says something else, with the hash that fits it. */
const rewrite = (seq: number, to: (body: string) => string): readonly Row[] =>
  change(seq, (row) => {
    const body = to(row.body)
    return { body, hash: hashBody(body) }
  })

describe('verifying the log', () => {
  test('follows an intact log to its head', async () => {
    const progress: number[] = []
    const onProgress = (seq: number) => progress.push(seq)
    expect(await verifyLog(reader(rows), { onProgress })).toEqual({
      ok: true,
      head: headOf(rows),
      count: last,
    })
    expect(progress).toEqual([last])
    expect(await verifyLog(reader([]))).toEqual({ ok: true, head: undefined, count: 0 })
  })

  test('reads a long log in pieces', async () => {
    const long = chainRows(Array.from({ length: 1203 }, (_, n) => denyEntry(n)))
    const progress: number[] = []
    const verdict = await verifyLog(reader(long), { onProgress: (seq) => progress.push(seq) })
    expect(verdict).toEqual({ ok: true, head: headOf(long), count: 1203 })
    expect(progress).toEqual([500, 1000, 1203])
  })

  // ATTACKS 195
  test.each<{ what: string; stored: readonly Row[]; seq: number; reason: string }>([
    {
      what: 'a flipped letter',
      stored: change(4, ({ body }) => ({ body: body.replace('No rule', 'Mo rule') })),
      seq: 4,
      reason: 'its hash is not the hash of its text',
    },
    {
      what: 'a flipped hash',
      stored: change(4, ({ hash }) => ({
        hash: hash.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      })),
      seq: 4,
      reason: 'its hash is not the hash of its text',
    },
    {
      what: 'a row written anew with its hash',
      stored: rewrite(4, (body) => body.replace('No rule', 'Mo rule')),
      seq: 5,
      reason: 'it does not follow from the entry before it',
    },
    {
      what: 'a deleted row',
      stored: rows.filter(({ seq }) => seq !== 3),
      seq: 3,
      reason: 'it is missing: entry 4 stands in its place',
    },
    {
      what: 'a deleted beginning',
      stored: rows.slice(1),
      seq: 1,
      reason: 'it is missing: entry 2 stands in its place',
    },
    {
      what: 'two rows that changed places',
      stored: change(3, () => ({ body: at(4).body, hash: at(4).hash })),
      seq: 3,
      reason: 'it names another number than its own',
    },
    {
      what: 'a row that was put in, and the rest moved on',
      stored: [
        ...rows.slice(0, 3),
        { ...formatEntry(denyEntry(99), 4, at(3).hash) },
        ...rows.slice(3).map((row) => ({ ...row, seq: row.seq + 1 })),
      ],
      seq: 5,
      reason: 'it names another number than its own',
    },
    {
      what: 'fields that were swapped between rows',
      stored: change(3, () => ({ hash: at(4).hash })),
      seq: 3,
      reason: 'its hash is not the hash of its text',
    },
    {
      what: 'white space',
      stored: rewrite(last, (body) => body.replace('{', '{ ')),
      seq: last,
      reason: 'its text is not canonical JSON',
    },
    {
      what: 'members in another order',
      stored: rewrite(last, (body) => `${body.replace('"v":1', '"v":1,"a":0')}`),
      seq: last,
      reason: 'its text is not canonical JSON',
    },
    {
      what: 'a member twice',
      stored: rewrite(last, (body) => body.replace('"v":1', '"v":1,"v":1')),
      seq: last,
      reason: 'its text is not canonical JSON',
    },
    {
      what: 'no JSON',
      stored: rewrite(last, () => 'null and void'),
      seq: last,
      reason: 'its text is not JSON',
    },
    {
      what: 'a lone surrogate',
      stored: rewrite(last, () => '{"a":"\\ud800"}'),
      seq: last,
      reason: 'its text is not JSON',
    },
    {
      what: 'no object',
      stored: rewrite(last, () => 'null'),
      seq: last,
      reason: 'its text is no JSON object',
    },
    {
      what: 'an unknown version',
      stored: rewrite(last, (body) => body.replace('"v":1', '"v":2')),
      seq: last,
      reason: 'its version is not 1',
    },
    {
      what: 'no link',
      stored: rewrite(last, (body) => body.replace(/"prev":"[^"]*",/, '')),
      seq: last,
      reason: 'it names no entry before it',
    },
    {
      what: 'an unknown type',
      stored: rewrite(last, (body) => body.replace('"type":"allow"', '"type":"toString"')),
      seq: last,
      reason: 'it has no known shape',
    },
    {
      what: 'an unknown member',
      stored: rewrite(last, (body) => body.replace('"v":1', '"v":1,"z":1')),
      seq: last,
      reason: 'it has no known shape',
    },
    {
      what: 'a missing member',
      stored: rewrite(last, (body) => body.replace('"lookUps":[],', '')),
      seq: last,
      reason: 'it has no known shape',
    },
  ])('names the first entry that does not fit: $what', async ({ stored, seq, reason }) => {
    expect(await verifyLog(reader(stored))).toEqual({ ok: false, seq, reason })
  })

  // nodejs/node#63785: having met a name, V8 takes one that is written with the same letters for it.
  test('reads names with a backslash, whatever names were read before', async () => {
    const time = '2026-11-22T09:00:00Z'
    const people = { 'https://id.example.com ACME\\ann': 1, 'https://id.example.com ACME\\maya': 1 }
    const counts = { since: time, count: 2, codes: { policy_denied: 2 }, people, addresses: {} }
    const stored = chainRows([startEntry, { type: 'refusals', time, ...counts }])
    const text = JSON.stringify(people).replace('ACME\\\\maya', 'ACME\\\\\\\\may')
    expect(Object.keys(JSON.parse(text))[1]).toBe('https://id.example.com ACME\\\\may')
    expect(await verifyLog(reader(stored))).toMatchObject({ ok: true, count: 2 })
  })

  // ATTACKS 196: what a chain alone cannot see, and this must not be taken to claim.
  test('cannot see a tail that was cut off, or a log written anew from some entry on', async () => {
    expect(await verifyLog(reader(rows.slice(0, -2)))).toMatchObject({ ok: true, count: last - 2 })
    const anew = [
      ...rows.slice(0, 3),
      ...chainRows([denyEntry(90), denyEntry(91)], headOf(rows.slice(0, 3))),
    ]
    expect(await verifyLog(reader(anew))).toMatchObject({ ok: true, count: 5 })
  })

  test('names the row that the file is damaged at', async () => {
    const damaged: ReadRows = async (from, limit) => {
      if (from <= 4 && 4 < from + limit) throw new AppError('log_corrupt', 'The log is damaged.')
      return reader(rows)(from, limit)
    }
    expect(await verifyLog(damaged)).toEqual({
      ok: false,
      seq: 4,
      reason: 'the file is damaged where it stands',
    })
  })

  test('passes on that the log cannot be read', async () => {
    const store = createFakeStore()
    await store.close()
    await expect(verifyLog(store.read)).rejects.toMatchObject({ code: 'audit_unavailable' })
  })
})

describe('verifying the tail', () => {
  const tailOf = (stored: readonly Row[], count: number, head: Head | undefined = headOf(stored)) =>
    verifyTail({ head: async () => head, read: reader(stored) }, count)

  test.each([
    { count: 2, checked: 2 },
    { count: last - 1, checked: last - 1 },
    { count: last, checked: last },
    { count: 1000, checked: last },
  ])('checks the newest $count', async ({ count, checked }) => {
    expect(await tailOf(rows, count)).toEqual({ ok: true, head: headOf(rows), count: checked })
  })

  test('of an empty log is intact', async () => {
    expect(await tailOf([], 1000)).toEqual({ ok: true, head: undefined, count: 0 })
  })

  test('sees a fault inside it, and the entry it hangs on missing', async () => {
    const changed = change(5, ({ body }) => ({ body: body.replace('No rule', 'Mo rule') }))
    expect(await tailOf(changed, 3)).toMatchObject({ ok: false, seq: 5 })
    expect(await tailOf(changed, 1)).toMatchObject({ ok: true, count: 1 })
    expect(
      await tailOf(
        rows.filter(({ seq }) => seq !== 3),
        3,
      ),
    ).toEqual({
      ok: false,
      seq: 3,
      reason: 'it is missing',
    })
  })

  test('names the entry it hangs on where the file is damaged there', async () => {
    const read: ReadRows = async () => {
      throw new AppError('log_corrupt', 'The log is damaged.')
    }
    expect(await verifyTail({ head: async () => headOf(rows), read }, 3)).toEqual({
      ok: false,
      seq: 3,
      reason: 'the file is damaged where it stands',
    })
  })
})
