import { listEntries } from './diff.ts'
import { createDescriber, type Spot } from './diff-words.ts'
import { findNear } from './explain.ts'
import type { ConditionKey, Policy, Rule, RuleRef } from './index.ts'
import { dropCovered, listOutcomes, type Outcome } from './outcomes.ts'
import type { PolicyResult } from './parse.ts'
import { isAlso } from './people.ts'
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
    const listed = listOutcomes(situation, () => true, people)
    isWhole &&= listed.isWhole
    return listAllowed(listed.outcomes).map((one) => ({ ...one, ...place }))
  })
  return { places, people, spots, isWhole }
}

/**
 * Those who may, without those who are told with more people already: but for whom an exception
 * from an exception lets in again, who are told by themselves.
 */
const listAllowed = (outcomes: readonly Outcome[]) => {
  const refused = outcomes.filter(({ after }) => after === undefined)
  const allowed = outcomes.flatMap((outcome) => {
    const { person, after } = outcome
    if (after === undefined) return []
    const unless = refused.map((one) => one.person).filter((other) => isAlso(other, person))
    return [{ person, unless, outcome, rule: after.ref.name, after: after.ref }]
  })
  return allowed
    .filter(
      ({ person, rule }, at) =>
        !allowed.some(
          (other, otherAt) =>
            otherAt !== at &&
            other.rule === rule &&
            isAlso(person, other.person) &&
            !other.unless.some((one) => isAlso(person, one)) &&
            (otherAt < at || !isAlso(other.person, person)),
        ),
    )
    .map(({ person, unless, outcome, after }) => ({
      person,
      unless: dropCovered(unless.map((one) => ({ person: one }))).map((one) => one.person),
      outcome,
      change: { kind: 'gain', direction: 'wider', after } as const,
    }))
}

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
