import { type Explanation, explain, findNear, type RuleTrace } from './explain.ts'
import type { Condition, Policy, Question, Rule } from './index.ts'
import type { WhoShape } from './who-schema.ts'
import { describeById } from './words.ts'

/** A condition as a caller may see it of themselves. */
export type CallerCondition = Pick<Condition, 'key' | 'isMet' | 'wanted' | 'seen' | 'reason'>

/** A rule that speaks of the host and the login, as a caller may see it. */
export interface CallerTrace extends Pick<RuleTrace, 'kind' | 'outcome'> {
  readonly rule: string
  readonly conditions: readonly CallerCondition[]
}

/** What somebody may hear of why they themselves are answered as they are. */
export interface CallerExplanation extends Pick<Explanation, 'certificate'> {
  readonly decision: Explanation['decision']['kind']
  readonly code?: string
  readonly reason?: string
  readonly rules: readonly CallerTrace[]
  readonly advice: readonly string[]
}

/**
 * Explains a decision to the person it is about: only rules that match the host and the login that
 * were asked for, only what they say of groups, teams and organisations, and of no other person,
 * host, login or network (ATTACKS 162). Rules behind the one that decides are not told of: what
 * they would need was not asked.
 */
export const explainToCaller = (policy: Policy, question: Question): CallerExplanation => {
  const { decision, near, certificate } = explain(policy, question)
  const rules = findNear(policy)(question.ask.host)
  const told = near.flatMap((trace, at) => tell(trace, rules[at] as Rule))
  return {
    decision: decision.kind,
    ...(decision.kind === 'deny' ? { code: decision.code, reason: decision.reason } : {}),
    rules: told,
    advice: listAdvice(told, decision.kind),
    ...(certificate === undefined ? {} : { certificate }),
  }
}

const isMet = ({ conditions }: RuleTrace, ...keys: readonly Condition['key'][]): boolean =>
  conditions.every((condition) => condition.isMet || !keys.includes(condition.key))

const tell = (trace: RuleTrace, rule: Rule): readonly CallerTrace[] => {
  if (trace.outcome === 'unread' || !isMet(trace, 'logins')) return []
  const { kind, outcome, conditions } = trace
  const groups = describeGroups(rule.people)
  const isTime = isMet(trace, 'when')
  const isNamed = isMet(trace, 'who')
  // GitHub is asked only about rules whose time it is: of the others nobody knows whom they name.
  if (isTime && !isNamed && (kind === 'deny' || groups === undefined)) return []
  if (!isTime && !isNamed) return []
  const spared = kind === 'deny' && !isMet(trace, 'except')
  return [
    {
      rule: trace.rule.name,
      kind,
      outcome,
      conditions: conditions
        .filter(({ key }) => key !== 'hosts' && key !== 'logins')
        // What a rule asks of those it names is theirs to know.
        .filter(({ part }) => part === 'selects' || isNamed)
        .map(({ key, isMet, wanted, seen, reason }) => ({
          key,
          isMet,
          wanted: key === 'who' ? describeWho(groups) : hide(key, wanted),
          seen: key === 'except' ? (spared ? 'one it spares' : 'not spared') : seen,
          ...(reason === undefined ? {} : { reason }),
        })),
    },
  ]
}

const describeWho = (groups: string | undefined): string =>
  groups ?? 'people who are named one by one'

/** What a caller may read of what a rule wants: nothing of others, and of no network. */
export const hide = (key: Condition['key'], wanted: string): string => {
  if (key === 'except') return 'anybody but those it spares'
  return key === 'callerAddresses' ? 'a request from certain addresses' : wanted
}

/** The groups, teams and organisations that a `who` names; undefined where it names none. */
const describeGroups = (entries: readonly WhoShape[]): string | undefined => {
  const groups = entries.flatMap((entry): readonly string[] => {
    if (typeof entry === 'string') return [entry]
    if ('github' in entry) {
      const { id, org, team, server } = entry.github
      // One person in a group is that person.
      if (id !== undefined) return []
      const on = server === undefined ? '' : ` on ${server}`
      const names = [team && `team ${team}`, org && `org ${org}`, describeById(entry.github)]
      return names.flatMap((name) => (name ? [`${name}${on}`] : []))
    }
    if (!('oidc' in entry) || entry.oidc.groups === undefined) return []
    if (entry.oidc.subject !== undefined || entry.oidc.email !== undefined) return []
    return [`group ${entry.oidc.groups.join(' or ')} of ${entry.oidc.issuer}`]
  })
  return groups.length === 0 ? undefined : [...new Set(groups)].join(', or ')
}

const listAdvice = (
  rules: readonly CallerTrace[],
  decision: Explanation['decision']['kind'],
): readonly string[] => {
  const deciding = rules.find(({ outcome }) => outcome === 'decides')
  if (decision === 'deny' && deciding?.kind === 'allow') {
    return deciding.conditions.flatMap(({ reason }) => (reason === undefined ? [] : [reason]))
  }
  if (deciding !== undefined) {
    const when = deciding.conditions.find(({ key }) => key === 'when')
    return when === undefined ? [] : [`Rule ${deciding.rule} holds only ${when.wanted}.`]
  }
  return rules
    .filter(({ kind }) => kind === 'allow')
    .map(({ rule, conditions }) => {
      const needs = conditions
        .filter((condition) => !condition.isMet && condition.reason === undefined)
        .map(({ wanted, seen }) => `needs ${wanted}; has ${seen}`)
      return `Rule ${rule} ${needs.join(', and ')}.`
    })
}
