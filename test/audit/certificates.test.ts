import { describe, expect, test } from 'vitest'
import {
  findCertificate,
  findLongestLife,
  listCertificates,
  longestLifeSeconds,
  walkCertificates,
} from '../../src/audit/certificates.ts'
import type { Entry } from '../../src/audit/index.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry, startEntry } from '../fakes/entries.ts'

const openStore = async (entries: readonly Entry[]) => {
  const store = createFakeStore()
  await store.append(chainRows(entries), undefined)
  return store
}

const serialOf = (n: number) => (2n ** 62n + BigInt(n)).toString()

describe('issued certificates', () => {
  test('are the allow entries alone, newest first, each with who, what and by which rule', async () => {
    const entry = allowEntry(2)
    const store = await openStore([startEntry, entry, denyEntry(3), allowEntry(4)])
    const found = await listCertificates(store, {}, 10)
    expect(found.map(({ serial }) => serial)).toEqual([serialOf(4), serialOf(2)])
    const { time, identity, ask, rule, certificate } = entry
    expect(found[1]).toEqual({ seq: 2, time, identity, ask, rule, ...certificate })
    expect(await listCertificates(store, {}, 10, 4)).toEqual([found[1]])
    expect(await listCertificates(store, { subject: 'u-4' }, 10)).toEqual([found[0]])
  })

  test('are found by their serial, and none by another', async () => {
    const store = await openStore([startEntry, allowEntry(2)])
    expect((await findCertificate(store, serialOf(2)))?.seq).toBe(2)
    expect(await findCertificate(store, serialOf(3))).toBeUndefined()
  })

  test('are walked through page by page, each once', async () => {
    const store = await openStore(Array.from({ length: 1001 }, (_, n) => allowEntry(n)))
    const pages: number[][] = []
    for await (const page of walkCertificates(store, { issuer: 'https://idp.example.com' })) {
      pages.push(page.map(({ seq }) => seq))
    }
    expect(pages.map((page) => page.length)).toEqual([500, 500, 1])
    expect(pages.flat()).toEqual(Array.from({ length: 1001 }, (_, n) => 1001 - n))
  })
})

describe('the longest life of what may be alive', () => {
  const start = (day: number, maxTtlSeconds?: number): Entry => ({
    ...startEntry,
    time: `2026-11-${String(day).padStart(2, '0')}T09:00:00Z`,
    ...(maxTtlSeconds === undefined ? {} : { maxTtlSeconds }),
  })
  const now = new Date('2026-11-22T10:00:00Z')

  test.each<[string, readonly Entry[], number]>([
    ['what the only start says', [start(21, 3600), allowEntry(1)], 3600],
    [
      'what the start in force a week ago says, and none before',
      [start(1, 86_400), start(2, 3600), start(20, 60)],
      3600,
    ],
    [
      'the longest of those of the last week',
      [start(1, 60), start(16, 86_400), start(20, 3600)],
      86_400,
    ],
    [
      'the most there is, where a start says nothing',
      [start(16), start(20, 3600)],
      longestLifeSeconds,
    ],
    [
      'the most there is, where the log begins with something else',
      [allowEntry(1), start(20, 3600)],
      longestLifeSeconds,
    ],
    ['the most there is, where the log is empty', [], longestLifeSeconds],
    [
      'the most there is, after so many starts',
      [start(15, 60), ...Array.from({ length: 100 }, () => start(21, 60))],
      longestLifeSeconds,
    ],
  ])('is %s', async (_what, entries, seconds) => {
    const store = createFakeStore()
    if (entries.length > 0) await store.append(chainRows(entries), undefined)
    expect(await findLongestLife(store, now)).toBe(seconds)
  })
})
