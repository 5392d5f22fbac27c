import type { CertificateFilter } from '../../audit/certificates.ts'
import type { Inventory, InventoryItem, Store } from '../../audit/index.ts'
import {
  certificateStatuses,
  certificateTitles,
  createInventory,
  formatCertificateCsv,
  formatItem,
} from '../../audit/inventory.ts'
import { AppError } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { escapeJson } from '../../lib/json.ts'
import { type Command, jsonOption, type Option, type Options } from '../command.ts'
import type { Output } from '../output.ts'
import { parseSince, sinceOption, withLog } from '../reading.ts'
import { openFindRevoked } from '../revoked.ts'

/** The inventory of a log that is open for reading. */
export const openInventory = async (store: Pick<Store, 'find' | 'findAfter'>): Promise<Inventory> =>
  createInventory({ store, clock: systemClock, findRevoked: await openFindRevoked(store) })

const maxLimit = 10_000
/** Certificates that are read, and on a terminal aligned, at once. */
const pageSize = 500

const filterOptions: readonly Option[] = [
  {
    flags: '--subject <id>',
    summary: "of one person, by the stable id that the table's who ends in",
  },
  { flags: '--issuer <url>', summary: 'of that identity provider' },
  { flags: '--host <host>', summary: 'for one host' },
  { flags: '--login <login>', summary: 'for one login' },
  { flags: '--rule <rule>', summary: 'allowed by one rule' },
  { flags: '--serial <serial>', summary: 'with that serial' },
  {
    flags: '--status <status>',
    summary: certificateStatuses.join(', '),
    check: (text) =>
      certificateStatuses.some((one) => one === text)
        ? undefined
        : `Write one of ${certificateStatuses.join(', ')}.`,
  },
  sinceOption,
]

const readFilter = (options: Options): CertificateFilter => {
  const { subject, issuer, host, login, rule, serial, since } = options
  const given = { subject, issuer, host, login, rule, serial }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === 'string')),
    ...(typeof since === 'string' ? { since: parseSince(since) as string } : {}),
  }
}

const titles = ['serial', 'who', 'login@host', 'rule', 'issued', 'until', 'status'] as const

const toRow = (item: InventoryItem): readonly string[] => {
  const { serial, identity, ask, rule, time, validBefore, status } = item
  const who = `${identity.name} (${identity.subject})`
  return [serial, who, `${ask.login}@${ask.host}`, rule.name, time, validBefore, status]
}

/** How a page is written; a file of them may begin with a line of titles. */
const formats = {
  table: (output: Output, items: readonly InventoryItem[]) =>
    output.table(titles, items.map(toRow)),
  json: (output: Output, items: readonly InventoryItem[]) => {
    for (const item of items) output.text(`${escapeJson(JSON.stringify(formatItem(item)))}\n`)
  },
  csv: (output: Output, items: readonly InventoryItem[]) => {
    for (const item of items) output.line(formatCertificateCsv(item))
  },
} as const

export const certList: Command = {
  name: 'cert list',
  summary: 'print the certificates that were issued, newest first, and what has become of them',
  options: [
    ...filterOptions,
    {
      flags: '--limit <number>',
      summary: `how many, 1 to ${maxLimit} (default: 50)`,
      check: (text) =>
        /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= maxLimit
          ? undefined
          : `Write a number from 1 to ${maxLimit}.`,
    },
    { flags: '--all', summary: 'every one of them, however many' },
    { flags: '--json', summary: 'print one JSON object a line' },
    { flags: '--csv', summary: 'print CSV, for a spreadsheet' },
  ],
  examples: [
    'postern cert list --status active',
    'postern cert list --subject 583231 --host web-1.example.com --json',
    'postern cert list --since 30d --all --csv > certificates.csv',
  ],
  run: (context, _argument, { limit, all, json, csv, status, ...options }) =>
    withLog(context, async (store) => {
      const { output } = context
      const inventory = await openInventory(store)
      const write = formats[json === true ? 'json' : csv === true ? 'csv' : 'table']
      const wanted = status as InventoryItem['status'] | undefined
      if (write === formats.csv) output.line(certificateTitles)
      let left = all === true ? Number.POSITIVE_INFINITY : Number(limit ?? 50)
      let count = 0
      let before: number | undefined
      do {
        const { items, next } = await inventory.list({
          filter: readFilter(options),
          limit: Math.min(left, pageSize),
          ...(wanted === undefined ? {} : { status: wanted }),
          ...(before === undefined ? {} : { before }),
        })
        write(output, items)
        if (!(await output.settle())) return 0
        count += items.length
        left -= items.length
        before = next
      } while (before !== undefined && left > 0)
      if (count === 0) output.note('no certificate matches')
      else if (before !== undefined) output.note('there may be more: --all prints every one')
      return 0
    }),
}

export const certShow: Command = {
  name: 'cert show',
  summary: 'print one certificate in full: for whom, by which rule, until when, and its status',
  argument: { name: '<serial>', summary: 'its serial, as `ssh-keygen -L` prints it' },
  options: [jsonOption],
  examples: [
    'postern cert show 4611686018427387904',
    'postern cert show 4611686018427387904 --json',
  ],
  run: (context, argument, { json }) =>
    withLog(context, async (store) => {
      const inventory = await openInventory(store)
      const { items } = await inventory.list({ filter: { serial: argument as string }, limit: 1 })
      const [item] = items
      if (item === undefined) {
        throw new AppError('not_found', 'No certificate with this serial was issued.', {
          hint: 'postern cert list',
        })
      }
      if (json === true) context.output.json(formatItem(item))
      else context.output.facts(listFacts(item))
      return 0
    }),
}

const listFacts = (item: InventoryItem): readonly (readonly [string, string | undefined])[] => {
  const { identity, ask, rule, revoked, criticalOptions, extensions } = item
  return [
    ['serial', item.serial],
    ['status', item.status],
    ['revoked', revoked && `${revoked.time} by ${revoked.by}: ${revoked.reason}`],
    ['who', `${identity.name} (${identity.subject}) of ${identity.issuer}`],
    ['host', ask.host],
    ['login', ask.login],
    ['reason', ask.reason],
    ['rule', `${rule.name} (${rule.file}:${rule.line})`],
    ['issued', item.time],
    ['valid', `from ${item.validAfter} to ${item.validBefore}`],
    ['principals', item.principals.join(', ')],
    ...Object.entries(criticalOptions).map(([name, value]) => [name, value] as const),
    ['extensions', Object.keys(extensions).join(', ') || 'none'],
    ['key', ask.fingerprint],
    ['ca', item.ca],
    ['key id', item.keyId],
    ['entry', String(item.seq)],
    ['certificate', item.text],
  ]
}
