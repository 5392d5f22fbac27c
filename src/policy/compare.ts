import { isCovered, parseCidr } from '../lib/address.ts'
import { formatDuration } from '../lib/duration.ts'
import type { AllowRule } from './rule.ts'
import { describeWhen } from './when.ts'

/** Something that is granted or asked for otherwise than before. */
export interface Difference {
  /** The key of the rule it stands under. */
  readonly key: string
  readonly words: string
  /** `other` where neither holds the other: whoever fears more being granted must look. */
  readonly direction: 'wider' | 'narrower' | 'other'
}

/** What two rules grant to the same ask, one beside the other: every difference. */
export const compareGrants = (before: AllowRule, after: AllowRule): readonly Difference[] =>
  comparisons.flatMap(([key, compare]) =>
    compare(before, after).map(([direction, words]) => ({ key, words, direction })),
  )

type Finding = readonly [Difference['direction'], string]
type Compare = (before: AllowRule, after: AllowRule) => readonly Finding[]

/** A measure of which more is wider. */
const measure =
  (read: (rule: AllowRule) => number, describe: (rule: AllowRule) => string, noun = ''): Compare =>
  (before, after) => {
    const [old, now] = [read(before), read(after)]
    if (old === now) return []
    const words = `${noun}${describe(after)} instead of ${describe(before)}`
    return [[now > old ? 'wider' : 'narrower', words]]
  }

/** Something that is there or not: `more` is whether having it is wider. */
const flag =
  (read: (rule: AllowRule) => boolean, more: boolean, has: string, hasNot: string): Compare =>
  (before, after) => {
    const now = read(after)
    if (read(before) === now) return []
    return [[now === more ? 'wider' : 'narrower', now ? has : hasNot]]
  }

/** Values by name, each of which is wider for being there. */
const members =
  (
    read: (rule: AllowRule) => ReadonlyMap<string, string>,
    describe: (name: string) => string,
  ): Compare =>
  (before, after) => {
    const [old, now] = [read(before), read(after)]
    const names = [...new Set([...old.keys(), ...now.keys()])].sort()
    return names.flatMap((name): readonly Finding[] => {
      if (!old.has(name)) return [['wider', `${describe(name)} is added`]]
      if (!now.has(name)) return [['narrower', `${describe(name)} is taken away`]]
      if (old.get(name) === now.get(name)) return []
      return [['other', `${describe(name)} is ${now.get(name)} instead of ${old.get(name)}`]]
    })
  }

/** A set of which having none means anything goes; otherwise more is wider. */
const limited =
  (
    read: (rule: AllowRule) => readonly string[] | undefined,
    describe: (items: readonly string[] | undefined) => string,
    holds: (items: readonly string[], others: readonly string[]) => boolean,
  ): Compare =>
  (before, after) => {
    const [old, now] = [read(before), read(after)]
    if (JSON.stringify(old) === JSON.stringify(now)) return []
    const isNarrower = old === undefined || (now !== undefined && holds(old, now))
    const isWider = now === undefined || (old !== undefined && holds(now, old))
    if (isNarrower && isWider) return []
    const words = `${describe(now)} instead of ${describe(old)}`
    return [[isWider ? 'wider' : isNarrower ? 'narrower' : 'other', words]]
  }

const isSuperset = (items: readonly string[], others: readonly string[]): boolean =>
  others.every((other) => items.includes(other))

const holdsBlocks = (items: readonly string[], others: readonly string[]): boolean => {
  if (items.includes('caller') || others.includes('caller')) return isSuperset(items, others)
  const read = (texts: readonly string[]) => texts.flatMap((text) => parseCidr(text) ?? [])
  return isCovered(read(others), read(items))
}

const asMap = (names: readonly string[]) => new Map(names.map((name) => [name, '']))

const describeMfa = ({ shape: { require } }: AllowRule): string => {
  if (require?.mfa === undefined) return 'no second factor'
  return require.mfa === true
    ? 'a second factor'
    : `a second factor within ${formatDuration(require.mfa)}`
}

const readMfa = ({ shape: { require } }: AllowRule): number => {
  if (require?.mfa === undefined) return Number.POSITIVE_INFINITY
  return require.mfa === true ? Number.MAX_VALUE : require.mfa
}

const describeAge = ({ shape: { require } }: AllowRule): string =>
  require?.tokenMaxAge === undefined
    ? 'a token of any age'
    : `a token of at most ${formatDuration(require.tokenMaxAge)}`

const reasonLength = ({ shape: { require } }: AllowRule): number =>
  require?.reason === undefined ? 0 : (require.reason.minLength ?? 1)

const readSources = ({ sourceAddresses }: AllowRule): readonly string[] | undefined =>
  sourceAddresses?.split(',')

const describeSources = (items: readonly string[] | undefined): string =>
  items === undefined ? 'use from anywhere' : `use from ${items.join(', ')} alone`

const describeCommands = ({ commands }: AllowRule): string =>
  commands.size === 0 ? 'a shell' : `only the commands ${[...commands.keys()].join(', ')}`

/** Whether there is a shell is one thing; where there is none on either side, the commands are another. */
const compareCommands: Compare = (before, after) => {
  if (before.commands.size > 0 && after.commands.size > 0) {
    return members(
      ({ commands }) => commands,
      (name) => `command ${name}`,
    )(before, after)
  }
  return measure(({ commands }) => (commands.size === 0 ? 1 : 0), describeCommands)(before, after)
}

/** A certificate ends with its rule's `when`, which tells whether it may outlast it. */
const compareEnds: Compare = ({ shape: { when: old } }, { shape: { when: now } }) => {
  if (JSON.stringify(old) === JSON.stringify(now)) return []
  const describe = (when: typeof old) =>
    when === undefined ? 'by the ttl alone' : `with the time ${describeWhen(when)}`
  const words = `ends ${describe(now)} instead of ${describe(old)}`
  return [[now === undefined ? 'wider' : old === undefined ? 'narrower' : 'other', words]]
}

const compareLongest = measure(
  ({ maxTtlSeconds }) => maxTtlSeconds,
  ({ maxTtlSeconds }) => formatDuration(maxTtlSeconds),
  'at most ',
)

/** Where neither rule says it, it is the ttl, of which enough is said. */
const compareMaxTtl: Compare = (before, after) =>
  before.shape.maxTtl === undefined && after.shape.maxTtl === undefined
    ? []
    : compareLongest(before, after)

const comparisons: readonly (readonly [string, Compare])[] = [
  [
    'ttl',
    measure(
      ({ ttlSeconds }) => ttlSeconds,
      ({ ttlSeconds }) => formatDuration(ttlSeconds),
      'ttl ',
    ),
  ],
  ['maxTtl', compareMaxTtl],
  [
    'outliveToken',
    flag(({ outliveToken }) => outliveToken, true, 'may outlive the token', 'ends with the token'),
  ],
  ['commands', compareCommands],
  [
    'extensions',
    members(
      ({ extensions }) => extensions,
      (name) => name,
    ),
  ],
  [
    'principals',
    members(
      ({ principals }) => asMap(principals),
      (name) => `principal ${name}`,
    ),
  ],
  ['sourceAddresses', limited(readSources, describeSources, holdsBlocks)],
  ['mfa', measure(readMfa, describeMfa)],
  [
    'tokenMaxAge',
    measure(({ shape }) => shape.require?.tokenMaxAge ?? Number.POSITIVE_INFINITY, describeAge),
  ],
  [
    'callerAddresses',
    limited(
      ({ shape }) => shape.require?.callerAddresses,
      (items) => (items === undefined ? 'asked from anywhere' : `asked from ${items.join(', ')}`),
      holdsBlocks,
    ),
  ],
  [
    'reason',
    measure(
      (rule) => -reasonLength(rule),
      (rule) =>
        reasonLength(rule) === 0 ? 'no reason' : `a reason of ${reasonLength(rule)} characters`,
    ),
  ],
  [
    'reason',
    limited(
      ({ shape }) => shape.require?.reason?.ticket,
      (items) => (items === undefined ? 'no ticket' : `a ticket like ${items.join(' or ')}`),
      isSuperset,
    ),
  ],
  [
    'proof',
    flag(
      ({ shape }) => shape.require?.proof === true,
      false,
      'needs a proof of possession',
      'needs no proof of possession',
    ),
  ],
  [
    'maxPerHour',
    measure(
      ({ maxPerHour }) => maxPerHour ?? Number.POSITIVE_INFINITY,
      ({ maxPerHour }) => (maxPerHour === undefined ? 'any number' : `${maxPerHour} an hour`),
    ),
  ],
  ['alert', flag(({ alert }) => alert, false, 'raises an alert', 'raises no alert')],
  ['when', compareEnds],
]
