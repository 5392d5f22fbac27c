import { describe, expect, test } from 'vitest'
import type { AllowEntry, Entry } from '../../src/audit/index.ts'
import { openRecent, quotaExceeded } from '../../src/audit/recent.ts'
import { AppError } from '../../src/errors.ts'
import { formatTime } from '../../src/lib/clock.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry } from '../fakes/entries.ts'

const now = new Date('2026-11-22T10:00:00Z')
const ruleR = { name: 'r', file: 'a.yaml', line: 1 }
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)

/** What is remembered after a start over a log with these entries, oldest first. */
const open = async (entries: readonly Entry[]) => {
  const store = createFakeStore()
  await store.append(chainRows(entries), undefined)
  return { store, recent: await openRecent({ store, now }) }
}

let serial = 0
const allow = (seconds: number, more: Partial<AllowEntry> = {}): Entry =>
  allowEntry(++serial, { time: formatTime(ago(seconds)), ...more })

describe('a proof', () => {
  test('is used once', async () => {
    const { recent } = await open([])
    expect(recent.useProof('a', now)).toBe(true)
    expect(recent.useProof('a', now)).toBe(false)
    expect(recent.useProof('b', now)).toBe(true)
    expect(recent.useProof('a', ago(-120))).toBe(false)
    // Its own time refuses it by now, so it needs no remembering.
    expect(recent.useProof('a', ago(-121))).toBe(true)
  })

  test('is used once also across a restart, whatever it was used for [ATTACKS 16]', async () => {
    const { recent } = await open([
      allow(500, { proof: 'long ago' }),
      allow(110, { proof: 'allowed' }),
      denyEntry(1, { time: formatTime(ago(50)), proof: 'refused' }),
      allow(5),
    ])
    await recent.settle()
    expect(recent.useProof('allowed', now)).toBe(false)
    expect(recent.useProof('refused', now)).toBe(false)
    expect(recent.useProof('long ago', now)).toBe(true)
  })

  test('of before a restart is found among more entries than one page of the log', async () => {
    const others = Array.from({ length: 2100 }, () => allow(60))
    const { recent } = await open([allow(110, { proof: 'first' }), ...others])
    await recent.settle()
    expect(recent.useProof('first', now)).toBe(false)
  })

  test('waits for what is read of before a restart, and no start does', async () => {
    const { store } = await open([allow(10, { proof: 'used' })])
    let reads = 0
    const recent = await openRecent({
      now,
      store: {
        head: store.head,
        read: async (from, limit) => {
          reads++
          if (reads === 1) throw new AppError('audit_unavailable', 'The log cannot be read.')
          return store.read(from, limit)
        },
      },
    })
    expect(reads).toBe(0)
    await expect(recent.settle()).rejects.toMatchObject({ code: 'audit_unavailable' })
    await Promise.all([recent.settle(), recent.settle()])
    expect(reads).toBe(2)
    expect(recent.useProof('used', now)).toBe(false)
  })
})

describe('a ceiling', () => {
  test('counts the certificates of the last hour, and gives a place back', async () => {
    const { recent } = await open([])
    const first = await recent.takePlace('r', 2, now)
    expect(first?.used).toBe(1)
    expect((await recent.takePlace('r', 2, now))?.used).toBe(2)
    expect(await recent.takePlace('r', 2, now)).toBeUndefined()
    expect((await recent.takePlace('other', 2, now))?.used).toBe(1)
    first?.release()
    expect((await recent.takePlace('r', 2, now))?.used).toBe(2)
    expect(await recent.takePlace('r', 2, ago(-3599))).toBeUndefined()
    expect((await recent.takePlace('r', 2, ago(-3600)))?.used).toBe(1)
  })

  test('counts what was issued before it was set, and before a restart', async () => {
    const { recent } = await open([
      allow(3601, { rule: ruleR }),
      allow(3599, { rule: ruleR }),
      allow(10, { rule: ruleR }),
      denyEntry(1, { time: formatTime(ago(5)), rule: ruleR }),
      allow(5, { rule: { name: 'other', file: 'a.yaml', line: 1 } }),
    ])
    expect(await recent.takePlace('r', undefined, now)).toBeDefined()
    expect((await recent.takePlace('r', 4, now))?.used).toBe(4)
    expect(await recent.takePlace('r', 4, now)).toBeUndefined()
  })

  test('is never passed by many at once', async () => {
    const { recent } = await open([allow(10, { rule: ruleR })])
    const taken = await Promise.all(
      Array.from({ length: 50 }, () => recent.takePlace('r', 10, now)),
    )
    expect(taken.filter((place) => place !== undefined)).toHaveLength(9)
  })

  test('holds over more entries than one page of the log', async () => {
    const rule = ruleR
    const others = Array.from({ length: 2100 }, () => allow(60))
    const { recent } = await open([allow(120, { rule }), ...others])
    expect((await recent.takePlace('r', 5, now))?.used).toBe(2)
  })

  test('is unknown where the log cannot be read, and asked again', async () => {
    const { store } = await open([allow(10, { rule: ruleR })])
    let isBroken = false
    const recent = await openRecent({
      now,
      store: {
        head: store.head,
        read: async (from, limit) => {
          if (isBroken) throw new AppError('audit_unavailable', 'The log cannot be read.')
          return store.read(from, limit)
        },
      },
    })
    isBroken = true
    await expect(recent.takePlace('r', 5, now)).rejects.toMatchObject({ code: 'audit_unavailable' })
    isBroken = false
    expect((await recent.takePlace('r', 5, now))?.used).toBe(2)
  })

  test('is told to the caller in its own words', () => {
    expect(quotaExceeded('r', 5)).toMatchObject({
      code: 'quota_exceeded',
      message:
        'All 5 certificates that may be issued for this in an hour have been: try again later.',
      detail: 'rule r has maxPerHour: 5',
    })
  })
})
