import { describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { hashBody, noHash, parseEntry } from '../../src/audit/entry.ts'
import { appendPolicy } from '../../src/audit/policies.ts'
import { findEntries, listEntries } from '../../src/audit/read.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry, startEntry } from '../fakes/entries.ts'

const entries = [startEntry, allowEntry(2), denyEntry(3), allowEntry(4)]
const rows = chainRows(entries)

const openStore = async () => {
  const store = createFakeStore()
  await store.append(rows, undefined)
  return store
}

describe('reading the log', () => {
  test('gives entries with their place in the chain, newest first', async () => {
    const store = await openStore()
    expect(await listEntries(store, { type: 'allow' }, 10)).toEqual([
      { seq: 4, prev: rows[2]?.hash, hash: rows[3]?.hash, entry: entries[3] },
      { seq: 2, prev: rows[0]?.hash, hash: rows[1]?.hash, entry: entries[1] },
    ])
    expect((await listEntries(store, {}, 2, 3)).map(({ seq }) => seq)).toEqual([2, 1])
  })

  test.each([
    { name: '2', found: [2], what: 'number' },
    { name: (2n ** 62n + 4n).toString(), found: [4], what: 'serial' },
    { name: 'req_3', found: [3], what: 'request id' },
    { name: '5', found: [], what: 'number that is not there' },
    { name: '9223372036854775807', found: [], what: 'serial that is not there' },
    { name: '0', found: [], what: 'number before the first' },
    { name: 'req_9', found: [], what: 'request that is not there' },
    { name: '', found: [], what: 'empty name' },
  ])('finds entries by a $what', async ({ name, found }) => {
    const store = await openStore()
    expect((await findEntries(store, name)).map(({ seq }) => seq)).toEqual(found)
  })

  test('refuses a row that is no entry', () => {
    const body = '{"seq":7}'
    expect(() => parseEntry({ seq: 7, body, hash: hashBody(body) })).toThrow(
      expect.objectContaining({
        code: 'log_corrupt',
        message: 'Entry 7 of the log is not readable: run `postern audit verify`.',
        detail: 'its version is not 1',
      }),
    )
  })

  test('begins every chain with 64 zeros', () => {
    expect(noHash).toMatch(/^0{64}$/)
  })
})

describe('recording a policy', () => {
  const time = '2026-11-22T10:00:00Z'
  const policy = { sha256: 'a'.repeat(64), ruleCount: 1, files: { 'web.yaml': 'rules: []' } }

  test('writes its texts once, however often it comes into force', async () => {
    const store = createFakeStore()
    const log = await createLog({ store })
    const other = { ...policy, sha256: 'b'.repeat(64) }
    for (const next of [policy, policy, other, policy]) {
      await appendPolicy({ log, store, time, policy: next })
    }
    const written = (await listEntries(store, { type: 'policy' }, 10)).toReversed()
    const base = { type: 'policy', time, rules: 1 }
    expect(written.map(({ entry }) => entry)).toEqual([
      { ...base, policy: policy.sha256, files: policy.files },
      { ...base, policy: policy.sha256 },
      { ...base, policy: other.sha256, files: policy.files },
      { ...base, policy: policy.sha256 },
    ])
  })

  test('tries the texts again after an entry that was lost', async () => {
    const store = createFakeStore()
    const log = await createLog({ store })
    store.breakNext('lose')
    await expect(appendPolicy({ log, store, time, policy })).rejects.toMatchObject({
      code: 'audit_unavailable',
    })
    expect(await appendPolicy({ log, store, time, policy })).toEqual({ seq: 1 })
    expect(store.rows[0]?.body).toContain('"files":{"web.yaml":"rules: []"}')
  })
})
