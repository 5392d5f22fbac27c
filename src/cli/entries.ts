import type { LoggedEntry } from '../audit/entry.ts'
import type { Entry, EntryIdentity } from '../audit/index.ts'
import { describeTarget } from '../audit/revocations.ts'

/** How entries of the log read on a terminal. */
export const listTitles = ['#', 'time', 'type', 'who', 'login@host', 'rule', 'what'] as const

export const toRow = ({ seq, entry }: LoggedEntry): readonly string[] => {
  const { who, target, rule } = listNames(entry)
  return [String(seq), entry.time, entry.type, who, target, rule, describe(entry)]
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

const describe = (entry: Entry): string => {
  switch (entry.type) {
    case 'allow':
      return `serial ${entry.certificate.serial} until ${entry.certificate.validBefore}`
    case 'deny':
    case 'error':
      return `${entry.code}: ${entry.reason}`
    case 'refusals':
      return `${entry.count} more refusals since ${entry.since}`
    case 'start':
      return `version ${entry.version}, CA ${entry.ca}`
    case 'policy':
      return `${entry.rules} ${entry.rules === 1 ? 'rule' : 'rules'}, sha256 ${entry.policy}`
    case 'policy-error':
      return `${entry.count} ${entry.count === 1 ? 'problem' : 'problems'}, sha256 ${entry.policy} stays in force`
    case 'freeze':
      return entry.reason
    case 'unfreeze':
      return 'issuing goes on'
    case 'revoke':
    case 'unrevoke':
      return `${describeTarget(entry.target)}: ${entry.reason}`
    case 'read':
      return `the ${entry.what ?? 'log'}: ${new URLSearchParams(entry.query)}`
    case 'host-invite': {
      const { name, pattern, uses, logins, expires } = entry.invitation
      const times = uses === 1 ? '' : `, ${uses} times`
      return `${name ?? pattern}${times}, as ${logins.join(', ')}, until ${expires}`
    }
    case 'host-enrol':
      return `${entry.host.name}, as ${entry.host.logins.join(', ')}`
    case 'host-remove':
      return entry.host.name
    case 'ca-key':
      return `CA key ${entry.fingerprint} is ${entry.state}`
    case 'rollback':
      return `entries ${entry.lost.from} to ${entry.lost.to} are lost`
  }
}

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
