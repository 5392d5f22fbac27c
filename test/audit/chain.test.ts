import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import type { Entry } from '../../src/audit/index.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { createFakeStore, type FakeStore, type Fault } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry, headOf, startEntry } from '../fakes/entries.ts'

const unavailable = {
  code: 'audit_unavailable',
  message: 'The log cannot be written now, so nothing was done: try again shortly.',
  retryAfter: 5,
}

const idOf = (entry: { readonly request?: { readonly id: string } }) => entry.request?.id

/** The request ids that are stored, in order; the whole chain is verified on the way. */
const listIds = async (store: FakeStore): Promise<readonly unknown[]> => {
  expect(await verifyLog(store.read)).toMatchObject({ ok: true, count: store.rows.length })
  return store.rows.map(({ body }) => idOf(JSON.parse(body)))
}

const open = async (options: Partial<Parameters<typeof createLog>[0]> = {}) => {
  const store = createFakeStore()
  return { store, log: await createLog({ store, ...options }) }
}

afterEach(() => vi.useRealTimers())

describe('the chain', () => {
  test('writes the canonical entry with its version, number and link, and the RFC 6962 leaf hash', async () => {
    const { store, log } = await open()
    expect(await log.append(startEntry)).toEqual({ seq: 1 })
    expect(await log.append(startEntry)).toEqual({ seq: 2 })
    const zeros = '0'.repeat(64)
    const body = `{"ca":"SHA256:ca","prev":"${zeros}","seq":1,"time":"2026-11-22T09:00:00Z","type":"start","v":1,"version":"0.1.0"}`
    const hash = createHash('sha256').update(Buffer.of(0)).update(body).digest('hex')
    expect(store.rows[0]).toEqual({ seq: 1, body, hash })
    expect(JSON.parse(store.rows[1]?.body ?? '')).toEqual({
      ...startEntry,
      v: 1,
      seq: 2,
      prev: hash,
    })
  })

  test('goes on where the log ends', async () => {
    const store = createFakeStore()
    const rows = chainRows([startEntry, allowEntry(2)])
    await store.append(rows, undefined)
    const log = await createLog({ store })
    expect(await log.append(denyEntry(3))).toEqual({ seq: 3 })
    expect(await listIds(store)).toEqual([undefined, 'req_2', 'req_3'])
    expect(store.rows[2]?.body).toContain(`"prev":"${headOf(rows)?.hash}"`)
  })

  // ATTACKS 203
  test('keeps 200 parallel writers in one chain without a gap', async () => {
    const { store, log } = await open()
    const entries = Array.from({ length: 200 }, (_, n) => (n % 3 ? allowEntry(n) : denyEntry(n)))
    const written = await Promise.all(entries.map((entry) => log.append(entry)))
    expect(written.map(({ seq }) => seq)).toEqual(entries.map((_, n) => n + 1))
    expect(await listIds(store)).toEqual(entries.map(idOf))
    expect(store.batches).toEqual([1, 199])
  })

  // ATTACKS 202
  test('goes by arrival when the clock steps back', async () => {
    const { store, log } = await open()
    const times = ['2026-11-22T10:00:00Z', '2026-11-22T09:00:00Z', '2026-11-22T09:00:00Z']
    for (const [n, time] of times.entries()) await log.append(denyEntry(n, { time }))
    expect(await listIds(store)).toEqual(['req_0', 'req_1', 'req_2'])
  })

  test('says nothing before the row is durable, and shares the next commit', async () => {
    const { store, log } = await open()
    store.breakNext('hang')
    let resolved = 0
    const writes = [1, 2, 3, 4].map((n) => log.append(allowEntry(n)).then(() => resolved++))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(resolved).toBe(0)
    store.release()
    await Promise.all(writes)
    expect(store.batches).toEqual([1, 3])
  })

  test('splits what waits into batches', async () => {
    const { store, log } = await open({ maxBatch: 10 })
    await Promise.all(Array.from({ length: 26 }, (_, n) => log.append(allowEntry(n))))
    expect(store.batches).toEqual([1, 10, 10, 5])
  })
})

describe('a commit that fails', () => {
  test.each<{ fault: Fault; stored: readonly unknown[]; detail: string }>([
    { fault: 'lose', stored: ['req_1', 'req_3'], detail: 'the fake lost it' },
    { fault: 'keep', stored: ['req_1', 'req_2', 'req_3'], detail: 'the fake kept it' },
    { fault: 'conflict', stored: ['req_1', undefined, 'req_3'], detail: 'the head is another' },
  ])('is refused, and the next one goes on from what is there ($fault)', async (given) => {
    const { store, log } = await open()
    await log.append(allowEntry(1))
    store.breakNext(given.fault)
    await expect(log.append(allowEntry(2))).rejects.toMatchObject({
      ...unavailable,
      detail: given.detail,
    })
    await log.append(allowEntry(3))
    expect(await listIds(store)).toEqual(given.stored)
  })

  test('is refused to everyone in its batch, and to nobody else', async () => {
    const { store, log } = await open({ maxBatch: 2 })
    store.breakNext('lose')
    const results = await Promise.allSettled([1, 2, 3].map((n) => log.append(allowEntry(n))))
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(await listIds(store)).toEqual(['req_2', 'req_3'])
  })

  // ATTACKS 38: a serial that was drawn twice never leaves twice.
  test('is refused where a serial is in the log already', async () => {
    const { store, log } = await open()
    await log.append(allowEntry(1))
    await expect(log.append(allowEntry(1))).rejects.toMatchObject(unavailable)
    await log.append(allowEntry(2))
    expect(await listIds(store)).toEqual(['req_1', 'req_2'])
  })

  test('that hangs is refused at the deadline, with all who wait behind it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { store, log } = await open({ deadlineMs: 30, maxBatch: 1 })
    store.breakNext('hang')
    let settled = 0
    const writes = [1, 2, 3].map((n) => log.append(allowEntry(n)).finally(() => settled++))
    const results = Promise.allSettled(writes)
    await vi.advanceTimersByTimeAsync(29)
    expect(settled).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect(settled).toBe(3)
    for (const result of await results) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { ...unavailable, detail: 'the store has not answered within 30 ms' },
      })
    }
    vi.useRealTimers()
    // While it still hangs, not even the head is known.
    await expect(log.append(allowEntry(4))).rejects.toMatchObject(unavailable)
    store.release()
    await log.append(allowEntry(5))
    expect(await listIds(store)).toEqual(['req_1', 'req_5'])
  })

  test('never loses an entry that was acknowledged, whatever breaks and when', async () => {
    const faults = fc.array(fc.constantFrom<Fault | 'none'>('lose', 'keep', 'conflict', 'none'))
    await fc.assert(
      fc.asyncProperty(faults, fc.integer({ min: 1, max: 5 }), async (plan, maxBatch) => {
        const { store, log } = await open({ maxBatch })
        store.breakNext(...(plan as Fault[]))
        const results = await Promise.allSettled(
          Array.from({ length: 30 }, (_, n) => log.append(denyEntry(n))),
        )
        const ids = await listIds(store)
        for (const [n, result] of results.entries()) {
          if (result.status === 'fulfilled') expect(ids[result.value.seq - 1]).toBe(`req_${n}`)
          else expect(result.reason).toMatchObject(unavailable)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('the queue', () => {
  test('takes no more than it may hold', async () => {
    const { store, log } = await open({ maxQueued: 2 })
    store.breakNext('hang')
    const writes = [1, 2, 3].map((n) => log.append(allowEntry(n)))
    await expect(log.append(allowEntry(4))).rejects.toMatchObject({
      ...unavailable,
      detail: '2 entries wait already',
    })
    store.release()
    await Promise.all(writes)
    expect(await listIds(store)).toEqual(['req_1', 'req_2', 'req_3'])
  })

  test('refuses an entry that has no canonical form, and it alone', async () => {
    const { store, log } = await open()
    const [first, second, third] = [
      log.append(denyEntry(1)),
      log.append(denyEntry(2, { reason: '\ud800' })),
      log.append(denyEntry(3)),
    ]
    await expect(second).rejects.toThrow(new TypeError('a lone surrogate has no canonical form'))
    expect(await Promise.all([first, third])).toEqual([{ seq: 1 }, { seq: 2 }])
    expect(await listIds(store)).toEqual(['req_1', 'req_3'])
  })

  test('is written out by close, which then closes the store', async () => {
    const { store, log } = await open()
    const writes = [1, 2, 3].map((n) => log.append(allowEntry(n)))
    await Promise.all([log.close(), log.close()])
    await Promise.all(writes)
    expect(store.rows).toHaveLength(3)
    await expect(store.head()).rejects.toMatchObject({ detail: 'the store is closed' })
    await expect(log.append(allowEntry(4))).rejects.toMatchObject({
      ...unavailable,
      detail: 'the log is closed',
    })
    expect(await log.check()).toEqual({ ok: false, reason: 'the log is closed' })
  })
})

describe('check', () => {
  test('proves with an empty commit that the log can be written', async () => {
    const { store, log } = await open()
    expect(await log.check()).toEqual({ ok: true })
    expect(store.rows).toEqual([])
    expect(store.batches).toEqual([0])
  })

  test('shares a commit with the entries that wait', async () => {
    const { store, log } = await open()
    const entries: readonly Entry[] = [allowEntry(1), allowEntry(2)]
    const writes = entries.map((entry) => log.append(entry))
    expect(await log.check()).toEqual({ ok: true })
    expect(await Promise.all(writes)).toEqual([{ seq: 1 }, { seq: 2 }])
    expect(store.batches).toEqual([1, 1])
  })

  test('says why not, for a second, and then asks again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { store, log } = await open()
    store.breakNext('lose')
    expect(await log.check()).toEqual({ ok: false, reason: 'the fake lost it' })
    vi.advanceTimersByTime(999)
    expect(await log.check()).toEqual({ ok: false, reason: 'the fake lost it' })
    vi.advanceTimersByTime(1)
    expect(await log.check()).toEqual({ ok: true })
    expect(store.batches).toEqual([0, 0])
  })
})
