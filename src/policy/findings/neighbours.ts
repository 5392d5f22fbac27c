import { canMeet, type Outline, outlineOf } from '../regions.ts'
import type { Leaf, Looked } from './ground.ts'

/** Rules by their index, ascending, in as many lists as they were found in. */
type Buckets = readonly (readonly number[])[]

/**
 * Of many rules: which of those before one could name the same people on the same host, by their index,
 * ascending. It may answer too many and never too few; ten thousand rules stay quick, since no two
 * are compared.
 */
export const createNeighbours = (
  rules: readonly Looked[],
): ((index: number) => readonly number[]) => {
  const findByHost = createHostBuckets(rules.map(({ rule }) => rule.hosts))
  const findByPerson = createPersonBuckets(rules.map(({ who }) => who.flat()))
  const outlines = rules.map(listOutlines)
  const count = (buckets: Buckets) => buckets.reduce((sum, { length }) => sum + length, 0)
  return (index) => {
    const own = outlines[index] as readonly Outline[]
    const byPerson = findByPerson(index)
    const isFew = count(byPerson) <= maxCandidates
    const byHost = isFew ? [] : findByHost((rules[index] as Looked).rule.hosts)
    const [few, many] =
      isFew || count(byPerson) <= count(byHost) ? [byPerson, byHost] : [byHost, byPerson]
    const isAmongMany = isFew ? undefined : new Set(many.flat())
    const found = new Set<number>()
    for (const bucket of few) {
      for (const other of bucket) {
        if (other >= index) break
        if (isAmongMany !== undefined && !isAmongMany.has(other)) continue
        if (mayShareHost(own, outlines[other] as readonly Outline[])) found.add(other)
      }
    }
    return [...found].sort((a, b) => a - b)
  }
}

/** So few are looked at one by one: a pattern that begins with a wildcard may meet any other. */
const maxCandidates = 500
/** More pairs of patterns than this are not worth a look: the answer may be too many. */
const maxPairs = 64

const mayShareHost = (own: readonly Outline[], others: readonly Outline[]): boolean =>
  own.length * others.length > maxPairs ||
  (own.length === 1 && others.length === 1
    ? canMeet(own[0] as Outline, others[0] as Outline)
    : own.some((outline) => others.some((other) => canMeet(outline, other))))

const listOutlines = ({ rule }: Looked): readonly Outline[] =>
  rule.hosts.map((text) => outlineOf({ text, crossDots: rule.kind === 'deny' }))

/** Indexes come in ascending order, so one that is there already is the last. */
const insert = (map: Map<string, number[]>, key: string, index: number): void => {
  const known = map.get(key)
  if (known === undefined) map.set(key, [index])
  else if (known.at(-1) !== index) known.push(index)
}

/** Only what stands before the first wildcard is compared. */
const createHostBuckets = (
  lists: readonly (readonly string[])[],
): ((patterns: readonly string[]) => Buckets) => {
  const byPrefix = new Map<string, number[]>()
  for (const [index, patterns] of lists.entries()) {
    for (const pattern of patterns) insert(byPrefix, prefixOf(pattern), index)
  }
  const sorted = [...byPrefix.keys()].sort()
  return (patterns) => {
    const found = new Set<readonly number[]>()
    const add = (prefix: string) => {
      const bucket = byPrefix.get(prefix)
      if (bucket !== undefined) found.add(bucket)
    }
    for (const pattern of patterns) {
      const prefix = prefixOf(pattern)
      for (let length = 0; length < prefix.length; length++) add(prefix.slice(0, length))
      // Those that go on where this one ends, and this one's own.
      for (let at = findFirst(sorted, prefix); sorted[at]?.startsWith(prefix); at++) {
        add(sorted[at] as string)
      }
    }
    return [...found]
  }
}

/**
 * An entry that holds another asks for something that the other has too: each is found by one such
 * thing that it asks for, and by all that it has.
 */
const createPersonBuckets = (lists: readonly (readonly Leaf[])[]): ((index: number) => Buckets) => {
  const byAsked = new Map<string, number[]>()
  const byHad = new Map<string, number[]>()
  const keys = lists.map((leaves) => {
    const asked = new Set(leaves.flatMap(listAsked))
    return { asked, had: new Set(leaves.flatMap(listHad)) }
  })
  for (const [index, { asked, had }] of keys.entries()) {
    for (const key of asked) insert(byAsked, key, index)
    for (const key of had) insert(byHad, key, index)
  }
  const all = [...lists.keys()]
  return (index) => {
    const { asked, had } = keys[index] as (typeof keys)[number]
    if (asked.has('everyone')) return [all]
    // Whoever asks for a thing has it too, so what is asked for here is looked up once.
    const more = ['everyone', ...had].filter((key) => !asked.has(key))
    return [
      ...more.flatMap((key) => [byAsked.get(key) ?? []]),
      ...[...asked].flatMap((key) => [byHad.get(key) ?? []]),
    ]
  }
}

/** One thing an entry asks for, the rarest there is; of alternatives, each. */
const listAsked = (leaf: Leaf): readonly string[] => {
  if (leaf === 'everyone') return ['everyone']
  if ('github' in leaf) {
    const { id, team, teamId, org, orgId } = leaf.github
    if (id !== undefined) return [`id ${id}`]
    if (team !== undefined) return [`team ${team.toLowerCase()}`]
    if (teamId !== undefined) return [`team id ${teamId}`]
    if (org !== undefined) return [`org ${org.toLowerCase()}`]
    return [orgId === undefined ? 'github' : `org id ${orgId}`]
  }
  const { issuer, subject, email, groups, claims = {} } = leaf.oidc
  if (subject !== undefined) return [`${issuer} subject ${subject}`]
  if (email !== undefined) return [`${issuer} email ${email}`]
  if (groups !== undefined) return groups.map((group) => `${issuer} group ${group}`)
  const [claim] = Object.entries(claims)
  if (claim !== undefined) return claim[1].map((value) => `${issuer} claim ${claim[0]} ${value}`)
  return [issuer]
}

/** Everything an entry has that another could ask for. */
const listHad = (leaf: Leaf): readonly string[] => {
  if (leaf === 'everyone') return []
  if ('github' in leaf) {
    const { id, team, teamId, org, orgId } = leaf.github
    const orgs = [org, team?.split('/')[0]].flatMap((name) => name?.toLowerCase() ?? [])
    return [
      'github',
      ...(id === undefined ? [] : [`id ${id}`]),
      ...(team === undefined ? [] : [`team ${team.toLowerCase()}`]),
      ...orgs.map((name) => `org ${name}`),
      ...(teamId === undefined ? [] : [`team id ${teamId}`]),
      ...(orgId === undefined ? [] : [`org id ${orgId}`]),
    ]
  }
  const { issuer, subject, email, groups = [], claims = {} } = leaf.oidc
  return [
    issuer,
    ...(subject === undefined ? [] : [`${issuer} subject ${subject}`]),
    ...(email === undefined ? [] : [`${issuer} email ${email}`]),
    ...groups.map((group) => `${issuer} group ${group}`),
    ...Object.entries(claims).flatMap(([name, values]) =>
      values.map((value) => `${issuer} claim ${name} ${value}`),
    ),
  ]
}

/** A name without wildcards is its own prefix, with a mark behind it: it goes no further. */
const prefixOf = (pattern: string): string => {
  const wild = pattern.search(/[*?]/)
  return wild < 0 ? `${pattern}$` : pattern.slice(0, wild)
}

const findFirst = (sorted: readonly string[], text: string): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as string) < text) low = middle + 1
    else high = middle
  }
  return low
}
