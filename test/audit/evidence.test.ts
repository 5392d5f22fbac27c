import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { openCheckpoint, parseVerifierKey, splitNotes } from '../../src/audit/checkpoint.ts'
import { openCheckpointFile } from '../../src/audit/checkpoint-file.ts'
import { openKeeper } from '../../src/audit/evidence.ts'
import { openLogKey, openOrCreateLogKey } from '../../src/audit/log-key.ts'
import { openTiles } from '../../src/audit/tiles.ts'
import { isConsistent, isIncluded } from '../../src/audit/tree.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'
import { chainRows, denyEntry, headOf } from '../fakes/entries.ts'

const makeDirectory = useDirectories()
const full = new Error('ENOSPC')
let dir = ''
beforeEach(() => {
  dir = makeDirectory()
})
afterEach(() => vi.useRealTimers())
const pathOf = (name: string) => join(dir, name)
const keyPlace = () => ({
  path: pathOf('log.key'),
  origin: 'postern.example.com/log',
  checkpoints: pathOf('checkpoints'),
})

/** A log of `count` entries, with what keeps its evidence, started. */
const open = async (
  given: {
    store?: ReturnType<typeof createFakeStore>
    acceptRollback?: boolean
    disk?: { isFull: boolean }
  } = {},
) => {
  const { store = createFakeStore(), acceptRollback = false, disk = { isFull: false } } = given
  const key = await openOrCreateLogKey(keyPlace())
  const verifier = parseVerifierKey(key.verifierKey)
  const opened = await openCheckpointFile(pathOf('checkpoints'), verifier)
  const file = {
    ...opened,
    append: async (note: string) => {
      if (disk.isFull) throw full
      await opened.append(note)
    },
  }
  const tiles = await openTiles(pathOf('tree'))
  const told: unknown[] = []
  const tell = (error: unknown) => told.push(error)
  const close = async () => {
    await tiles.close()
    await file.close()
  }
  const keeper = await openKeeper({ store, key, tiles, file, acceptRollback, tell }).catch(
    async (error) => {
      await close()
      throw error
    },
  )
  const log = await createLog({ store, onWritten: keeper.onWritten })
  await keeper.start().catch(async (error) => {
    await close()
    throw error
  })
  const append = async (from: number, to: number) => {
    const entries = Array.from({ length: to - from + 1 }, (_, n) => denyEntry(from + n))
    await Promise.all(entries.map((entry) => log.append(entry)))
  }
  return { keeper, log, store, told, append, verifier }
}

const listCheckpoints = async () => {
  const verifier = parseVerifierKey((await openLogKey(pathOf('log.key'))).verifierKey)
  const notes = splitNotes(readFileSync(pathOf('checkpoints')))
  return notes.map(({ note }) => openCheckpoint(note, verifier))
}
const decode = (text: string) => Buffer.from(text, 'base64')

/** The same log, ending earlier, as a backup of then has it. */
const cutStore = async (store: ReturnType<typeof createFakeStore>, seq: number) => {
  const cut = createFakeStore()
  const rows = store.rows.slice(0, seq)
  if (rows.length > 0) await cut.append(rows, undefined)
  return cut
}

describe('checkpoints', () => {
  test('are kept at the start, at each thousand entries and at the end', async () => {
    const { keeper, append } = await open()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0])
    await append(1, 999)
    expect(await listCheckpoints()).toHaveLength(1)
    await append(1_000, 1_000)
    await expect.poll(async () => (await listCheckpoints()).at(-1)?.size).toBe(1_000)
    await append(1_001, 1_010)
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 1_000, 1_010])
  })

  test('are kept every minute in which something was written', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { keeper, append } = await open()
    const sizes = async () => (await listCheckpoints()).map(({ size }) => size)
    await append(1, 3)
    vi.advanceTimersByTime(59_999)
    // One that was begun would be on the disk by now.
    await sleep(50)
    expect(await sizes()).toEqual([0])
    vi.advanceTimersByTime(1)
    await expect.poll(keeper.checkpoint, { timeout: 5_000 }).toMatch(/\n3\n/)
    vi.advanceTimersByTime(60_000)
    await sleep(50)
    expect(await sizes()).toEqual([0, 3])
    await append(4, 4)
    vi.advanceTimersByTime(60_000)
    await expect.poll(sizes, { timeout: 5_000 }).toEqual([0, 3, 4])
    await keeper.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('are not written again while nothing is new', async () => {
    const first = await open()
    await first.append(1, 5)
    await first.keeper.close()
    const second = await open({ store: await cutStore(first.store, 5) })
    await second.keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 5])
  })

  test('count rows of a commit that seemed to fail', async () => {
    const { keeper, append, store } = await open()
    await append(1, 3)
    store.breakNext('keep')
    await expect(append(4, 4)).rejects.toMatchObject({ code: 'audit_unavailable' })
    await append(5, 6)
    await keeper.close()
    expect((await listCheckpoints()).at(-1)?.size).toBe(6)
  })

  test('that cannot be kept are told, and kept once they can', async () => {
    const disk = { isFull: false }
    const { keeper, append, told } = await open({ disk })
    expect(keeper.check()).toEqual({ ok: true })
    disk.isFull = true
    await append(1, 1_000)
    await expect.poll(() => told).toMatchObject([{ cause: full }])
    expect(keeper.check()).toEqual({ ok: false, reason: 'ENOSPC' })
    expect(keeper.checkpoint()).toMatch(/\n0\n/)
    disk.isFull = false
    await append(1_001, 2_000)
    await expect.poll(() => keeper.check()).toEqual({ ok: true })
    expect(keeper.checkpoint()).toMatch(/\n2000\n/)
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 2_000])
  })

  test('are needed to start', async () => {
    await expect(open({ disk: { isFull: true } })).rejects.toMatchObject({
      code: 'audit_unavailable',
      message: 'The checkpoint of the log cannot be kept.',
      detail: 'ENOSPC',
      hint: 'make room where audit.checkpoints and dataDir are',
    })
  })

  test('prove each entry, and that the log has only grown', async () => {
    const { keeper, append, store, verifier } = await open()
    await append(1, 1_000)
    await expect.poll(() => keeper.checkpoint()).toMatch(/\n1000\n/)
    const { size, root } = openCheckpoint(keeper.checkpoint(), verifier)
    expect(size).toBe(1_000)
    for (const seq of [1, 2, 500, 1_000]) {
      const proof = await keeper.proveInclusion(seq)
      expect(proof).toMatchObject({ seq, size, root: Buffer.from(root).toString('base64') })
      const leaf = Buffer.from(store.rows[seq - 1]?.hash ?? '', 'hex')
      expect(decode(proof.leaf)).toEqual(leaf)
      const hashes = proof.hashes.map(decode)
      expect(isIncluded({ leaf, index: seq - 1, size, root, proof: hashes })).toBe(true)
    }
    const proof = await keeper.proveConsistency(300, 900)
    expect(
      isConsistent({
        from: 300,
        fromRoot: decode((await keeper.proveInclusion(1, 300)).root),
        to: 900,
        toRoot: decode((await keeper.proveInclusion(1, 900)).root),
        proof: proof.hashes.map(decode),
      }),
    ).toBe(true)
    const beyond = {
      code: 'invalid_request',
      message: 'The newest checkpoint counts 1000 entries: ask for no more than those.',
    }
    await expect(keeper.proveInclusion(1, 1_001)).rejects.toMatchObject(beyond)
    await expect(keeper.proveConsistency(1, 1_001)).rejects.toMatchObject(beyond)
    await expect(keeper.proveInclusion(0)).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'There is no entry 0 among the first 1000.',
    })
    await expect(keeper.proveConsistency(0)).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'Ask from a size between 1 and 1000.',
    })
    await keeper.close()
  })
})

// ATTACKS 196, 197
describe('a start', () => {
  /** A log of 700 entries whose evidence was closed in order. */
  const make = async () => {
    const { keeper, append, store } = await open()
    await append(1, 700)
    await keeper.close()
    return store
  }

  test.each([699, 300, 0])('on a log cut back to %i of 700 entries is refused', async (seq) => {
    const store = await make()
    await expect(open({ store: await cutStore(store, seq) })).rejects.toMatchObject({
      code: 'log_rollback',
      message: `The log ends at entry ${seq}, and its newest checkpoint counts 700: an older log was put back, or its newest entries were removed.`,
      hint: 'put the newest log back; where that one is lost for good: postern serve --accept-rollback',
    })
  })

  test('that accepts the rollback says what is lost, and goes on from what is there', async () => {
    const store = await make()
    const { keeper, append } = await open({
      store: await cutStore(store, 300),
      acceptRollback: true,
    })
    expect(keeper.lost).toMatchObject({ from: 301, to: 700, checkpoint: { size: 700 } })
    await append(301, 310)
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 700, 300, 310])
  })

  test('after an accepted rollback is refused on the log that was given up', async () => {
    const store = await make()
    const shorter = await open({ store: await cutStore(store, 300), acceptRollback: true })
    await shorter.append(999, 999)
    await shorter.keeper.close()
    const again = await open({ store: await cutStore(shorter.store, 301) })
    await again.keeper.close()
    await expect(open({ store })).rejects.toMatchObject({ code: 'log_corrupt' })
  })

  const forge = async (store: ReturnType<typeof createFakeStore>, at: number, count: number) => {
    const kept = store.rows.slice(0, at - 1)
    const entries = Array.from({ length: count - at + 1 }, (_, n) =>
      denyEntry(at + n, { reason: 'No.' }),
    )
    const forged = createFakeStore()
    await forged.append([...kept, ...chainRows(entries, headOf(kept))], undefined)
    return forged
  }
  const diverged = {
    code: 'log_corrupt',
    message: 'The log is not the one whose first 700 entries were signed.',
  }

  test.each([1, 350, 700])(
    'on a log whose chain was made anew from entry %i is refused',
    async (at) => {
      const forged = await forge(await make(), at, 720)
      await expect(open({ store: forged })).rejects.toMatchObject(diverged)
      await expect(open({ store: forged, acceptRollback: true })).rejects.toMatchObject(diverged)
      // The tree's files are no witness that it needs.
      rmSync(pathOf('tree'), { recursive: true })
      await expect(open({ store: forged })).rejects.toMatchObject(diverged)
    },
  )

  test('on an older log that is not the beginning of the newest is refused, accepted or not', async () => {
    const forged = await forge(await make(), 200, 300)
    await expect(open({ store: forged, acceptRollback: true })).rejects.toMatchObject(diverged)
  })

  test('whose tree is gone makes it anew of the log', async () => {
    const store = await make()
    rmSync(pathOf('tree'), { recursive: true })
    const { keeper, append } = await open({ store: await cutStore(store, 700) })
    await append(701, 705)
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 700, 705])
  })

  test('on a log of an older postern signs it as it is', async () => {
    const store = await make()
    for (const name of ['tree', 'checkpoints', 'log.key']) rmSync(pathOf(name), { recursive: true })
    const { keeper } = await open({ store: await cutStore(store, 700) })
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([700])
  })
})

describe('the file of checkpoints', () => {
  test('survives what a power cut leaves at its end', async () => {
    const { keeper, append, store } = await open()
    await append(1, 5)
    await keeper.close()
    appendFileSync(pathOf('checkpoints'), `postern.example.com/log\n9\n${'A'.repeat(999)}`)
    const again = await open({ store: await cutStore(store, 5) })
    await again.append(6, 7)
    await again.keeper.close()
    const bytes = readFileSync(pathOf('checkpoints'))
    const whole = splitNotes(bytes).map(({ note }) => `${note}\n`)
    expect(bytes.toString()).toBe(whole.join(''))
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0, 5, 7])
  })

  test.each([
    ['zeros', '\0\0\0\0'],
    ['the beginning of a note', 'postern.example.com/log\n12\nAB'],
    ['a few letters of one', 'poste'],
  ])('may hold nothing but %s', async (_what, text) => {
    await openOrCreateLogKey(keyPlace())
    writeFileSync(pathOf('checkpoints'), text)
    const { keeper } = await open()
    await keeper.close()
    expect((await listCheckpoints()).map(({ size }) => size)).toEqual([0])
  })

  test('that holds something else is left alone', async () => {
    await openOrCreateLogKey(keyPlace())
    writeFileSync(pathOf('checkpoints'), 'my diary\n')
    await expect(open()).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The file of checkpoints holds something else.',
    })
    expect(readFileSync(pathOf('checkpoints'), 'utf8')).toBe('my diary\n')
  })

  test('that is a directory is refused', async () => {
    await openOrCreateLogKey(keyPlace())
    mkdirSync(pathOf('checkpoints'))
    await expect(open()).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The file of checkpoints cannot be written.',
    })
  })

  test('whose newest another key has signed is refused', async () => {
    const { keeper } = await open()
    await keeper.close()
    const theirs = readFileSync(pathOf('checkpoints'))
    for (const name of ['checkpoints', 'log.key']) rmSync(pathOf(name))
    await openOrCreateLogKey(keyPlace())
    writeFileSync(pathOf('checkpoints'), theirs)
    await expect(open()).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The newest checkpoint is not signed by the key of this log.',
    })
  })
})

describe('the key of the log', () => {
  test('is made once, for nobody else to read', async () => {
    const key = await openOrCreateLogKey(keyPlace())
    expect(statSync(pathOf('log.key')).mode & 0o777).toBe(0o600)
    expect((await openOrCreateLogKey(keyPlace())).verifierKey).toBe(key.verifierKey)
  })

  test('is never made anew where it has signed', async () => {
    const { keeper } = await open()
    await keeper.close()
    rmSync(pathOf('log.key'))
    await expect(open()).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The key of the log is gone, and there are checkpoints it has signed.',
    })
    expect(existsSync(pathOf('log.key'))).toBe(false)
  })

  test.each([
    [
      'others may read',
      () => chmodSync(pathOf('log.key'), 0o640),
      'Other users may read or change the key of the log.',
    ],
    ['is damaged', () => truncateSync(pathOf('log.key'), 30), 'The key of the log is damaged.'],
  ])('that %s is refused', async (_what, harm, message) => {
    await openOrCreateLogKey(keyPlace())
    harm()
    await expect(openLogKey(pathOf('log.key'))).rejects.toMatchObject({
      code: 'invalid_config',
      message,
    })
  })

  test('that is not there yet is no mistake of the configuration', async () => {
    await expect(openLogKey(pathOf('log.key'))).rejects.toMatchObject({ code: 'not_found' })
  })
})
