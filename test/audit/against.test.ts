import { describe, expect, test } from 'vitest'
import { verifyAgainst } from '../../src/audit/against.ts'
import type { Checkpoint } from '../../src/audit/checkpoint.ts'
import { formatEntry, hashBody } from '../../src/audit/entry.ts'
import type { Row } from '../../src/audit/store.ts'
import { createFrontier } from '../../src/audit/tree.ts'
import { allowEntry, chainRows, denyEntry, headOf } from '../fakes/entries.ts'
import { createMutations } from './mutations.ts'

const count = 30
const size = 24
const entries = Array.from({ length: count }, (_, n) => (n % 3 ? denyEntry(n) : allowEntry(n)))
const original = chainRows(entries)

const checkpointOf = (rows: readonly Row[], at: number): Checkpoint => {
  const frontier = createFrontier()
  for (const { hash } of rows.slice(0, at)) frontier.add(Buffer.from(hash, 'hex'))
  return { origin: 'postern.example.com/log', size: at, root: frontier.root() }
}
const checkpoint = checkpointOf(original, size)
const leaves = original.map(({ hash }) => Buffer.from(hash, 'hex'))
const readLeaves = async (from: number, limit: number) => leaves.slice(from - 1, from - 1 + limit)
const readerOf = (rows: readonly Row[]) => async (from: number, limit: number) =>
  rows
    .filter(({ seq }) => seq >= from)
    .toSorted((a, b) => a.seq - b.seq)
    .slice(0, limit)

const judge = (rows: readonly Row[], more: Partial<Parameters<typeof verifyAgainst>[0]> = {}) =>
  verifyAgainst({ read: readerOf(rows), checkpoint, leaves: readLeaves, ...more })

/** Everything from `at` on with new contents and a chain that holds. */
const rebuild = (at: number): readonly Row[] => {
  const kept = original.slice(0, at - 1)
  const anew = entries.slice(at - 1).map((entry) => ({ ...entry, policy: 'a'.repeat(64) }))
  return [...kept, ...chainRows(anew, headOf(kept))]
}

describe('a log and a checkpoint of it', () => {
  test('agree, also while the log has grown since', async () => {
    expect(await judge(original)).toEqual({ ok: true, head: headOf(original), count })
    expect(await judge(original.slice(0, size))).toMatchObject({ ok: true, count: size })
    const none = { ...checkpoint, size: 0, root: createFrontier().root() }
    expect(await judge(original, { checkpoint: none })).toMatchObject({ ok: true })
    expect(await judge([], { checkpoint: none })).toEqual({ ok: true, head: undefined, count: 0 })
  })

  // ATTACKS 196
  test('that ends before it names the first entry that is missing', async () => {
    expect(await judge(original.slice(0, 20))).toEqual({
      ok: false,
      seq: 21,
      reason: 'it is missing: the checkpoint counts 24 entries',
    })
    expect(await judge([])).toMatchObject({ ok: false, seq: 1 })
  })

  test.each([1, 2, 13, 24])('that was made anew from entry %i on names it', async (at) => {
    expect(await judge(rebuild(at))).toEqual({
      ok: false,
      seq: at,
      reason: 'it is not the entry that the checkpoint was signed over',
    })
  })

  test('that was made anew, with its hashes, is found by the root alone', async () => {
    const rows = rebuild(13)
    const forged = rows.map(({ hash }) => Buffer.from(hash, 'hex'))
    const forgedLeaves = async (from: number, limit: number) =>
      forged.slice(from - 1, from - 1 + limit)
    expect(await judge(rows, { leaves: forgedLeaves })).toEqual({
      ok: false,
      seq: 1,
      reason:
        'from it to entry 24 the log was written anew: they are not what the checkpoint was signed over',
    })
    const earlier = [4, 10, 16, 20].map((at) => checkpointOf(original, at))
    expect(await judge(rows, { leaves: forgedLeaves, earlier })).toEqual({
      ok: false,
      seq: 11,
      reason:
        'from it to entry 16 the log was written anew: they are not what the checkpoint was signed over',
    })
  })

  test('after an accepted rollback is not held to what was given up', async () => {
    const givenUp = [5, 20].map((at) => checkpointOf(rebuild(1), at))
    expect(await judge(original, { earlier: givenUp })).toMatchObject({ ok: true })
  })

  test('has nothing to say against what came after it', async () => {
    expect(await judge(rebuild(25))).toMatchObject({ ok: true })
    const forged = original.with(26, formatEntry(denyEntry(99), 27, '0'.repeat(64)))
    expect(await judge(forged)).toMatchObject({ ok: false, seq: 27 })
  })
})

// ATTACKS 195, 196
describe('ten thousand mutations', () => {
  const [shortCount, shortSize] = [18, 14]
  const short = original.slice(0, shortCount)
  const kept = checkpointOf(short, shortSize)

  /** The first of the signed entries that is not as it was, found by comparing with the original. */
  const findFirst = (rows: readonly Row[]): number => {
    const bySeq = new Map(rows.map((row) => [row.seq, row]))
    const first = short.slice(0, shortSize).find(({ seq, body, hash }) => {
      const row = bySeq.get(seq)
      return row?.body !== body || row.hash !== hash
    })
    return first?.seq ?? 0
  }

  test('are all found, and the first bad entry is named', async () => {
    const mutate = createMutations({
      original: short,
      entries: entries.slice(0, shortCount),
      size: shortSize,
      seed: 20_261_122,
    })
    const seen = new Map<string, number>()
    const wrong: unknown[] = []
    for (let n = 0; n < 10_000; n++) {
      const { kind, rows } = mutate()
      const seq = findFirst(rows)
      if (seq === 0) throw new Error(`${kind} changed nothing`)
      const read = readerOf(rows)
      const verdict = await verifyAgainst({ read, checkpoint: kept, leaves: readLeaves })
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
      if (verdict.ok || verdict.seq !== seq) wrong.push({ kind, seq, verdict })
      // With nothing but the checkpoint it is found as well, and named where the chain breaks: at it or
      // behind it. Where the chain was made to hold, a span is named, and it lies in that.
      const alone = await verifyAgainst({ read, checkpoint: kept })
      const isSpan = !alone.ok && alone.reason.startsWith(`from it to entry ${shortSize} `)
      const isRight = !alone.ok && (isSpan ? alone.seq <= seq : alone.seq >= seq)
      if (!isRight) wrong.push({ kind, seq, alone })
    }
    expect(wrong.slice(0, 3)).toEqual([])
    expect(wrong).toHaveLength(0)
    expect([...seen.keys()].sort()).toEqual([
      'delete',
      'flip',
      'insert',
      'rebuild',
      'swap',
      'truncate',
    ])
    for (const times of seen.values()) expect(times).toBeGreaterThan(1_000)
  })

  test('begin from rows whose hashes are those of their text', () => {
    for (const { body, hash } of short) expect(hashBody(body)).toBe(hash)
  })
})
