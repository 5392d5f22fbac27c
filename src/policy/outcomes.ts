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
  { login, before, after }: Situation,
  isChanged: (rule: Rule) => boolean,
  people: People,
): { readonly outcomes: readonly Outcome[]; readonly isWhole: boolean } => {
  const found = new Map<string, Outcome>()
  const list = (rules: readonly Rule[], kind: Rule['kind'], only?: boolean) =>
    rules
      .filter((rule) => rule.kind === kind && (only === undefined || isChanged(rule) === only))
      .flatMap((rule) => listNamed(rule, login, people))

  const denies = [...before, ...after].filter((rule) => rule.kind === 'deny')
  const visit = (person: Person | undefined): void => {
    if (person === undefined || found.size >= maxPersons) return
    const key = formatPerson(person)
    if (found.has(key)) return
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
    found.set(key, { person, before: decide(before), after: decide(after) })
    for (const deny of denies) {
      if (!isNamed(deny.who) || isNamed(deny.except)) continue
      for (const spared of people.list(deny.spared)) visit(joinPersons(person, spared))
    }
  }

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
  return { outcomes: [...found.values()], isWhole: found.size < maxPersons }
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
