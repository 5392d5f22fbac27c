import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { openReader, openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, headOf } from '../fakes/entries.ts'
import { run } from '../fakes/process.ts'

const makeDirectory = useDirectories()
const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)

describe('the store in its thread', () => {
  test('says why it cannot be opened, in the words of the store', async () => {
    await expect(openStore(join(makeDirectory(), 'none', 'postern.db'))).rejects.toMatchObject({
      code: 'invalid_config',
      kind: 'invalid',
      message: 'The directory of the log does not exist.',
      hint: expect.stringContaining('mkdir -m 700 '),
    })
  })

  test('finishes what was asked before it was closed', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await openStore(path)
    const rows = chainRows(Array.from({ length: 50 }, (_, n) => allowEntry(n)))
    const appends = rows.map((row, n) => store.append([row], headOf(rows.slice(0, n))))
    await store.close()
    await Promise.all(appends)
    const reader = await openReader(path)
    expect(await reader.head()).toEqual(headOf(rows))
    await reader.close()
  })

  // ATTACKS 203
  test('keeps one chain under 200 writers', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const log = await createLog({ store: await openStore(path) })
    const numbers = await Promise.all(
      Array.from({ length: 200 }, async (_, writer) => {
        const first = await log.append(allowEntry(writer * 2))
        const second = await log.append(allowEntry(writer * 2 + 1))
        return [first.seq, second.seq]
      }),
    )
    await log.close()
    expect(numbers.flat().sort((a, b) => a - b)).toEqual(
      Array.from({ length: 400 }, (_, n) => n + 1),
    )
    const reader = await openReader(path)
    expect(await verifyLog(reader.read)).toMatchObject({ ok: true, count: 400 })
    await reader.close()
  })

  test('does not hold the event loop while the disk is busy', async () => {
    const path = join(makeDirectory(), 'postern.db')
    const store = await openStore(path)
    const { default: Database } = await import('better-sqlite3')
    const other = new Database(path)
    other.exec('BEGIN IMMEDIATE')
    const append = store.append([], undefined)
    let longest = 0
    let last = performance.now()
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }
    // The append is still waiting for the other writer: 2 s in the thread, not here.
    expect(longest).toBeLessThan(1000)
    other.exec('ROLLBACK')
    other.close()
    await append
    await store.close()
  })

  test('refuses everything once its worker has died, and still closes', async () => {
    // In a process of its own: the worker is brought down by a call it does not know.
    const program = `
      const { openStore } = await import(${here('../../src/store/index.ts')})
      const { Worker } = await import('node:worker_threads')
      const post = Worker.prototype.postMessage
      const store = await openStore(${JSON.stringify(join(makeDirectory(), 'postern.db'))})
      Worker.prototype.postMessage = function (call) {
        return post.call(this, { ...call, method: 'nothing' })
      }
      const pending = store.head().catch((error) => error)
      const late = store.read(1, 1).catch((error) => error)
      const errors = [await pending, await late, await store.head().catch((error) => error)]
      await store.close()
      errors.push(await store.head().catch((error) => error))
      console.log(JSON.stringify(errors.map(({ code, detail }) => [code, detail])))`
    const { stdout } = await run(process.execPath, ['-e', program])
    const died = ['audit_unavailable', "the store's thread failed: call is not a function"]
    expect(JSON.parse(stdout)).toEqual([
      died,
      died,
      died,
      ['audit_unavailable', 'the store is closed'],
    ])
  })
})
