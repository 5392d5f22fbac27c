import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createLogKey, parseLogKey, signCheckpoint } from '../../src/audit/checkpoint.ts'
import { formatEntry, parseEntry } from '../../src/audit/entry.ts'
import { formatLine } from '../../src/audit/export.ts'
import type { RefusalsEntry } from '../../src/audit/index.ts'
import { judge, judgeProof } from '../../src/audit/offline.ts'
import type { Row } from '../../src/audit/store.ts'
import {
  createFrontier,
  listConsistencyRanges,
  listInclusionRanges,
  type Range,
} from '../../src/audit/tree.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, headOf } from '../fakes/entries.ts'
import { createMutations } from './mutations.ts'

const makeDirectory = useDirectories()
const source = fileURLToPath(new URL('../../src/audit/offline.ts', import.meta.url))
const key = parseLogKey(createLogKey('postern.example.com/log'))
if (key === undefined) throw new Error('no key')

const size = 24
const entries = Array.from({ length: 30 }, (_, n) =>
  n % 3 ? denyEntry(n, { reason: `“${n}” \u2028 \u{1f511} \u0000` }) : allowEntry(n),
)
const original = chainRows(entries)
const signAt = (rows: readonly Row[], at: number) => {
  const frontier = createFrontier()
  for (const { hash } of rows.slice(0, at)) frontier.add(Buffer.from(hash, 'hex'))
  return signCheckpoint(key, { size: at, root: frontier.root() })
}
const notes = signAt(original, size)
const leaves = Buffer.concat(original.map(({ hash }) => Buffer.from(hash, 'hex')))
/** As `postern audit list --json` has an entry: with its place, its hash, and no version. */
const listRow = (row: Row) => {
  const { entry, ...place } = parseEntry(row)
  return JSON.stringify({ ...place, ...entry })
}
const judgeRows = (rows: readonly Row[], more: Partial<Parameters<typeof judge>[0]> = {}) =>
  judge({ notes, lines: rows.map(({ body }) => body), key: key.verifierKey, ...more })

describe('the offline verifier', () => {
  // nodejs/node#63785: having met the one name, V8 takes the other for it.
  test('takes an export whose names hold backslashes', async () => {
    const flood = (names: readonly string[]): RefusalsEntry => ({
      type: 'refusals',
      time: '2026-11-22T09:00:00Z',
      since: '2026-11-22T09:00:00Z',
      count: names.length,
      codes: { policy_denied: names.length },
      people: Object.fromEntries(names.map((name) => [`https://id.example.com ${name}`, 1])),
      addresses: {},
    })
    const rows = chainRows([flood(['AAA', 'ACME\\\\may']), flood(['AAA', 'ACME\\maya'])])
    const lines = rows.map(formatLine)
    const [, last = ''] = lines.map((line) => JSON.stringify(JSON.parse(line)))
    expect(last).not.toBe(lines[1])
    expect(await judgeRows(rows, { notes: signAt(rows, 2), lines })).toEqual({
      ok: true,
      count: 2,
      size: 2,
    })
  })

  test('imports nothing but Node, and none of it ours', () => {
    const imported = [...readFileSync(source, 'utf8').matchAll(/from '([^']+)'|import\('([^']+)/g)]
    expect(imported.map(([, name]) => name)).toEqual(['node:crypto', 'node:fs', 'node:url'])
  })

  test('takes what export writes, in any order of its members, and the texts themselves', async () => {
    const sound = { ok: true, count: 30, size }
    expect(await judgeRows(original)).toEqual(sound)
    expect(await judgeRows(original, { lines: original.map(formatLine) })).toEqual(sound)
    expect(await judgeRows(original, { lines: original.map(listRow) })).toEqual(sound)
    expect(await judgeRows(original, { leaves })).toEqual(sound)
  })

  test('finds a log that was made anew, by its root, by older checkpoints, or by its hashes', async () => {
    const anew = entries.slice(12).map((entry) => ({ ...entry, policy: 'a'.repeat(64) }))
    const rows = [...original.slice(0, 12), ...chainRows(anew, headOf(original.slice(0, 12)))]
    const reason =
      'from it to entry 24 the log was written anew: they are not what the checkpoint was signed over'
    expect(await judgeRows(rows)).toEqual({ ok: false, seq: 1, reason })
    const many = [4, 10, 16].map((at) => `${signAt(original, at)}\n`).join('') + notes
    expect(await judgeRows(rows, { notes: many })).toEqual({ ok: false, seq: 11, reason })
    expect(await judgeRows(rows, { leaves })).toEqual({
      ok: false,
      seq: 13,
      reason: 'it is not the entry that the checkpoint was signed over',
    })
  })

  test('finds random mutations as the service does', async () => {
    const mutate = createMutations({ original, entries, size, seed: 7 })
    const wrong: unknown[] = []
    for (let n = 0; n < 1_500; n++) {
      const { kind, rows } = mutate()
      const lines = rows
        .toSorted((a, b) => a.seq - b.seq)
        .map(({ hash, body }) => `{"hash":${JSON.stringify(hash)},${body.slice(1)}`)
      const first = original.findIndex(
        (row, at) => lines[at] !== `{"hash":"${row.hash}",${row.body.slice(1)}`,
      )
      const verdict = await judgeRows(original, { lines, leaves })
      if (verdict.ok || verdict.seq !== first + 1) wrong.push({ kind, first, verdict })
    }
    expect(wrong).toEqual([])
  })

  test.each([
    ['removed', 'it is missing: entry 29 stands in its place', original.toSpliced(27, 1)],
    [
      'of a chain of its own',
      'it does not follow from the entry before it',
      original.with(27, formatEntry(denyEntry(99), 28, '0'.repeat(64))),
    ],
  ])('finds what was %s after the checkpoint', async (_what, reason, rows) => {
    expect(await judgeRows(rows)).toEqual({ ok: false, seq: 28, reason })
  })

  test('finds a hash that is not that of its line', async () => {
    const lines = original.map(formatLine)
    const [one, other] = [lines[27] as string, lines[28] as string]
    const found = await judgeRows(original, {
      lines: lines.with(27, other.slice(0, 75) + one.slice(75)),
    })
    expect(found).toEqual({ ok: false, seq: 28, reason: 'its hash is not the hash of its text' })
  })

  test.each([
    ['no checkpoint', { notes: 'hello\n' }, 'there is no signed checkpoint in the file'],
    [
      'another size',
      { notes: notes.replace('\n24\n', '\n23\n') },
      'the checkpoint is not signed by this key',
    ],
    [
      'no key',
      { key: 'postern' },
      'this is no verifier key: give the line that `postern audit key` prints',
    ],
    [
      'the key of another log',
      { key: parseLogKey(createLogKey('postern.example.com/log'))?.verifierKey ?? '' },
      'the checkpoint is not signed by this key',
    ],
  ])('refuses %s', async (_what, more, message) => {
    await expect(judgeRows(original, more)).rejects.toThrow(message)
  })

  test('soon says that an export is no checkpoint', async () => {
    const swapped = `“${'x'.repeat(998)}\n`.repeat(100)
    const begun = performance.now()
    await expect(judgeRows(original, { notes: swapped })).rejects.toThrow('no signed checkpoint')
    expect(performance.now() - begun).toBeLessThan(1000)
  })

  test('runs alone, in a directory that holds nothing of ours', () => {
    const dir = makeDirectory()
    const script = join(dir, 'offline.mjs')
    writeFileSync(script, stripTypeScriptTypes(readFileSync(source, 'utf8')))
    const files = { checkpoint: join(dir, 'checkpoint.txt'), log: join(dir, 'export.jsonl') }
    writeFileSync(files.checkpoint, notes)
    writeFileSync(files.log, original.map((row) => `${formatLine(row)}\n`).join(''))
    const run = (...argv: string[]) => {
      const { status, stdout } = spawnSync(process.execPath, [script, ...argv], {
        cwd: dir,
        encoding: 'utf8',
      })
      return { status, stdout }
    }
    const good = [files.checkpoint, files.log, '--key', key.verifierKey]
    expect(run(...good)).toEqual({ status: 0, stdout: 'ok: 30 entries, 24 of them signed\n' })
    expect(run(files.checkpoint)).toMatchObject({ status: 2 })
    expect(run(files.checkpoint, files.checkpoint, '--key', key.verifierKey)).toEqual({
      status: 1,
      stdout: 'error: entry 1 does not verify: it is not JSON\n',
    })
    expect(run(join(dir, 'none'), files.log, '--key', key.verifierKey)).toMatchObject({ status: 2 })
    writeFileSync(
      join(dir, 'cut.jsonl'),
      original
        .slice(0, 20)
        .map((row) => `${row.body}\n`)
        .join(''),
    )
    expect(run(files.checkpoint, join(dir, 'cut.jsonl'), '--key', key.verifierKey)).toEqual({
      status: 1,
      stdout: 'error: entry 21 does not verify: it is missing: the checkpoint counts 24 entries\n',
    })
  })
})

// ATTACKS 204
describe('a proof of the service, judged offline', () => {
  const hashes = original.map(({ hash }) => Buffer.from(hash, 'hex'))
  const rootOf = ({ start, end }: Range): string => {
    const frontier = createFrontier()
    for (const hash of hashes.slice(start, end)) frontier.add(hash)
    return Buffer.from(frontier.root()).toString('base64')
  }
  const include = (seq: number, of: number) => ({
    seq,
    size: of,
    leaf: rootOf({ start: seq - 1, end: seq }),
    root: rootOf({ start: 0, end: of }),
    hashes: listInclusionRanges(seq - 1, of).map(rootOf),
  })
  const grow = (from: number, to: number) => ({
    from,
    to,
    fromRoot: rootOf({ start: 0, end: from }),
    root: rootOf({ start: 0, end: to }),
    hashes: listConsistencyRanges(from, to).map(rootOf),
  })
  const signed = Array.from({ length: 30 }, (_, at) => `${signAt(original, at + 1)}\n`)
  const notesOf = (...sizes: readonly number[]) => sizes.map((of) => signed[of - 1]).join('')
  const judgeOne = (proof: unknown, text: string) =>
    judgeProof({ notes: text, proof: JSON.stringify(proof), key: key.verifierKey })
  const spoil = (text: string) => `${text[0] === 'A' ? 'B' : 'A'}${text.slice(1)}`

  test('holds for every entry and between any two sizes', () => {
    for (let of = 1; of <= 30; of++) {
      for (let n = 1; n <= of; n++) {
        const hash = original[n - 1]?.hash
        expect(judgeOne(include(n, of), notesOf(of))).toBe(
          `entry ${n} of the ${of} signed has the hash ${hash}`,
        )
        expect(judgeOne(grow(n, of), notesOf(n, of))).toBe(
          `the ${of} entries signed begin with the ${n} signed before`,
        )
      }
    }
  })

  test('holds for nothing else: each hash changed, left out or added, and every other place', () => {
    const changed = (proof: { readonly hashes: readonly string[] }) => [
      ...proof.hashes.map((hash, at) => ({
        ...proof,
        hashes: proof.hashes.with(at, spoil(hash)),
      })),
      ...proof.hashes.map((_, at) => ({ ...proof, hashes: proof.hashes.toSpliced(at, 1) })),
      { ...proof, hashes: [...proof.hashes, rootOf({ start: 0, end: 1 })] },
    ]
    let refused = 0
    for (const [n, of] of [
      [1, 1],
      [1, 24],
      [7, 24],
      [16, 24],
      [23, 24],
      [24, 24],
      [5, 8],
    ] as const) {
      const [included, grown] = [include(n, of), grow(n, of)]
      const wrong = [
        ...changed(included),
        ...changed(grown),
        { ...included, leaf: spoil(included.leaf) },
        ...[n - 1, n + 1]
          .filter((seq) => seq > 0 && seq <= of)
          .map((seq) => ({ ...included, seq })),
        ...(of > 8
          ? [
              { ...included, size: of - 8 },
              { ...grown, to: of - 7 },
            ]
          : []),
      ].filter((one) => !('from' in one) || one.from <= one.to)
      for (const one of wrong) {
        const isHeld = 'seq' in one && one.seq > one.size
        const text = notesOf(n, of, 16, 17)
        if (isHeld) expect(() => judgeOne(one, text)).toThrow('this is no proof')
        else expect(judgeOne(one, text), JSON.stringify(one)).toBeUndefined()
        refused++
      }
    }
    expect(refused).toBeGreaterThan(100)
  })

  test('is judged by what was signed, never by the roots it brings', () => {
    const forged = chainRows([denyEntry(99), ...entries.slice(1)])
    const notes = `${signAt(forged, 24)}\n`
    expect(judgeOne(include(7, 24), notes)).toBeUndefined()
    expect(judgeOne(grow(7, 24), notesOf(7) + notes)).toBeUndefined()
    expect(judgeOne(grow(7, 24), `${signAt(forged, 7)}\n${notesOf(24)}`)).toBeUndefined()
    expect(judgeOne(grow(8, 24), `${signAt(forged, 8)}\n${notesOf(24)}`)).toBeUndefined()
    // After an accepted rollback two checkpoints may be of one size.
    expect(judgeOne(include(7, 24), notes + notesOf(24))).toMatch(/^entry 7 /)
  })

  test.each([
    [include(1, 24), notes.replace('24', '25'), 'the checkpoint is not signed by this key'],
    [include(1, 12), notes, 'there is no checkpoint of 12 entries in the file'],
    [grow(12, 24), notes, 'there is no checkpoint of 12 entries in the file'],
    [{ ...include(1, 24), hashes: ['AAAA'] }, notes, 'this is no proof: give what'],
    [{ ...include(1, 24), leaf: undefined }, notes, 'this is no proof: give what'],
    [{ ...grow(1, 24), from: 1.5 }, notes, 'this is no proof: give what'],
    [{}, notes, 'this is no proof: give what'],
    [null, notes, 'this is no proof: give what'],
  ])('is refused where it is none, or of no checkpoint there', (proof, text, message) => {
    expect(() => judgeOne(proof, text)).toThrow(message)
  })
})
