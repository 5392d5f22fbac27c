import { describe, expect, test } from 'vitest'
import type { CertificateFilter } from '../../src/audit/certificates.ts'
import type { AllowEntry } from '../../src/audit/index.ts'
import {
  type CertificateStatus,
  certificateTitles,
  createInventory,
  formatCertificateCsv,
  type InventoryItem,
} from '../../src/audit/inventory.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry, headOf } from '../fakes/entries.ts'

const now = new Date('2026-11-22T10:00:00Z')
const revoked = { time: '2026-11-22T09:00:00Z', by: 'local:maya', reason: 'a laptop was stolen' }

/** The n-th certificate, issued so many seconds before now and valid for so many after that. */
const issue = (n: number, age: number, life: number): AllowEntry => {
  const timeOf = (seconds: number) =>
    `${new Date(now.getTime() + seconds * 1000).toISOString().slice(0, 19)}Z`
  const { certificate } = allowEntry(n)
  return allowEntry(n, {
    time: timeOf(-age),
    certificate: {
      ...certificate,
      validAfter: timeOf(-age - 60),
      validBefore: timeOf(life - age),
    },
  })
}

const open = async (entries: readonly AllowEntry[], isRevoked: (n: InventoryItem) => boolean) => {
  const store = createFakeStore()
  await store.append(chainRows(entries), undefined)
  const inventory = createInventory({
    store,
    clock: () => now,
    findRevoked: (one) => (isRevoked(one as InventoryItem) ? revoked : undefined),
  })
  return { store, inventory }
}

const entries = [
  issue(1, 8 * 86_400, 60),
  issue(2, 7 * 86_400 - 60, 7 * 86_400),
  issue(3, 600, 300),
  issue(4, 300, 300),
  issue(5, 299, 300),
  issue(6, 10, 300),
  issue(7, -61, 300),
]

describe('the inventory', () => {
  test.each<[CertificateStatus | undefined, readonly number[]]>([
    [undefined, [7, 6, 5, 4, 3, 2, 1]],
    ['active', [5, 2]],
    // A certificate is over at the second it ends in, as sshd has it.
    ['expired', [4, 3, 1]],
    ['revoked', [6]],
    ['not-yet-valid', [7]],
  ])('lists what is %s, newest first', async (status, seqs) => {
    const { inventory } = await open(entries, ({ seq }) => seq === 6)
    const { items, next } = await inventory.list({
      filter: {},
      limit: 10,
      ...(status === undefined ? {} : { status }),
    })
    expect(items.map(({ seq }) => seq)).toEqual(seqs)
    expect(next).toBeUndefined()
    for (const item of items) {
      expect(item.revoked).toEqual(item.status === 'revoked' ? revoked : undefined)
    }
  })

  test.each<[CertificateFilter, readonly number[]]>([
    [{ subject: 'u-3' }, [3]],
    [{ subject: 'u-3', issuer: 'https://other.example.com' }, []],
    [{ host: 'web-4.example.com', login: 'deploy' }, [4]],
    [{ rule: 'deploy-job' }, [7, 6, 5, 4, 3, 2, 1]],
    [{ serial: (2n ** 62n + 5n).toString() }, [5]],
    [{ since: '2026-11-22T09:54:00Z' }, [7, 6, 5, 4]],
    // ATTACKS 175: a value is a value.
    [{ subject: 'u-%' }, []],
  ])('finds exactly what %o says', async (filter, seqs) => {
    const { inventory } = await open(entries, () => false)
    const { items } = await inventory.list({ filter, limit: 10 })
    expect(items.map(({ seq }) => seq)).toEqual(seqs)
  })

  test('goes page by page, each certificate once, while more are issued', async () => {
    const { store, inventory } = await open(entries, () => false)
    const seen: number[] = []
    let before: number | undefined
    do {
      const more = chainRows([allowEntry(100 + seen.length), denyEntry(9)], headOf(store.rows))
      await store.append(more, headOf(store.rows))
      const page = await inventory.list({
        filter: { until: '2100-01-01T00:00:00Z' },
        limit: 2,
        ...(before === undefined ? {} : { before }),
      })
      seen.push(...page.items.map(({ seq }) => seq))
      before = page.next
    } while (before !== undefined)
    expect(seen).toEqual([8, 7, 6, 5, 4, 3, 2, 1])
  })

  test('goes through a log in which few have a status a stretch at a time, and finds them all', async () => {
    const many = Array.from({ length: 2100 }, (_, n) => issue(n, 5000 - n, 60))
    const { inventory } = await open(many, ({ seq }) => seq === 3 || seq === 2050)
    const pages: number[][] = []
    let before: number | undefined
    do {
      const page = await inventory.list({
        filter: {},
        status: 'revoked',
        limit: 1,
        ...(before === undefined ? {} : { before }),
      })
      pages.push(page.items.map(({ seq }) => seq))
      before = page.next
    } while (before !== undefined)
    expect(pages.flat()).toEqual([2050, 3])
    expect(pages.length).toBeLessThan(8)
  })

  // ATTACKS 206
  test('writes CSV in which no cell is a formula', async () => {
    const { identity, ask } = allowEntry(1)
    const entry = allowEntry(1, {
      identity: { ...identity, name: '=HYPERLINK("http://evil")' },
      ask: { ...ask, reason: '@SUM(1)\n"x"' },
    })
    const { inventory } = await open([entry], () => false)
    const { items } = await inventory.list({ filter: {}, limit: 1 })
    const line = formatCertificateCsv(items[0] as InventoryItem)
    expect(certificateTitles.split(',')).toHaveLength(20)
    expect(line).toContain(`"'=HYPERLINK(""http://evil"")"`)
    expect(line).toContain(`"'@SUM(1)\n""x"""`)
  })
})
