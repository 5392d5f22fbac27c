import { type LoggedEntry, parseEntry } from '../../audit/entry.ts'
import { findEntries } from '../../audit/read.ts'
import { searchLog } from '../../audit/search.ts'
import { AppError } from '../../errors.ts'
import { filterOptions, readFilters } from '../audit-filter.ts'
import { type Command, jsonOption } from '../command.ts'
import { listFacts, listTitles, toRow } from '../entries.ts'
import { withLog } from '../reading.ts'

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
    ...filterOptions,
    jsonOption,
  ],
  examples: [
    'postern audit list --type deny --since 24h',
    'postern audit list --person maya --host web-1.example.com --json',
  ],
  run: (context, _argument, { limit, json, ...options }) =>
    withLog(context, async (store) => {
      const pageSize = Number(limit ?? 20)
      const filters = readFilters(options)
      const { value } = await searchLog({ store, filters, order: 'newest', pageSize }).next()
      const entries = (value ?? []).map(parseEntry)

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

const toJson = ({ entry, ...place }: LoggedEntry) => ({ ...place, ...entry })
