import { createHostWords } from './host-words.ts'
import type { Policy, RuleRef } from './index.ts'
import { listRegions, type Pattern, type Region } from './regions.ts'
import { listMemberships, type StoredAsk } from './replay.ts'
import type { AllowRule } from './rule.ts'
import { createNeeding } from './who.ts'
import { createFindRule, listNeeds } from './who-can.ts'

/** Somebody as the log knows them: with what GitHub answered about them, as far as it was asked. */
export type KnownPerson = Pick<StoredAsk, 'identity' | 'lookUps'>

/** Where somebody may log in, by one rule. */
export interface Reached {
  /** Patterns, in the words of the rules. */
  readonly hosts: readonly string[]
  readonly logins: readonly string[]
  readonly rule: RuleRef
  /** What the rule asks for beyond that, in words. */
  readonly needs: readonly string[]
}

export interface Reach {
  readonly reached: readonly Reached[]
  /** Questions whose answer nobody knows, and on which more may hang. */
  readonly unknown: readonly string[]
  /** False where the patterns overlap in too many ways to look at all. */
  readonly isWhole: boolean
}

/** Where somebody may log in, host by host as the patterns tell them apart. */
export interface Reachable extends Pick<Reach, 'unknown' | 'isWhole'> {
  readonly regions: readonly Region[]
  readonly patterns: readonly Pattern[]
  readonly focus: ReadonlySet<number>
  /** By rule, in the order in which they are read, and login. */
  readonly found: ReadonlyMap<AllowRule, ReadonlyMap<string, readonly Region[]>>
}

/** Where somebody may log in at a moment, by the rules' own patterns: hosts that nobody has named yet too. */
export const findReach = (policy: Policy, person: KnownPerson, at: Date): Reachable => {
  const findNeed = createNeeding(person.identity)
  const rules = policy.rules.filter((rule) => findNeed(rule.who) !== false)
  const allows = rules.filter((rule) => rule.kind === 'allow')
  const { patterns, focus } = listPatterns(rules)
  const { regions, isWhole } = listRegions(patterns, (index) => focus.has(index), 'host')
  const findRule = createFindRule(policy)
  const unknown = new Set<string>()
  const decide = (host: string, login: string): AllowRule | undefined => {
    const question = { identity: person.identity, ask: { host, login }, at }
    const { all, missing } = listMemberships(policy, { ...question, lookUps: person.lookUps })
    const names = new Set(
      all.map((memberships) => policy.evaluate({ ...question, memberships }).rule?.name),
    )
    const [name] = names
    if (names.size !== 1) for (const one of missing) unknown.add(one)
    const rule = names.size === 1 && name !== undefined ? findRule(name) : undefined
    // What it asks for can be met, or not, only by an ask: it is told, and not decided.
    return rule?.kind === 'allow' ? rule : undefined
  }

  const found = new Map(allows.map((rule) => [rule, new Map<string, Region[]>()]))
  const logins = new Set(allows.flatMap((rule) => rule.listLogins(person.identity)))
  for (const region of regions) {
    for (const login of logins) {
      const rule = decide(region.witness, login)
      if (rule === undefined) continue
      const byLogin = found.get(rule)
      byLogin?.set(login, [...(byLogin.get(login) ?? []), region])
    }
  }
  return { regions, patterns, focus, found, unknown: [...unknown].sort(), isWhole }
}

/** The same in words. */
export const listReach = (policy: Policy, person: KnownPerson, at: Date): Reach => {
  const { found, unknown, isWhole, ...places } = findReach(policy, person, at)
  const describeHosts = createHostWords(places)
  const reached = [...found].flatMap(([rule, byLogin]) => {
    const told = [...byLogin].map(([login, list]) => ({ login, hosts: describeHosts(list) }))
    const alike = Map.groupBy(told, ({ hosts }) => JSON.stringify(hosts))
    return [...alike.values()].map((group) => ({
      hosts: group[0]?.hosts ?? [],
      logins: group.map(({ login }) => login).sort(),
      rule: rule.ref,
      needs: listNeeds(rule),
    }))
  })
  return { reached, unknown, isWhole }
}

/** The patterns of the rules, each once, and those of them that allow something. */
const listPatterns = (rules: Policy['rules']) => {
  const patterns = new Map<string, Pattern>()
  const focus = new Set<number>()
  const keys: string[] = []
  for (const { kind, hosts } of rules) {
    for (const text of hosts) {
      const key = `${kind} ${text}`
      if (!patterns.has(key)) {
        if (kind === 'allow') focus.add(keys.length)
        keys.push(key)
        patterns.set(key, { text, crossDots: kind === 'deny' })
      }
    }
  }
  return { patterns: [...patterns.values()], focus }
}
