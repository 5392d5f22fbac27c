import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createLogKey, parseLogKey, signCheckpoint } from '../../src/audit/checkpoint.ts'
import { parseEntry } from '../../src/audit/entry.ts'
import { judge } from '../../src/audit/offline.ts'
import type { Row } from '../../src/audit/store.ts'
import { createFrontier } from '../../src/audit/tree.ts'
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
/** As `postern audit export` writes an entry: with its place, its hash, and no version. */
const exportRow = (row: Row) => {
  const { entry, ...place } = parseEntry(row)
  return JSON.stringify({ ...place, ...entry })
}
const judgeRows = (rows: readonly Row[], more: Partial<Parameters<typeof judge>[0]> = {}) =>
  judge({ notes, lines: rows.map(({ body }) => body), key: key.verifierKey, ...more })

describe('the offline verifier', () => {
  test('imports nothing but Node, and none of it ours', () => {
    const imported = [...readFileSync(source, 'utf8').matchAll(/from '([^']+)'|import\('([^']+)/g)]
    expect(imported.map(([, name]) => name)).toEqual(['node:crypto', 'node:fs', 'node:url'])
  })

  test('takes an export in either form', async () => {
    const sound = { ok: true, count: 30, size }
    expect(await judgeRows(original)).toEqual(sound)
    expect(await judgeRows(original, { lines: original.map(exportRow) })).toEqual(sound)
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
    for (let n = 0; n < 1_500; n++) {
      const { kind, rows } = mutate()
      const lines = rows.toSorted((a, b) => a.seq - b.seq).map(({ body }) => body)
      const first = original.findIndex(({ body }, at) => lines[at] !== body)
      // A hash that was changed in the database alone is not in an export of the texts.
      if (first === -1 || first >= size) continue
      const verdict = await judgeRows(original, { lines, leaves })
      expect(verdict, kind).toMatchObject({ ok: false, seq: first + 1 })
    }
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

  test('runs alone, in a directory that holds nothing of ours', () => {
    const dir = makeDirectory()
    const script = join(dir, 'offline.mjs')
    writeFileSync(script, stripTypeScriptTypes(readFileSync(source, 'utf8')))
    const files = { checkpoint: join(dir, 'checkpoint.txt'), log: join(dir, 'export.jsonl') }
    writeFileSync(files.checkpoint, notes)
    writeFileSync(files.log, original.map((row) => `${exportRow(row)}\n`).join(''))
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
