import type { Entry } from './index.ts'
import { describeTarget } from './revocations.ts'

/** What an entry is about in words, beside who, where and by which rule. */
export const describeEntry = (entry: Entry): string => {
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
