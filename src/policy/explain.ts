import { fromSeconds, toSeconds } from '../lib/clock.ts'
import type { Condition, Decision, Grant, Policy, Question, Rule, RuleRef } from './index.ts'

/** One rule, as it was looked at. */
export interface RuleTrace {
  readonly rule: RuleRef
  readonly kind: Rule['kind']
  /** `decides`; `passed`: not all of its selectors hold; `unread`: behind the one that decides. */
  readonly outcome: 'decides' | 'passed' | 'unread'
  readonly conditions: readonly Condition[]
}

/** The certificate that would be written, without a key, a serial or a signature. */
export interface Preview extends Grant {
  readonly validBefore: Date
  readonly endsWith: 'ttl' | 'when' | 'token'
}

/** Why a question is answered as it is. */
export interface Explanation {
  readonly decision: Decision
  /** Every rule, in the order in which they are read. */
  readonly rules: readonly RuleTrace[]
  /** What would change the answer, a sentence each. */
  readonly advice: readonly string[]
  /** There where the answer is yes. */
  readonly certificate?: Preview
}

/** A rule by its name and place: `rule deploy (web.yaml:4)`. */
export const formatRule = ({ name, file, line }: RuleRef): string =>
  `rule ${name} (${file}:${line})`

const isMissed = ({ part, isMet }: Condition): boolean => part === 'selects' && !isMet

/**
 * Explains a decision by the conditions it is made of. Pure like `evaluate`, and nothing is issued:
 * there is no key here to certify.
 */
export const explain = (policy: Policy, question: Question): Explanation => {
  const decision = policy.evaluate(question)
  const rules = traceRules(policy, question)
  return {
    decision,
    rules,
    advice: listAdvice(decision, rules),
    ...(decision.kind === 'allow' ? { certificate: createPreview(decision.grant, question) } : {}),
  }
}

const traceRules = (policy: Policy, question: Question): readonly RuleTrace[] => {
  const examine = policy.createExaminer(question)
  let isDecided = false
  return policy.rules.map((rule) => {
    const conditions = examine(rule)
    const outcome = isDecided ? 'unread' : conditions.some(isMissed) ? 'passed' : 'decides'
    isDecided ||= outcome === 'decides'
    return { rule: rule.ref, kind: rule.kind, outcome, conditions }
  })
}

/** Where the certificate would end: issue.ts cuts it to the token, unless the rule outlives it. */
const createPreview = (grant: Grant, { identity, at }: Question): Preview => {
  const end = toSeconds(at) + grant.ttlSeconds
  const tokenEnd =
    grant.outliveToken || identity.expiresAt === undefined
      ? Number.POSITIVE_INFINITY
      : toSeconds(identity.expiresAt)
  return {
    ...grant,
    validBefore: fromSeconds(Math.min(end, tokenEnd)),
    endsWith: tokenEnd < end ? 'token' : (grant.shortenedBy ?? 'ttl'),
  }
}

const listAdvice = (decision: Decision, rules: readonly RuleTrace[]): readonly string[] => {
  const deciding = rules.find(({ outcome }) => outcome === 'decides')
  if (deciding === undefined) return listNearest(rules)
  if (deciding.kind === 'deny') return listWaysPast(deciding)
  if (decision.kind === 'deny') {
    return deciding.conditions.flatMap(({ reason }) => (reason === undefined ? [] : [reason]))
  }
  const when = deciding.conditions.find(({ key }) => key === 'when')
  const next = rules.find(
    ({ outcome, kind, conditions }) =>
      outcome === 'unread' && kind === 'allow' && !conditions.some(isMissed),
  )
  return [
    ...(when === undefined ? [] : [`It holds only ${when.wanted}.`]),
    ...listNearDenials(rules),
    next === undefined
      ? `Without ${formatRule(deciding.rule)} no rule would allow it.`
      : `Without ${formatRule(deciding.rule)} the next to decide is ${formatRule(next.rule)}.`,
  ]
}

/** How a person would come past a rule that denies: at another time, or as one whom it spares. */
const listWaysPast = ({ rule, conditions }: RuleTrace): readonly string[] => {
  const ways = conditions.flatMap(({ key, wanted }) => {
    if (key === 'when') return [`${formatRule(rule)} denies it only ${wanted}.`]
    return key === 'except' ? [`${formatRule(rule)} is for ${wanted}.`] : []
  })
  return ways.length > 0
    ? ways
    : [`Only a change of ${formatRule(rule)} would let anybody in here.`]
}

/** The rules that deny the same at another time, or that spare this person alone. */
const listNearDenials = (rules: readonly RuleTrace[]): readonly string[] =>
  rules.flatMap(({ rule, kind, conditions }) => {
    const missed = conditions.filter(isMissed)
    const [only] = missed
    if (kind !== 'deny' || missed.length !== 1 || only === undefined) return []
    if (only.key === 'when') return [`${formatRule(rule)} denies it ${only.wanted}.`]
    return only.key === 'except' ? [`${formatRule(rule)} denies it to ${only.wanted}.`] : []
  })

const maxNearest = 5

/** The allow rules that want the least, nearest first. */
const listNearest = (rules: readonly RuleTrace[]): readonly string[] => {
  const missing = rules
    .filter(({ kind }) => kind === 'allow')
    .map(({ rule, conditions }) => ({ rule, missed: conditions.filter(isMissed) }))
  const least = Math.min(...missing.map(({ missed }) => missed.length))
  const nearest = missing.filter(({ missed }) => missed.length === least)
  if (nearest.length === 0) return ['There is no rule that allows anything.']
  // Nothing in common but one of three or four things is near to nobody's ask.
  if (least > 2) return ['No rule comes near: one is needed that names who, host and login.']
  return nearest.slice(0, maxNearest).map(({ rule, missed }) => {
    const needs = missed.map(({ key, wanted, seen }) => `${key} needs ${wanted}; has ${seen}`)
    return `${formatRule(rule)} would decide, but ${needs.join(', and ')}.`
  })
}
