import { describeEntry } from '../audit/describe.ts'
import type { LoggedEntry } from '../audit/entry.ts'
import type { Entry, EntryIdentity } from '../audit/index.ts'

/** How entries of the log read on a terminal. */
export const listTitles = ['#', 'time', 'type', 'who', 'login@host', 'rule', 'what'] as const

export const toRow = ({ seq, entry }: LoggedEntry): readonly string[] => {
  const { who, target, rule } = listNames(entry)
  return [String(seq), entry.time, entry.type, who, target, rule, describeEntry(entry)]
}

const listNames = (entry: Entry): { who: string; target: string; rule: string } => {
  const identity = 'identity' in entry ? entry.identity : undefined
  const ask = 'ask' in entry ? entry.ask : undefined
  return {
    who: identity === undefined ? '' : formatPerson(identity),
    target: ask === undefined ? '' : `${ask.login}@${ask.host}`,
    rule: 'rule' in entry ? (entry.rule?.name ?? '') : '',
  }
}

const formatPerson = ({ kind, name, subject }: EntryIdentity): string =>
  kind === 'local' ? `local:${name}` : `${name} (${subject})`

/** Every member of an entry by its path, lists as one line, in the order they were written. */
export const listFacts = ({
  seq,
  hash,
  prev,
  entry,
}: LoggedEntry): readonly (readonly [string, string | undefined])[] => [
  ['entry', String(seq)],
  ...flatten('', entry),
  ['hash', hash],
  ['prev', prev],
]

const flatten = (path: string, value: unknown): readonly (readonly [string, string])[] => {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]]
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) {
    return value.length === 0 ? [] : [[path, value.join(', ')]]
  }
  return Object.entries(value).flatMap(([name, member]) =>
    flatten(path === '' ? name : `${path}.${name}`, member),
  )
}
