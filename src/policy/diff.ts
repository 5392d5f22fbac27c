import { findChanged } from './changes.ts'
import { compareGrants, type Difference } from './compare.ts'
import { expandWho } from './compile.ts'
import { createDescriber, type Spot } from './diff-words.ts'
import type { Role, Rule, RuleRef } from './index.ts'
import { dropCovered, listOutcomes, type Outcome } from './outcomes.ts'
import type { PolicyResult } from './parse.ts'
import { createExample, formatPerson, isAlso, type Person } from './people.ts'
import { listPlaces, type Place } from './situations.ts'
import { createPeople, type People } from './who-people.ts'

type Loaded = Extract<PolicyResult, { readonly ok: true }>

/** Something that people may do now and could not before, or the other way round. */
export interface Change {
  /** `gain` and `loss` of a login, or of a role; `grant`: the certificate, or what is asked for it. */
  readonly kind: 'gain' | 'loss' | 'grant'
  readonly direction: Difference['direction']
  /** Who, in words; more than one where all of them are meant. */
  readonly people: readonly string[]
  /** Patterns of hosts, and logins; a role has none. */
  readonly hosts: readonly string[]
  readonly logins: readonly string[]
  readonly role?: Role
  /** When, in words; always where it is absent. */
  readonly when?: string
  /** Whoever is this too is not meant. */
  readonly unless?: readonly string[]
  /** The rule that decides, on either side. */
  readonly before?: RuleRef
  readonly after?: RuleRef
  readonly differences?: readonly Difference[]
}

export interface PolicyDiff {
  readonly changes: readonly Change[]
  /** Whether anything may be more than before; also where that could not be told. */
  readonly widens: boolean
  /** False where there was too much to look at: there may be more changes than are listed. */
  readonly isWhole: boolean
}

/**
 * What changes from one policy to another, for whom, where and when: by the rules' own patterns and
 * entries, not by trying people and hosts. Rules that only change their name or place, and decide
 * as before, are no change. `maxSteps`: how far patterns that overlap are followed (regions.ts). Pure, and the same for the same policies.
 */
export const diffPolicies = (before: Loaded, after: Loaded, maxSteps?: number): PolicyDiff => {
  const { rules: old } = before.policy
  const { rules: now } = after.policy
  const changed = findChanged(old, now)
  const people = createPeople([...listEntries(before), ...listEntries(after)])
  const places = listPlaces(old, now, changed.rules, maxSteps)
  const describe = createDescriber(places)

  const found = findSpots(places.places, changed.has, people)
  const spots = dropEnds(found.spots)
  const changes = [...describe(spots, people), ...listRoleChanges(before, after, people)]
  const isWhole = places.isWhole && found.isWhole
  return {
    changes,
    widens: !isWhole || changes.some(({ direction }) => direction !== 'narrower'),
    isWhole,
  }
}

/** Every `who` and `except` of a policy: all that its people are told apart by. */
export const listEntries = ({ policy, sources, names }: Loaded) => [
  ...policy.rules.flatMap((rule) => [...rule.people, ...(rule.kind === 'deny' ? rule.spared : [])]),
  ...roles.flatMap((role) => listRole({ sources, names }, role)),
]

/** Every change, at each of its places alone. */
const findSpots = (
  places: readonly Place[],
  isChanged: (rule: Rule) => boolean,
  people: People,
): { readonly spots: readonly Spot[]; readonly isWhole: boolean } => {
  let isWhole = true
  // Many places are alike: the same rules for the same login.
  const known = new Map<string, readonly Pick<Spot, 'person' | 'unless' | 'outcome' | 'change'>[]>()
  const numbers = new Map<Rule, number>()
  const numberOf = (rule: Rule) => {
    const number = numbers.get(rule) ?? numbers.size
    numbers.set(rule, number)
    return number
  }
  const spots = places.flatMap(({ region, login, instants, situation }) => {
    const { before, after } = situation
    const key = JSON.stringify([situation.login, before.map(numberOf), after.map(numberOf)])
    let changes = known.get(key)
    if (changes === undefined) {
      const listed = listOutcomes(situation, isChanged, people)
      isWhole &&= listed.isWhole
      changes = listChanges(listed.outcomes)
      known.set(key, changes)
    }
    return changes.map((change) => ({ ...change, region, login, instants }))
  })
  return { spots, isWhole }
}

const listChanges = (outcomes: readonly Outcome[]) => {
  const changed = outcomes.flatMap((outcome) => {
    const change = describeOutcome(outcome)
    return change === undefined ? [] : [{ person: outcome.person, outcome, change }]
  })
  const byChange = Map.groupBy(changed, ({ change }) => JSON.stringify(change))
  return [...byChange.values()].flatMap((group) =>
    dropCovered(group).map((one) => ({
      ...one,
      unless: dropCovered(
        outcomes.filter(
          (other) => isAlso(other.person, one.person) && isException(one.change.kind, other),
        ),
      ).map(({ person }) => person),
    })),
  )
}

/** Whether somebody who could be meant too is not: who gains nothing, or who loses nothing. */
const isException = (kind: Change['kind'], { before, after }: Outcome): boolean => {
  if (kind === 'grant') return false
  return kind === 'gain' ? after === undefined : before !== undefined && after !== undefined
}

const describeOutcome = ({
  before,
  after,
}: Outcome):
  | Pick<Change, 'kind' | 'direction' | 'before' | 'after' | 'differences'>
  | undefined => {
  const refs = {
    ...(before === undefined ? {} : { before: before.ref }),
    ...(after === undefined ? {} : { after: after.ref }),
  }
  if (before === undefined) {
    return after === undefined ? undefined : { kind: 'gain', direction: 'wider', ...refs }
  }
  if (after === undefined) return { kind: 'loss', direction: 'narrower', ...refs }
  const differences = compareGrants(before, after)
  if (differences.length === 0) return undefined
  return { kind: 'grant', direction: joinDirections(differences), ...refs, differences }
}

const joinDirections = (differences: readonly Difference[]): Difference['direction'] => {
  const directions = new Set(differences.map(({ direction }) => direction))
  const [only = 'other'] = directions
  return directions.size === 1 ? only : 'other'
}

/**
 * That certificates end with another time goes without saying where the same people gain or lose
 * that time by the same rule.
 */
const dropEnds = (spots: readonly Spot[]): readonly Spot[] => {
  const format = ({ person, login }: Spot, rule: RuleRef | undefined) =>
    JSON.stringify([formatPerson(person), login, rule?.name])
  const told = new Set(
    spots.flatMap((spot) => {
      const { kind, before, after } = spot.change
      return kind === 'grant' ? [] : [format(spot, after ?? before)]
    }),
  )
  return spots.flatMap((spot) => {
    const { kind, before, after, differences = [] } = spot.change
    if (kind !== 'grant' || before?.name !== after?.name) return [spot]
    if (!told.has(format(spot, after))) return [spot]
    const left = differences.filter(({ key }) => key !== 'when')
    if (left.length === 0) return []
    const direction = joinDirections(left)
    return [{ ...spot, change: { ...spot.change, differences: left, direction } }]
  })
}

const roles = ['admin', 'auditor'] as const satisfies readonly Role[]

const listRole = ({ sources, names }: Pick<Loaded, 'sources' | 'names'>, role: Role) =>
  expandWho(
    sources.roles.flatMap(({ shape }) => shape[role] ?? []),
    names.identities,
  )

const listRoleChanges = (before: Loaded, after: Loaded, people: People): readonly Change[] =>
  roles.flatMap((role) => {
    const list = (here: Loaded, there: Loaded, kind: 'gain' | 'loss'): readonly Change[] => {
      const lacks = ({ person }: { readonly person: Person }) => {
        const { identity, memberships } = createExample(person)
        return !there.policy.findRoles(identity, memberships).has(role)
      }
      const persons = people.list(listRole(here, role)).map((person) => ({ person }))
      return dropCovered(persons.filter(lacks)).map(({ person }) => ({
        kind,
        direction: kind === 'gain' ? 'wider' : 'narrower',
        people: [people.describe(person)],
        hosts: [],
        logins: [],
        role,
      }))
    }
    return [...list(after, before, 'gain'), ...list(before, after, 'loss')]
  })
