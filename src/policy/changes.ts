import type { Rule } from './index.ts'

/** What became of the rules. */
export interface Changed {
  has(rule: Rule): boolean
  /** The rules that are not simply the same on both sides. */
  readonly rules: readonly Rule[]
}

/**
 * Finds the rules of two policies that are not simply the same on both sides. Where allow rules are
 * moved past others, the fewest that could have been moved are: the order of the rest is the same.
 */
export const findChanged = (before: readonly Rule[], after: readonly Rule[]): Changed => {
  const kept = new Set<Rule>()
  for (const kind of ['deny', 'allow'] as const) {
    const [old, now] = [before, after].map((rules) => numberRules(rules, kind)) as [
      ReadonlyMap<string, Rule>,
      ReadonlyMap<string, Rule>,
    ]
    const places = new Map([...old.keys()].map((key, at) => [key, at]))
    const shared = [...now.keys()].filter((key) => places.has(key))
    // The order of deny rules decides nothing.
    const still = kind === 'deny' ? shared : findRising(shared, (key) => places.get(key) as number)
    for (const key of still) kept.add(old.get(key) as Rule).add(now.get(key) as Rule)
  }
  const rules = [...before, ...after].filter((rule) => !kept.has(rule))
  return { rules, has: (rule) => !kept.has(rule) }
}

/** Rules of a kind by what they say; where several say the same, by which of them it is too. */
const numberRules = (rules: readonly Rule[], kind: Rule['kind']): ReadonlyMap<string, Rule> => {
  const counts = new Map<string, number>()
  return new Map(
    rules
      .filter((rule) => rule.kind === kind)
      .map((rule) => {
        const text = formatMeaning(rule)
        const count = counts.get(text) ?? 0
        counts.set(text, count + 1)
        return [`${count} ${text}`, rule] as const
      }),
  )
}

/** What a rule says, without its name, and with everything it refers to. */
export const formatMeaning = ({ shape, people, hosts, ...rule }: Rule): string => {
  const { name: _, who, hosts: __, ...said } = shape
  const spared = rule.kind === 'deny' ? rule.spared : undefined
  const sentence = 'deny' in said ? { deny: '', except: undefined } : {}
  return JSON.stringify([{ ...said, ...sentence }, people, spared, [...hosts].sort()])
}

/** The longest run of items, in their order, whose numbers rise. */
const findRising = <T>(items: readonly T[], numberOf: (item: T) => number): readonly T[] => {
  interface Run {
    readonly item: T
    readonly number: number
    readonly before: Run | undefined
  }
  /** Of the runs of each length, the one that ends lowest. */
  const ends: Run[] = []
  for (const item of items) {
    const number = numberOf(item)
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((ends[middle] as Run).number < number) low = middle + 1
      else high = middle
    }
    ends[low] = { item, number, before: ends[low - 1] }
  }
  const found: T[] = []
  for (let run = ends.at(-1); run !== undefined; run = run.before) found.push(run.item)
  return found.reverse()
}
