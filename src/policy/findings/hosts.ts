import { findNearest } from '../../lib/nearest.ts'
import { createHostIndex } from '../match.ts'
import type { Entry } from '../sources.ts'
import type { HostShape } from '../values.ts'
import type { Ground, Remark } from './ground.ts'

// Patterns that match nothing, or less than they seem to.

/** A host entry that is written out somewhere. */
interface Written {
  readonly entry: Entry<unknown>
  readonly path: readonly (string | number)[]
  readonly shape: HostShape
  readonly crossDots: boolean
}

export const listHostRemarks = (ground: Ground): readonly Remark[] => {
  const written = listWrittenHosts(ground)
  return [
    ...(ground.names.hosts.length > 0
      ? listUnknownHosts(ground, written)
      : listShortPatterns(ground, written)),
    ...listMisspeltDomains(ground, written),
    ...listUnusedGroups(ground, written),
    ...listDoubles(written),
  ]
}

const listWrittenHosts = ({ sources }: Ground): readonly Written[] => [
  ...sources.rules.flatMap((entry) =>
    entry.shape.hosts.map((shape, at) => ({
      entry,
      path: ['hosts', at],
      shape,
      crossDots: 'deny' in entry.shape,
    })),
  ),
  ...sources.hostGroups.flatMap((entry) =>
    entry.shape.map((shape, at) => ({ entry, path: [at], shape, crossDots: false })),
  ),
]

const warn = (
  { entry, path }: Pick<Written, 'entry' | 'path'>,
  code: string,
  message: string,
  advice: string,
): Remark => ({ entry, path, level: 'warning', code, message, advice })

/** A host that a pattern misses only because `*` takes no dot, and the rest of its name. */
interface Missed {
  readonly host: string
  readonly tail: string
}

/** By pattern, of each the first: looked up by the hosts, for there may be very many patterns. */
const findMissed = (
  patterns: readonly string[],
  hosts: readonly string[],
): ReadonlyMap<string, Missed> => {
  const found = new Map<string, Missed>()
  for (const [labels, list] of Map.groupBy(new Set(patterns), (text) => text.split('.').length)) {
    const find = createHostIndex(
      list.map((pattern) => [pattern]),
      { crossDots: false },
    )
    for (const host of hosts) {
      const parts = host.split('.')
      if (parts.length <= labels) continue
      for (const index of find(parts.slice(0, labels).join('.'))) {
        const pattern = list[index] as string
        if (!found.has(pattern)) found.set(pattern, { host, tail: parts.slice(labels).join('.') })
      }
    }
  }
  return found
}

/** The patterns that match any of the hosts. */
const findMatching = (
  written: readonly Written[],
  hosts: readonly string[],
): ReadonlySet<Written> => {
  const found = new Set<Written>()
  for (const crossDots of [true, false]) {
    const find = createHostIndex(
      written.map((one) =>
        typeof one.shape === 'string' && one.crossDots === crossDots ? [one.shape] : [],
      ),
      { crossDots },
    )
    for (const host of hosts) for (const index of find(host)) found.add(written[index] as Written)
  }
  return found
}

const listTexts = (written: readonly Written[]): readonly string[] =>
  written.flatMap(({ shape, crossDots }) =>
    crossDots || typeof shape !== 'string' || shape === '*' ? [] : [shape],
  )

const explainMissed = (pattern: string, { host, tail }: Missed): readonly [string, string] => [
  `${pattern} does not match ${host}: "*" takes no dot`,
  `write ${pattern}.${tail}`,
]

const listUnknownHosts = (
  { names: { hosts } }: Ground,
  written: readonly Written[],
): readonly Remark[] => {
  const known = hosts.map(({ name }) => name)
  const matching = findMatching(written, known)
  const missed = findMissed(listTexts(written), known)
  return written.flatMap((one) => {
    const { shape, crossDots } = one
    if (typeof shape !== 'string' || matching.has(one)) return []
    const { host, tail } = (crossDots ? undefined : missed.get(shape)) ?? {}
    const isName = !/[*?]/.test(shape)
    const nearest = findNearest(shape.replace(/[*?]/g, ''), known)
    const advice =
      tail !== undefined
        ? `"*" takes no dot: write ${shape}.${tail}`
        : isName && nearest !== undefined
          ? `did you mean ${nearest}?`
          : 'mend it, or add the hosts it means to the list "hosts"'
    const example = host === undefined ? '' : `, not even ${host}`
    return [
      warn(one, 'unknown-host', `${shape} matches no host of the list "hosts"${example}`, advice),
    ]
  })
}

/** As many other names as are looked at to understand one. */
const maxEvidence = 500

/** Without a list of hosts, what other rules and the tests name shows which names there are. */
const listShortPatterns = ({ sources }: Ground, written: readonly Written[]): readonly Remark[] => {
  const names = [
    ...written.flatMap(({ shape }) =>
      typeof shape === 'string' && shape.includes('.') ? [shape.replace(/[*?]/g, '1')] : [],
    ),
    ...sources.tests.map(({ shape }) => shape.ask.host),
  ]
  const elsewhere = [...new Set(names)].slice(0, maxEvidence)
  const short = listTexts(written).filter((text) => !text.includes('.'))
  const missed = findMissed(short, elsewhere)
  return written.flatMap((one) => {
    const { shape, crossDots } = one
    const found = crossDots || typeof shape !== 'string' ? undefined : missed.get(shape)
    if (found === undefined) return []
    return [warn(one, 'short-pattern', ...explainMissed(shape as string, found))]
  })
}

/** The domain a pattern ends in: its last two labels, where no wildcard is in them. */
const findDomain = (pattern: string): string | undefined => {
  const labels = pattern.split('.').slice(-2)
  return labels.length === 2 && !/[*?]/.test(labels.join('')) ? labels.join('.') : undefined
}

const listMisspeltDomains = (
  { names, sources }: Ground,
  written: readonly Written[],
): readonly Remark[] => {
  const domains = [
    ...written.map(({ shape }) => (typeof shape === 'string' ? findDomain(shape) : undefined)),
    ...names.hosts.map(({ name }) => findDomain(name)),
    ...sources.tests.map(({ shape }) => findDomain(shape.ask.host)),
  ].filter((domain) => domain !== undefined)
  const counts = new Map<string, number>()
  for (const domain of domains) counts.set(domain, (counts.get(domain) ?? 0) + 1)
  if (counts.size > maxEvidence) return []
  return written.flatMap((one) => {
    const domain = typeof one.shape === 'string' ? findDomain(one.shape) : undefined
    if (domain === undefined || domain.length < 6) return []
    const count = counts.get(domain) ?? 0
    const meant = [...counts].find(([name, often]) => often > count && isSlip(domain, name))?.[0]
    if (meant === undefined) return []
    return [
      warn(one, 'misspelt', `${domain} is nearly ${meant}, which others name`, `is it ${meant}?`),
    ]
  })
}

/** Whether one letter too many, too few, or two swapped make the one the other. */
const isSlip = (a: string, b: string): boolean => {
  if (a === b || Math.abs(a.length - b.length) > 1) return false
  if (a.length === b.length) {
    const at = [...a].findIndex((char, index) => char !== b[index])
    const swapped = a.slice(0, at) + (a[at + 1] ?? '') + (a[at] ?? '') + a.slice(at + 2)
    return swapped === b
  }
  const [long, short] = a.length > b.length ? [a, b] : [b, a]
  return [...long].some((_, at) => long.slice(0, at) + long.slice(at + 1) === short)
}

const listUnusedGroups = ({ sources }: Ground, written: readonly Written[]): readonly Remark[] => {
  const used = new Set(
    written.map(({ shape }) =>
      typeof shape === 'object' && 'hostGroup' in shape ? shape.hostGroup : '',
    ),
  )
  return sources.hostGroups
    .filter(({ name }) => !used.has(name))
    .map((entry) =>
      warn(
        { entry, path: [] },
        'unused',
        `no rule names the group of hosts ${entry.name}`,
        'name it in a rule, or take it out',
      ),
    )
}

const listDoubles = (written: readonly Written[]): readonly Remark[] => {
  const seen = new Map<Entry<unknown>, Set<string>>()
  return written.flatMap((one) => {
    const known = seen.get(one.entry) ?? new Set()
    seen.set(one.entry, known)
    const text = typeof one.shape === 'string' ? one.shape : JSON.stringify(one.shape)
    if (known.has(text)) {
      return [warn(one, 'double', 'this entry of hosts stands here twice', 'keep one')]
    }
    known.add(text)
    return []
  })
}
