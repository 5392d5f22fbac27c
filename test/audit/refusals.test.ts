import { describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { parseEntry } from '../../src/audit/entry.ts'
import type { DenyEntry, Entry } from '../../src/audit/index.ts'
import { createThrottledLog } from '../../src/audit/refusals.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, denyEntry } from '../fakes/entries.ts'

const time = '2026-11-22T10:01:00Z'

/** A refusal of somebody who is named. */
const sam = denyEntry(1, {
  identity: {
    kind: 'oidc',
    issuer: 'https://idp.example.com',
    subject: 'u-1002',
    name: 'sam',
    groups: [],
    claims: {},
    mfa: false,
  },
})

const open = async (allowance?: { each: number; all: number }, windowMillis = 60_000) => {
  const store = createFakeStore()
  const log = createThrottledLog({
    log: await createLog({ store }),
    clock: () => new Date(time),
    windowMillis,
    ...(allowance === undefined ? {} : { allowance }),
  })
  const entries = async (): Promise<readonly Entry[]> => {
    const read = async (from: number, limit: number) => store.rows.slice(from - 1, from - 1 + limit)
    expect(await verifyLog(read)).toMatchObject({ ok: true })
    return store.rows.map((row) => parseEntry(row).entry)
  }
  const types = async () => (await entries()).map(({ type }) => type)
  return { store, log, entries, types }
}

/** A refusal of somebody who is not named, from an address. */
const stranger = (address: string): DenyEntry => ({
  type: 'deny',
  time: '2026-11-22T10:00:00Z',
  request: { id: 'req_1', address },
  code: 'invalid_token',
  reason: 'No.',
  detail: '',
})

// ATTACKS 201
describe('a flood of refusals', () => {
  test('is in the log one by one at first, and then as one count at the end of the minute', async () => {
    const { log, entries } = await open({ each: 3, all: 10 }, 500)
    for (let n = 0; n < 3; n++) expect((await log.append(sam)).seq).toBe(n + 1)
    for (let n = 0; n < 40; n++) expect(await log.append(sam)).toEqual({ seq: 0 })
    expect(await entries()).toHaveLength(3)
    await expect.poll(async () => (await entries()).length, { timeout: 5_000 }).toBe(4)

    const found = await entries()
    expect(found.slice(0, 3).map(({ type }) => type)).toEqual(['deny', 'deny', 'deny'])
    expect(found.slice(3)).toEqual([
      {
        type: 'refusals',
        time,
        since: sam.time,
        count: 40,
        codes: { policy_denied: 40 },
        people: { 'https://idp.example.com u-1002': 40 },
        addresses: { '192.0.2.1': 40 },
      },
    ])
    await log.close()
  })

  test('of one leaves room for another, until there are too many of all', async () => {
    const { log, types } = await open({ each: 2, all: 5 })
    const seqs: number[] = []
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']) {
      for (let n = 0; n < 3; n++) seqs.push((await log.append(stranger(address))).seq)
    }
    expect(seqs).toEqual([1, 2, 0, 3, 4, 0, 5, 0, 0, 0, 0, 0])
    await log.close()
    expect((await types()).at(-1)).toBe('refusals')
  })

  test('from everywhere makes no long entry', async () => {
    const { log, entries } = await open({ each: 1, all: 1 })
    for (let n = 0; n < 5000; n++) await log.append(stranger(`2001:db8::${n.toString(16)}`))
    await log.close()
    const last = (await entries()).at(-1)
    expect(last).toMatchObject({ type: 'refusals', count: 4999, people: {} })
    expect(last).toHaveProperty('addresses.others', 4999 - 16)
    expect(JSON.stringify(last).length).toBeLessThan(2000)
  })

  test('holds up no certificate, and no other entry', async () => {
    const { log, types } = await open({ each: 1, all: 1 })
    for (let n = 1; n <= 20; n++) {
      await log.append(stranger('192.0.2.1'))
      await log.append(allowEntry(n))
    }
    expect((await types()).filter((type) => type === 'allow')).toHaveLength(20)
    await log.close()
  })

  test('begins to be written again with the next minute', async () => {
    const { log, types } = await open({ each: 1, all: 1 }, 200)
    for (let minute = 1; minute <= 3; minute++) {
      for (let n = 0; n < 10; n++) await log.append(stranger('192.0.2.1'))
      await expect.poll(async () => (await types()).length).toBe(2 * minute)
    }
    expect(await types()).toEqual(['deny', 'refusals', 'deny', 'refusals', 'deny', 'refusals'])
    await log.close()
  })

  test('of a day takes under half a gigabyte', async () => {
    const { log, store } = await open()
    for (let n = 0; n < 3000; n++) await log.append(stranger(`192.0.2.${n % 200}`))
    await log.close()
    const { rows } = store
    expect(rows).toHaveLength(301)
    const bytes = rows.reduce((sum, { body, hash }) => sum + body.length + hash.length, 0)
    expect(bytes * 24 * 60).toBeLessThan(500_000_000)
  })

  test('is refused as if it were written, where the log cannot be written', async () => {
    const { log, store, types } = await open({ each: 1, all: 1 })
    await log.append(stranger('192.0.2.1'))
    store.breakNext('lose', 'lose')
    await expect(log.append(stranger('192.0.2.1'))).rejects.toMatchObject({
      code: 'audit_unavailable',
    })
    await log.close()
    expect(await types()).toEqual(['deny'])
  })

  test('is counted again where the count could not be written', async () => {
    const { log, store, entries } = await open({ each: 1, all: 1 }, 100)
    await log.append(stranger('192.0.2.1'))
    await log.append(stranger('192.0.2.1'))
    store.breakNext('lose')
    await expect.poll(async () => (await entries()).length, { timeout: 5_000 }).toBe(2)
    expect((await entries()).at(-1)).toMatchObject({ type: 'refusals', count: 1 })
    expect(store.batches.length).toBeGreaterThan(2)
    await log.close()
  })
})
