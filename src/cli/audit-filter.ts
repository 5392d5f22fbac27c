import type { Entry } from '../audit/index.ts'
import type { Filter } from '../audit/store.ts'
import type { Option, Options } from './command.ts'
import { parseSince, sinceOption } from './reading.ts'

/** Every type of entry there is: one that is missing here does not compile. */
const types = Object.keys({
  allow: true,
  deny: true,
  error: true,
  refusals: true,
  start: true,
  policy: true,
  'policy-error': true,
  freeze: true,
  unfreeze: true,
  revoke: true,
  unrevoke: true,
  rollback: true,
  'ca-key': true,
  'host-invite': true,
  'host-enrol': true,
  'host-remove': true,
  read: true,
} satisfies Record<Entry['type'], true>)

/** Which entries a command speaks of. All that are given must hold. */
export const filterOptions: readonly Option[] = [
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
  {
    ...sinceOption,
    flags: '--until <time>',
    summary: 'older than 24h, 2026-11-22, or 2026-11-22T10:00:00Z',
  },
]

/** The filters of the given options. A person is known by the name the log shows, or the id behind it. */
export const readFilters = (options: Options): readonly Filter[] => {
  const { person, type, host, login, rule, since, until } = options
  const timeOf = (text: string | true | undefined) =>
    typeof text === 'string' ? parseSince(text) : undefined
  const filter = textOf({ type, host, login, rule, since: timeOf(since), until: timeOf(until) })
  return typeof person === 'string'
    ? [
        { ...filter, name: person },
        { ...filter, subject: person },
      ]
    : [filter]
}

/** The given options alone: an absent one filters nothing. */
const textOf = (options: Options): Filter =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => typeof value === 'string'))
