import { isLogin } from '../lib/names.ts'
import type { Rule } from './index.ts'
import type { Situation } from './outcomes.ts'
import { listRegions, type Pattern, type Region } from './regions.ts'
import { type Instant, listInstants } from './times.ts'
import type { When } from './when.ts'

/** Where and when a situation is found: in a region of hosts, at some of the instants. */
export interface Place {
  readonly region: Region
  /** The login in words. */
  readonly login: string
  /** Indexes of instants. */
  readonly instants: readonly number[]
  readonly situation: Situation
}

/** All the places in which a changed rule speaks, and what they are made of. */
export interface Places {
  readonly places: readonly Place[]
  readonly regions: readonly Region[]
  readonly patterns: readonly Pattern[]
  readonly focus: ReadonlySet<number>
  readonly whens: readonly When[]
  readonly instants: readonly Instant[]
  readonly isWhole: boolean
}

/**
 * Takes apart all that can be asked: hosts by the patterns that match them, logins by the rules
 * that name them, time by the `when`s that hold. Only where a changed rule speaks can anything have
 * changed.
 */
export const listPlaces = (
  before: readonly Rule[],
  after: readonly Rule[],
  changed: readonly Rule[],
  maxSteps?: number,
): Places => {
  const rules = [...before, ...after]
  const isBefore = new Set(before)
  const { patterns, indexesOf, rulesOf } = indexPatterns(rules)
  const focus = new Set(changed.flatMap((rule) => indexesOf(rule)))
  const isChanged = new Set(changed)
  const { regions, isWhole } = listRegions(patterns, (index) => focus.has(index), 'host', maxSteps)

  const whens = listWhens(rules)
  const instants = listInstants(whens)
  const findWhen = createFindWhen(whens)

  let isAll = isWhole
  const order = new Map(rules.map((rule, at) => [rule, at]))
  const places = regions.flatMap((region) => {
    const here = [...new Set(region.matches.flatMap((index) => rulesOf(index)))].sort(
      (a, b) => (order.get(a) as number) - (order.get(b) as number),
    )
    const logins = listLogins(here, isChanged)
    isAll &&= logins.isWhole
    return logins.logins.flatMap(({ login, words }) => {
      const speaking = here.filter((rule) => mayName(rule, login))
      return listTimes(speaking, instants, findWhen).flatMap(([list, now]): readonly Place[] => {
        if (!now.some((rule) => isChanged.has(rule))) return []
        const situation = {
          login,
          before: now.filter((rule) => isBefore.has(rule)),
          after: now.filter((rule) => !isBefore.has(rule)),
        }
        return [{ region, login: words, instants: list, situation }]
      })
    })
  })
  return { places, regions, patterns, focus, whens, instants, isWhole: isAll }
}

/** The one place of a host and a login, with the rules that name the host, in their order. */
export const listPlacesAt = (rules: readonly Rule[], host: string, login: string): Places => {
  const speaking = rules.filter((rule) => mayName(rule, login))
  const whens = listWhens(speaking)
  const instants = listInstants(whens)
  const region = { witness: host, matches: [0] }
  const times = listTimes(speaking, instants, createFindWhen(whens))
  return {
    places: times.map(([list, now]) => ({
      region,
      login,
      instants: list,
      situation: { login, before: [], after: now },
    })),
    regions: [region],
    patterns: [{ text: host, crossDots: false }],
    focus: new Set([0]),
    whens,
    instants,
    isWhole: true,
  }
}

/** The instants, by the rules that hold at them. */
const listTimes = (
  speaking: readonly Rule[],
  instants: readonly Instant[],
  findWhen: (rule: Rule) => number | undefined,
): readonly (readonly [readonly number[], readonly Rule[]])[] => {
  const times = Map.groupBy(instants.keys(), (at) =>
    speaking.map((rule) => holds(findWhen(rule), instants[at] as Instant)).join(),
  )
  return [...times.values()].map((list) => {
    const instant = instants[list[0] as number] as Instant
    return [list, speaking.filter((rule) => holds(findWhen(rule), instant))]
  })
}

/** Finds the number of a rule's `when`. */
const createFindWhen = (whens: readonly When[]) => {
  const whenOf = new Map(whens.map((when, at) => [JSON.stringify(when), at]))
  return ({ shape: { when } }: Rule) =>
    when === undefined ? undefined : (whenOf.get(JSON.stringify(when)) as number)
}

const holds = (when: number | undefined, instant: Instant): boolean =>
  when === undefined || instant.holds[when] === true

const listWhens = (rules: readonly Rule[]): readonly When[] => [
  ...new Map(
    rules.flatMap(({ shape: { when } }) =>
      when === undefined ? [] : [[JSON.stringify(when), when] as const],
    ),
  ).values(),
]

const indexPatterns = (rules: readonly Rule[]) => {
  const patterns: Pattern[] = []
  const known = new Map<string, number>()
  const byRule = new Map<Rule, readonly number[]>()
  const byPattern: Rule[][] = []
  for (const rule of rules) {
    const crossDots = rule.kind === 'deny'
    const indexes = rule.hosts.map((text) => {
      const key = `${crossDots} ${text}`
      const index = known.get(key) ?? patterns.push({ text, crossDots }) - 1
      known.set(key, index)
      if (byPattern[index] === undefined) byPattern[index] = [rule]
      else byPattern[index].push(rule)
      return index
    })
    byRule.set(rule, indexes)
  }
  return {
    patterns,
    indexesOf: (rule: Rule) => byRule.get(rule) ?? [],
    rulesOf: (index: number) => byPattern[index] ?? [],
  }
}

/** Whether a rule names a login for somebody. */
const mayName = (rule: Rule, login: string): boolean =>
  rule.kind === 'deny'
    ? rule.isLogin(login, nobody)
    : rule.shape.logins.some((one) => typeof one !== 'string' || one === login)

/** A deny rule's logins ask nothing of the person. */
const nobody = {
  kind: 'oidc',
  issuer: '',
  subject: '',
  name: '',
  groups: [],
  claims: {},
  mfa: false,
} as const

interface Login {
  readonly login: string
  readonly words: string
}

/**
 * The logins that the rules of a region tell apart: those that are named; and, where a claim may
 * name any, the others by which rules deny them.
 */
const listLogins = (
  rules: readonly Rule[],
  isChanged: ReadonlySet<Rule>,
): { readonly logins: readonly Login[]; readonly isWhole: boolean } => {
  const allows = rules.filter((rule) => rule.kind === 'allow')
  const claims = new Set(
    allows.flatMap(({ shape }) =>
      shape.logins.flatMap((one) => (typeof one === 'string' ? [] : [one.claim])),
    ),
  )
  const names = new Set(
    allows.flatMap(({ shape, people }) => [
      ...shape.logins.filter((one) => typeof one === 'string'),
      ...people.flatMap((entry) =>
        typeof entry === 'object' && 'oidc' in entry
          ? Object.entries(entry.oidc.claims ?? {}).flatMap(([claim, values]) =>
              claims.has(claim)
                ? values.filter((value) => typeof value === 'string').filter(isLogin)
                : [],
            )
          : [],
      ),
    ]),
  )
  const isMeant = ({ login }: Login) =>
    rules.some((rule) => isChanged.has(rule) && mayName(rule, login))
  const named = [...names].map((login): Login => ({ login, words: login }))
  if (claims.size === 0) return { logins: named.filter(isMeant), isWhole: true }

  const denied = rules.flatMap((rule) => (rule.kind === 'deny' ? rule.shape.logins : []))
  const texts = [...new Set(['*', ...names, ...denied])]
  const { regions, isWhole } = listRegions(
    texts.map((text) => ({ text, crossDots: true })),
    (index) => index === 0,
    'login',
  )
  const others = regions.flatMap(({ witness, matches }): readonly Login[] => {
    if (names.has(witness)) return []
    const like = matches.map((index) => texts[index]).filter((text) => text !== '*')
    const which = like.length === 0 ? '' : ` like ${like.join(' and ')}`
    return [{ login: witness, words: `a login${which} that a claim of theirs names` }]
  })
  return { logins: [...named, ...others].filter(isMeant), isWhole }
}
