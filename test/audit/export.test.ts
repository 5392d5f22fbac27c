import { describe, expect, test } from 'vitest'
import { hashBody } from '../../src/audit/entry.ts'
import { csvTitles, formatCsv, formatLine } from '../../src/audit/export.ts'
import { searchLog } from '../../src/audit/search.ts'
import type { Filter, Row } from '../../src/audit/store.ts'
import { formatCanonical } from '../../src/lib/json.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, denyEntry } from '../fakes/entries.ts'

const one = (reason: string): Row => {
  const ask = { host: 'web-1.example.com', login: 'deploy', fingerprint: 'SHA256:x', reason }
  return chainRows([denyEntry(1, { ask })])[0] as Row
}

describe('a line of JSON', () => {
  // ATTACKS 206
  test.each([
    'plain',
    'a\nb',
    'a\u2028b\u2029c',
    '\u202eevil',
    '\u001b[2J',
    '"},{"',
    'Zoë 李明 🙂',
  ])('is one line, and means what is in the log: %j', (reason) => {
    const row = one(reason)
    const line = formatLine(row)
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    const { hash, ...entry } = JSON.parse(line)
    expect(entry).toEqual(JSON.parse(row.body))
    expect(hash).toBe(row.hash)
    // Whoever has the line has what the hash is over.
    expect(hashBody(formatCanonical(entry))).toBe(hash)
  })

  test('is not written for what is not as it was', () => {
    const row = one('x')
    expect(() => formatLine({ ...row, body: row.body.replace('web-1', 'web-2') })).toThrow(
      expect.objectContaining({
        code: 'log_corrupt',
        message: 'Entry 1 of the log is not as it was written: run `postern audit verify`.',
      }),
    )
  })
})

describe('a line of CSV', () => {
  const cellOf = (reason: string) => {
    const line = formatCsv(one(reason))
    const cells = [...line.matchAll(/"((?:[^"]|"")*)"(?:,|$)/gs)].map(([, cell]) => cell)
    expect(cells).toHaveLength(csvTitles.split(',').length)
    return cells[csvTitles.split(',').indexOf('asked_reason')]
  }

  // ATTACKS 206
  test.each([
    ['=HYPERLINK("https://evil.example","x")', `'=HYPERLINK(""https://evil.example"",""x"")`],
    ['+1+cmd', "'+1+cmd"],
    ['-2+3', "'-2+3"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['|calc', "'|calc"],
    ['%0A=1', "'%0A=1"],
    [' =1+1', "' =1+1"],
    ['\t=1', "'\t=1"],
    ['\r=1', "'\r=1"],
    ['\u200b=1', "'\u200b=1"],
    ['＝1+1', "'＝1+1"],
    ['a","=1', 'a"",""=1'],
    ['a=1', 'a=1'],
    ['a', 'a'],
  ])('%j becomes the cell %j', (reason, cell) => {
    expect(cellOf(reason)).toBe(cell)
  })

  test('has what an admin looks for, in the order of its titles', () => {
    const [row] = chainRows([allowEntry(3)]) as [Row]
    const titles = csvTitles.split(',')
    const cells = formatCsv(row).slice(1, -1).split('","')
    expect(Object.fromEntries(titles.map((title, at) => [title, cells[at]]))).toEqual({
      seq: '1',
      time: '2026-11-22T10:00:00Z',
      type: 'allow',
      code: '',
      issuer: 'https://idp.example.com',
      subject: 'u-3',
      name: 'maya',
      email: '',
      address: '192.0.2.1',
      host: 'web-3.example.com',
      login: 'deploy',
      command: '',
      asked_reason: '',
      rule: 'deploy-job',
      serial: (2n ** 62n + 3n).toString(),
      principals: 'deploy@web-3.example.com',
      valid_after: '2026-11-22T09:59:00Z',
      valid_before: '2026-11-22T10:05:00Z',
      key: 'SHA256:key',
      reason: '',
      detail: '',
      request: 'req_3',
      policy: 'f'.repeat(64),
      hash: row.hash,
      what: `serial ${2n ** 62n + 3n} until 2026-11-22T10:05:00Z`,
    })
  })

  test('says of an entry that is no decision what it is about', () => {
    const [row] = chainRows([
      {
        type: 'revoke',
        time: '2026-11-22T10:00:00Z',
        request: { id: 'req_1', address: 'unix' },
        identity: { ...allowEntry(1).identity, kind: 'local' },
        reason: 'stolen',
        target: { kind: 'key', fingerprint: 'SHA256:x' },
      },
    ]) as [Row]
    expect(formatCsv(row)).toMatch(/,"key SHA256:x: stolen"$/)
  })
})

describe('a search', () => {
  const store = createFakeStore()
  const rows = chainRows(Array.from({ length: 50 }, (_, n) => allowEntry(n)))
  const filters: readonly Filter[] = [
    { subject: 'u-7' },
    { name: 'maya' },
    { host: 'web-9.example.com' },
  ]

  test.each(['newest', 'oldest'] as const)(
    'gives each row once and in order, whatever finds it: %s first',
    async (order) => {
      if (store.rows.length === 0) await store.append(rows, undefined)
      for (const pageSize of [1, 7, 50, 100]) {
        const seqs: number[] = []
        for await (const page of searchLog({ store, filters, order, pageSize })) {
          expect(page.length).toBeGreaterThan(0)
          expect(page.length).toBeLessThanOrEqual(pageSize)
          seqs.push(...page.map(({ seq }) => seq))
        }
        const all = rows.map(({ seq }) => seq)
        expect(seqs).toEqual(order === 'oldest' ? all : all.toReversed())
      }
    },
  )

  test('of nothing is no page', async () => {
    const found = searchLog({ store, filters: [{ host: 'x' }], order: 'oldest', pageSize: 5 })
    expect((await found.next()).done).toBe(true)
  })
})
