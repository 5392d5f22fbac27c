import { parseEntry } from '../../audit/entry.ts'
import { csvTitles, formatCsv, formatLine } from '../../audit/export.ts'
import { searchLog } from '../../audit/search.ts'
import type { Row } from '../../audit/store.ts'
import { filterOptions, readFilters } from '../audit-filter.ts'
import type { Command } from '../command.ts'
import { listTitles, toRow } from '../entries.ts'
import { formatBar } from '../progress.ts'
import { withLog } from '../reading.ts'

/** Rows that are read, and on a terminal aligned, at once. */
const pageSize = 500

export const auditSearch: Command = {
  name: 'audit search',
  summary: 'print every entry that matches, newest first',
  options: [
    ...filterOptions,
    { flags: '--json', summary: 'print one JSON object a line, as export does' },
  ],
  examples: [
    'postern audit search --person maya --since 30d',
    'postern audit search --host web-1.example.com --type deny --json',
  ],
  run: (context, _argument, options) =>
    withLog(context, async (store) => {
      const { output } = context
      const last = (await store.head())?.seq ?? 0
      let count = 0
      const filters = readFilters(options)
      for await (const rows of searchLog({ store, filters, order: 'newest', pageSize })) {
        count += rows.length
        output.progress('')
        if (options['json'] === true) for (const row of rows) output.text(`${formatLine(row)}\n`)
        else {
          output.table(
            listTitles,
            rows.map((row) => toRow(parseEntry(row))),
          )
        }
        if (!(await output.settle())) return 0
        const seq = rows.at(-1)?.seq ?? 1
        output.progress(formatBar(1 - (seq - 1) / last, `entry ${seq} of ${last}, ${count} found`))
      }
      output.progress('')
      if (count === 0) output.note('no entry matches')
      return 0
    }),
}

/** How an entry is written in each format; a file of them may begin with a line of titles. */
const formats: Readonly<Record<string, { readonly title?: string; format(row: Row): string }>> = {
  jsonl: { format: formatLine },
  csv: { title: csvTitles, format: formatCsv },
}

export const auditExport: Command = {
  name: 'audit export',
  summary: 'write every entry that matches to stdout, oldest first',
  options: [
    {
      flags: '--format <format>',
      summary: 'jsonl, one JSON object a line (default), or csv, for a spreadsheet',
      check: (text) => (Object.hasOwn(formats, text) ? undefined : 'Write jsonl or csv.'),
    },
    ...filterOptions,
  ],
  examples: [
    'postern audit export > log.jsonl',
    'postern audit export --format csv --since 2026-11-01 --until 2026-12-01 > november.csv',
  ],
  run: (context, _argument, { format: name, ...options }) =>
    withLog(context, async (store) => {
      const { output } = context
      const { title, format } = formats[String(name ?? 'jsonl')] as (typeof formats)[string]
      const last = (await store.head())?.seq ?? 0
      if (title !== undefined) output.line(title)
      let count = 0
      const filters = readFilters(options)
      for await (const rows of searchLog({ store, filters, order: 'oldest', pageSize })) {
        count += rows.length
        // Both formats keep what a terminal would obey out of their lines by themselves, or line does.
        const write =
          format === formatLine ? (line: string) => output.text(`${line}\n`) : output.line
        output.progress('')
        for (const row of rows) write(format(row))
        if (!(await output.settle())) break
        const seq = rows.at(-1)?.seq ?? last
        output.progress(formatBar(seq / last, `entry ${seq} of ${last}, ${count} written`))
      }
      output.progress('')
      return 0
    }),
}
