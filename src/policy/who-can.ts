import { listEntries } from './diff.ts'
import { createDescriber, type Spot } from './diff-words.ts'
import { findNear } from './explain.ts'
import type { ConditionKey, Policy, Rule, RuleRef } from './index.ts'
import { type Allowed, dropCovered, listDecided } from './outcomes.ts'
import type { PolicyResult } from './parse.ts'
import { isAlso, joinPersons } from './people.ts'
import type { AllowRule, Requirement } from './rule.ts'
import { listPlacesAt, type Places } from './situations.ts'
import { createPeople, type People } from './who-people.ts'

type Loaded = Extract<PolicyResult, { readonly ok: true }>

/** People who may have a login on a host, in words, and by which rule. */
export interface Holder {
  readonly people: readonly string[]
  readonly rule: RuleRef
  /** Whoever is this too may not. */
  readonly unless?: readonly string[]
  /** When, in words; always where it is absent. */
  readonly when?: string
  /** What the rule asks for beyond that, in words. */
  readonly needs: readonly string[]
}

/** Who may, at each of the times that rules tell apart. */
export interface Holding {
  readonly places: Places
  readonly people: People
  readonly spots: readonly Spot[]
  /** False where there was too much to look at. */
  readonly isWhole: boolean
}

/**
 * Everybody who may have a login on a host: who would gain it, were there no policy before this one.
 * By the rules' own entries, as `diffPolicies` goes; nobody is tried, and none is left out.
 */
export const findHolding = (loaded: Loaded, host: string, login: string): Holding => {
  const places = listPlacesAt(findNear(loaded.policy)(host), host, login)
  const people = createPeople(listEntries(loaded))
  let isWhole = true
  const spots = places.places.flatMap(({ situation, ...place }) => {
    const listed = listDecided(situation, people)
    isWhole &&= listed.isWhole
    return dropTold(listed.allowed).map((one) => ({ ...one, ...place }))
  })
  return { places, people, spots, isWhole }
}

/** Those who may, without those who are told with more people already. */
const dropTold = (allowed: readonly Allowed[]) =>
  [...Map.groupBy(allowed, ({ after }) => after.ref.name).values()].flatMap((list) => {
    const groups = list.map(({ outcome, after, unless }) => ({
      outcome,
      person: outcome.person,
      unless: dropCovered(unless.map((person) => ({ person }))).map(({ person }) => person),
      change: { kind: 'gain', direction: 'wider', after: after.ref } as const,
    }))
    return groups.filter(
      (one, at) =>
        !groups.some(
          (other, otherAt) =>
            otherAt !== at &&
            isWithin(one, other) &&
            (otherAt < at || !isAlso(other.person, one.person)),
        ),
    )
  })

/** People, but for those who are something else as well. */
type Group = Pick<Spot, 'person' | 'unless'>

/** Whether everybody of the one is of the other too: also whoever the other leaves out, if they can be both. */
const isWithin = (one: Group, other: Group): boolean =>
  isAlso(one.person, other.person) &&
  other.unless.every((out) => {
    const both = joinPersons(one.person, out)
    return both === undefined || one.unless.some((person) => isAlso(both, person))
  })

/** The same in words. */
export const listHolders = (
  loaded: Loaded,
  host: string,
  login: string,
): { readonly holders: readonly Holder[]; readonly isWhole: boolean } => {
  const { places, people, spots, isWhole } = findHolding(loaded, host, login)
  const findRule = createFindRule(loaded.policy)
  const holders = createDescriber(places)(spots, people).flatMap((change): readonly Holder[] => {
    const { after: rule, people: names, unless, when } = change
    if (rule === undefined) return []
    return [
      {
        people: names,
        rule,
        needs: listNeeds(findRule(rule.name)),
        ...(unless === undefined ? {} : { unless }),
        ...(when === undefined ? {} : { when }),
      },
    ]
  })
  return { holders, isWhole }
}

/** Finds a rule by its name, which no other has. */
export const createFindRule = ({ rules }: Policy): ((name: string) => Rule | undefined) => {
  const byName = new Map(rules.map((rule) => [rule.ref.name, rule]))
  return (name) => byName.get(name)
}

/** What is asked for of everybody, whatever they ask: `ttl` and `principals` only bound an ask. */
const gates: ReadonlySet<ConditionKey> = new Set([
  'mfa',
  'tokenMaxAge',
  'callerAddresses',
  'sourceAddresses',
  'reason',
  'proof',
  'commands',
])

/** What an ask must bring for a rule to grant it. */
export const listGates = ({ requirements, commands }: AllowRule): readonly Requirement[] =>
  requirements.filter(({ key }) => gates.has(key) && (key !== 'commands' || commands.size > 0))

/** The same in words; nothing for a rule that grants nothing. */
export const listNeeds = (rule: Rule | undefined): readonly string[] =>
  rule?.kind !== 'allow' ? [] : listGates(rule).map((requirement) => requirement.describe())
