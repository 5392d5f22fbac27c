import type { Rule } from './index.ts'
import { anybody, createExample, formatPerson, isAlso, joinPersons, type Person } from './people.ts'
import type { AllowRule } from './rule.ts'
import { createNaming } from './who.ts'
import type { People } from './who-people.ts'

/** The rules that speak of one host, one login and one time on both sides, in their order. */
export interface Situation {
  readonly login: string
  readonly before: readonly Rule[]
  readonly after: readonly Rule[]
}

/** Which rule decides for somebody on either side; undefined where they are refused. */
export interface Outcome {
  readonly person: Person
  readonly before: AllowRule | undefined
  readonly after: AllowRule | undefined
}

/** More people than this in one situation are not all looked at. */
const maxPersons = 50_000

/**
 * Everybody for whom the two sides may decide differently, each with what either decides.
 *
 * Entries only ever ask for something to be so, never for it not to be. Somebody is therefore
 * decided for by the same rules as the least they must be: to be named by the rule that decides on
 * either side, to be named by a rule that denies, and to be spared by those that would. So all
 * combinations of one entry of each are all there is to look at.
 */
export const listOutcomes = (
  situation: Situation,
  isChanged: (rule: Rule) => boolean,
  people: People,
): Outcomes => {
  const { login, before, after } = situation
  const { visit, list: listFound } = createVisits(situation, people)
  const list = (rules: readonly Rule[], kind: Rule['kind'], only?: boolean) =>
    rules
      .filter((rule) => rule.kind === kind && (only === undefined || isChanged(rule) === only))
      .flatMap((rule) => listNamed(rule, login, people))

  const denials = (rules: readonly Rule[]) => [anybody, ...list(rules, 'deny', true)]
  const [deniedBefore, deniedAfter] = [denials(before), denials(after)]
  const combine = (person: Person | undefined): void => {
    for (const old of deniedBefore) {
      for (const now of deniedAfter) {
        const one = person && joinPersons(person, old)
        visit(one && joinPersons(one, now))
      }
    }
  }

  // Where the rule that decides is the same on both sides, only a rule that denies can matter.
  if (deniedBefore.length + deniedAfter.length > 2)
    for (const one of list(after, 'allow', false)) combine(one)
  const added = list(after, 'allow', true)
  for (const now of added) {
    combine(now)
    for (const old of list(before, 'allow')) combine(joinPersons(now, old))
  }
  for (const old of list(before, 'allow', true)) {
    combine(old)
    for (const now of list(after, 'allow', false)) combine(joinPersons(old, now))
  }
  return listFound()
}

/** Somebody who may, but for those who are something else as well. */
export interface Allowed {
  readonly outcome: Outcome
  readonly after: AllowRule
  readonly unless: readonly Person[]
}

/** How many are looked at who are spared by one rule and refused by the next, and so on. */
const maxSpared = 500

/**
 * Everybody whom the rules after allow: whom a rule that allows names, but for whom a rule that denies
 * refuses as well; those of them whom that rule spares; and so on, for one who is spared by one rule may
 * be refused by the next.
 */
export const listDecided = (
  situation: Situation,
  people: People,
): { readonly allowed: readonly Allowed[]; readonly isWhole: boolean } => {
  const { login, after } = situation
  const { visit, look, found, list } = createVisits(situation, people)
  const listAll = (kind: Rule['kind']) =>
    after.filter((rule) => rule.kind === kind).flatMap((rule) => listNamed(rule, login, people))
  const denied = listAll('deny')
  for (const person of listAll('allow')) visit(person)
  const most = found.length * (1 + 2 * denied.length) + maxSpared
  let isCut = false
  const allowed: Allowed[] = []
  // Those that are found on the way have their turn too.
  for (const outcome of found) {
    if (outcome.after === undefined) continue
    const unless: Person[] = []
    for (const one of denied) {
      const both = joinPersons(outcome.person, one)
      if (both === undefined || look(both).after !== undefined) continue
      unless.push(both)
      if (found.length < most) visit(both)
      else isCut = true
    }
    allowed.push({ outcome, after: outcome.after, unless })
  }
  return { allowed, isWhole: list().isWhole && !isCut }
}

export interface Outcomes {
  readonly outcomes: readonly Outcome[]
  /** False where there were too many to look at. */
  readonly isWhole: boolean
}

/** Decides for people, one by one, and finds those whom the rules that would deny it spare. */
const createVisits = ({ login, before, after }: Situation, people: People) => {
  const known = new Map<string, Outcome>()
  const visited = new Set<Outcome>()
  const found: Outcome[] = []
  const denies = [...before, ...after].filter((rule) => rule.kind === 'deny')

  const look = (person: Person): Outcome => {
    const key = formatPerson(person)
    const old = known.get(key)
    if (old !== undefined) return old
    const { identity, memberships } = createExample(person)
    const isNamed = createNaming(identity, memberships)
    const decide = (rules: readonly Rule[]): AllowRule | undefined => {
      for (const rule of rules) {
        if (!rule.isLogin(login, identity) || !isNamed(rule.who)) continue
        if (rule.kind === 'allow') return rule
        if (!isNamed(rule.except)) return undefined
      }
      return undefined
    }
    const outcome = { person, before: decide(before), after: decide(after) }
    known.set(key, outcome)
    return outcome
  }
  const visit = (person: Person | undefined): void => {
    if (person === undefined || found.length >= maxPersons) return
    const outcome = look(person)
    if (visited.has(outcome)) return
    visited.add(outcome)
    found.push(outcome)
    const { identity, memberships } = createExample(person)
    const isNamed = createNaming(identity, memberships)
    for (const deny of denies) {
      if (!isNamed(deny.who) || isNamed(deny.except)) continue
      for (const spared of people.list(deny.spared)) visit(joinPersons(person, spared))
    }
  }
  return {
    visit,
    look,
    found: found as readonly Outcome[],
    list: (): Outcomes => ({ outcomes: found, isWhole: found.length < maxPersons }),
  }
}

/** Whom a rule names for a login; by a claim, those whose claim it is. */
const listNamed = (rule: Rule, login: string, people: People): readonly Person[] => {
  const persons = people.list(rule.people)
  if (rule.kind === 'deny' || rule.shape.logins.includes(login)) return persons
  return rule.shape.logins.flatMap((one) =>
    typeof one === 'string'
      ? []
      : persons.flatMap((person) => {
          if (person.kind !== 'oidc') return []
          const named = { ...anybody, texts: new Map([[one.claim, login]]) }
          return joinPersons(person, named) ?? []
        }),
  )
}

/** Those of whom nothing needs to be said, since the same is said of more people already, left out. */
export const dropCovered = <T extends { readonly person: Person }>(
  outcomes: readonly T[],
): readonly T[] =>
  outcomes.filter(
    ({ person }, at) =>
      !outcomes.some(
        (other, otherAt) =>
          otherAt !== at &&
          isAlso(person, other.person) &&
          // Of two who are the same people the first is kept.
          (otherAt < at || !isAlso(other.person, person)),
      ),
  )
