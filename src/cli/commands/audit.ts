import type { LoggedEntry } from '../../audit/entry.ts'
import { findEntries, listEntries } from '../../audit/read.ts'
import type { Filter } from '../../audit/store.ts'
import { verifyLog } from '../../audit/verify.ts'
import { AppError } from '../../errors.ts'
import { type Command, jsonOption } from '../command.ts'
import { listFacts, listTitles, toRow } from '../entries.ts'
import { parseSince, sinceOption, withLog } from '../reading.ts'

const types = [
  'allow',
  'deny',
  'error',
  'refusals',
  'start',
  'policy',
  'policy-error',
  'freeze',
  'unfreeze',
  'rollback',
]
const maxLimit = 1_000

export const auditList: Command = {
  name: 'audit list',
  summary: 'print the newest entries of the log, newest first',
  options: [
    {
      flags: '--limit <number>',
      summary: `how many, 1 to ${maxLimit} (default: 20)`,
      check: (text) =>
        /^[1-9][0-9]{0,3}$/.test(text) && Number(text) <= maxLimit
          ? undefined
          : `Write a number from 1 to ${maxLimit}.`,
    },
    { flags: '--person <name>', summary: 'of one person, by name or stable id' },
    { flags: '--host <host>', summary: 'about one host' },
    { flags: '--login <login>', summary: 'about one login' },
    { flags: '--rule <rule>', summary: 'decided by one rule' },
    {
      flags: '--type <type>',
      summary: types.join(', '),
      check: (text) => (types.includes(text) ? undefined : `Write one of ${types.join(', ')}.`),
    },
    sinceOption,
    jsonOption,
  ],
  examples: [
    'postern audit list --type deny --since 24h',
    'postern audit list --person maya --host web-1.example.com --json',
  ],
  run: (context, _argument, { limit, person, type, host, login, rule, since, json }) =>
    withLog(context, async (store) => {
      const filter: Filter = {
        ...textOf({ type, host, login, rule }),
        ...textOf({ since: typeof since === 'string' ? parseSince(since) : undefined }),
      }
      const most = Number(limit ?? 20)
      // A person is known by the name the log shows, or by the id behind it.
      const filters =
        typeof person === 'string'
          ? [
              { ...filter, name: person },
              { ...filter, subject: person },
            ]
          : [filter]
      const found = await Promise.all(filters.map((one) => listEntries(store, one, most)))
      const bySeq = new Map(found.flat().map((logged) => [logged.seq, logged]))
      const entries = [...bySeq.values()].toSorted((a, b) => b.seq - a.seq).slice(0, most)

      if (json === true) context.output.json(entries.map(toJson))
      else if (entries.length === 0) context.output.note('no entry matches')
      else context.output.table(listTitles, entries.map(toRow))
      return 0
    }),
}

export const auditShow: Command = {
  name: 'audit show',
  summary: 'print one entry in full',
  argument: { name: '<entry>', summary: "its number, a certificate's serial, or a request id" },
  options: [jsonOption],
  examples: [
    'postern audit show 42',
    'postern audit show req_1f0c5b2e9d8a7c6b5a493827',
    'postern audit show 4611686018427387904 --json',
  ],
  run: (context, argument, { json }) =>
    withLog(context, async (store) => {
      const entries = await findEntries(store, argument as string)
      if (entries.length === 0) {
        throw new AppError('not_found', 'The log has no such entry, serial or request.', {
          hint: 'postern audit list',
        })
      }
      if (json === true) context.output.json(entries.map(toJson))
      else for (const logged of entries) context.output.facts(listFacts(logged))
      return 0
    }),
}

export const auditVerify: Command = {
  name: 'audit verify',
  summary: 'read the whole log, and name the first entry that is not as it was written',
  options: [jsonOption],
  examples: ['postern audit verify', 'postern audit verify --json'],
  run: (context, _argument, { json }) =>
    withLog(context, async (store) => {
      const { output } = context
      const last = (await store.head())?.seq ?? 0
      const verdict = await verifyLog(store.read, {
        onProgress: (seq) => output.progress(`verified ${seq} of ${last}`),
      })
      output.progress('')
      if (json === true) {
        output.json(verdict)
        return verdict.ok ? 0 : 1
      }
      if (!verdict.ok) {
        throw new AppError(
          'log_corrupt',
          `Entry ${verdict.seq} does not verify: ${verdict.reason}.`,
        )
      }
      const { count, head } = verdict
      output.line(`ok: ${count} ${count === 1 ? 'entry' : 'entries'}`)
      if (head !== undefined) output.line(`newest: ${head.seq} ${head.hash}`)
      return 0
    }),
}

const toJson = ({ entry, ...place }: LoggedEntry) => ({ ...place, ...entry })

/** The given options alone: an absent one filters nothing. */
const textOf = (options: Readonly<Record<string, string | true | undefined>>): Filter =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => typeof value === 'string'))
