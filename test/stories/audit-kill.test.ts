import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { openLock, openReader, openStore } from '../../src/store/index.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, headOf } from '../fakes/entries.ts'

const makeDirectory = useDirectories()
const writer = fileURLToPath(new URL('../fakes/audit-writer.ts', import.meta.url))

/** Lets a writer run, kills it `after` milliseconds past its first entry, and says what it was told. */
const writeAndKill = async (directory: string, first: number, after: number) => {
  const child = spawn(process.execPath, [writer, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the writer ended by itself with ${code}`)
  })
  await Promise.race([once(child.stdout, 'data'), ended])
  ended.catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, after))
  child.kill('SIGKILL')
  await once(child, 'close')
  // The last line may have been cut off by the kill itself.
  const lines = output.slice(0, output.lastIndexOf('\n')).split('\n')
  return lines.map((line) => line.split(' ')).map(([seq, id]) => ({ seq: Number(seq), id }))
}

describe('the service is killed while it writes', { concurrent: true }, () => {
  // ATTACKS 189
  test.each([
    { lane: 'early', trials: [0, 2, 5, 9, 15] },
    { lane: 'late', trials: [20, 26, 34, 42, 50] },
  ])(
    '$lane: every acknowledged entry is there, the chain holds, and no hand is needed',
    async ({ trials }) => {
      const directory = makeDirectory()
      const acknowledged: { readonly seq: number; readonly id: string | undefined }[] = []
      // Milliseconds spread over the life of a commit, not drawn, so that a failure can be had again.
      for (const after of trials) {
        acknowledged.push(...(await writeAndKill(directory, after * 1_000_000, after)))
      }
      // Each writer was heard at least once; how often beyond that is the disk's affair.
      expect(acknowledged.length).toBeGreaterThanOrEqual(trials.length)

      openLock(join(directory, 'postern.lock')).close()
      const reader = await openReader(join(directory, 'postern.db'))
      expect(await verifyLog(reader.read)).toMatchObject({ ok: true })
      const stored = new Map(
        (await reader.read(1, 1_000_000)).map((row) => [row.seq, JSON.parse(row.body).request.id]),
      )
      await reader.close()
      expect(acknowledged.filter(({ seq, id }) => stored.get(seq) !== id)).toEqual([])
      // Rows that nobody heard of are allowed: as many as were under way at each kill, in two batches.
      expect(stored.size - acknowledged.length).toBeLessThanOrEqual(trials.length * 16)

      const log = await createLog({ store: await openStore(join(directory, 'postern.db')) })
      expect(await log.append(allowEntry(999_999_999))).toEqual({ seq: stored.size + 1 })
      await log.close()
    },
    90_000,
  )

  // ATTACKS 190: what lies on the disk at any moment, the file and its write-ahead log, holds every
  // entry that was acknowledged until then; that it lies there durably is what synchronous=FULL says.
  test('and a copy of the files taken after each answer holds all that was answered', async () => {
    const directory = makeDirectory()
    const path = join(directory, 'postern.db')
    const store = await openSqlite(path)
    const rows = chainRows(Array.from({ length: 30 }, (_, n) => allowEntry(n)))
    for (const [n, row] of rows.entries()) {
      await store.append([row], headOf(rows.slice(0, n)))
      const image = join(directory, String(n))
      mkdirSync(image)
      for (const suffix of ['', '-wal']) {
        copyFileSync(`${path}${suffix}`, join(image, `postern.db${suffix}`))
      }
      const copy = await openReader(join(image, 'postern.db'))
      expect(await copy.read(1, 100)).toEqual(rows.slice(0, n + 1))
      await copy.close()
    }
    await store.close()
  })
})
