import { fromSeconds, toSeconds } from '../lib/clock.ts'
import type { Condition, Decision, Grant, Policy, Question, Rule, RuleRef } from './index.ts'
import { createHostIndex } from './match.ts'

/** One rule, as it was looked at. */
export interface RuleTrace {
  readonly rule: RuleRef
  readonly kind: Rule['kind']
  /** `decides`; `passed`: not all of its selectors hold; `unread`: behind the one that decides. */
  readonly outcome: 'decides' | 'passed' | 'unread'
  /** Looked at when it is read: of ten thousand rules most are never asked. */
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
  /** Every rule, in the order in which they are read. Made when it is read. */
  readonly rules: readonly RuleTrace[]
  /** Those that name the host. */
  readonly near: readonly RuleTrace[]
  /** What would change the answer, a sentence each. */
  readonly advice: readonly string[]
  /** There where the answer is yes. */
  readonly certificate?: Preview
}

/** A rule by its name and place: `rule deploy (web.yaml:4)`. */
export const formatRule = ({ name, file, line }: RuleRef): string =>
  `rule ${name} (${file}:${line})`

type Examine = ReturnType<Policy['createExaminer']>

const isMissed = ({ part, isMet }: Condition): boolean => part === 'selects' && !isMet

/**
 * Explains a decision by the conditions it is made of. Pure like `evaluate`, and nothing is issued:
 * there is no key here to certify.
 */
export const explain = (policy: Policy, question: Question): Explanation => {
  const decision = policy.evaluate(question)
  const examine = policy.createExaminer(question)
  const trace = createTracer(examine, decision)
  const named = findNear(policy)(question.ask.host)
  const near = trace(named)
  return {
    decision,
    near,
    get rules() {
      return trace(policy.rules)
    },
    advice: listAdvice(decision, near, () =>
      listNearest([...new Set([...policy.rules.slice(0, maxLooked), ...named])], examine),
    ),
    ...(decision.kind === 'allow' ? { certificate: createPreview(decision.grant, question) } : {}),
  }
}

/** Traces rules that are given in the order in which they are read. */
const createTracer =
  (examine: Examine, decision: Decision) =>
  (rules: readonly Rule[]): readonly RuleTrace[] => {
    let isDecided = false
    return rules.map((rule) => {
      const decides = decision.rule !== undefined && rule.ref.name === decision.rule.name
      const outcome = decides ? 'decides' : isDecided ? 'unread' : 'passed'
      isDecided ||= decides
      let looked: readonly Condition[] | undefined
      return {
        rule: rule.ref,
        kind: rule.kind,
        outcome,
        get conditions() {
          looked ??= examine(rule)
          return looked
        },
      }
    })
  }

const finders = new WeakMap<Policy, (host: string) => readonly Rule[]>()

/** Finds the rules of a policy that name a host, in their order; made once for each policy. */
export const findNear = (policy: Policy): ((host: string) => readonly Rule[]) => {
  const known = finders.get(policy)
  if (known !== undefined) return known
  const finds = (['deny', 'allow'] as const).map((kind) => {
    const rules = policy.rules.filter((rule) => rule.kind === kind)
    const lists = rules.map(({ hosts }) => hosts)
    const find = createHostIndex(lists, { crossDots: kind === 'deny' })
    return (host: string) => find(host).map((at) => rules[at] as Rule)
  })
  const find = (host: string) => finds.flatMap((one) => one(host))
  finders.set(policy, find)
  return find
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

const listAdvice = (
  decision: Decision,
  near: readonly RuleTrace[],
  listClosest: () => readonly string[],
): readonly string[] => {
  const deciding = near.find(({ outcome }) => outcome === 'decides')
  if (deciding === undefined) return listClosest()
  if (deciding.kind === 'deny') return listWaysPast(deciding)
  if (decision.kind === 'deny') {
    return deciding.conditions.flatMap(({ reason }) => (reason === undefined ? [] : [reason]))
  }
  const when = deciding.conditions.find(({ key }) => key === 'when')
  const next = near.find(
    (trace) =>
      trace.outcome === 'unread' && trace.kind === 'allow' && !trace.conditions.some(isMissed),
  )
  return [
    ...(when === undefined ? [] : [`It holds only ${when.wanted}.`]),
    ...listNearDenials(near),
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
const listNearDenials = (near: readonly RuleTrace[]): readonly string[] =>
  near.flatMap((trace) => {
    if (trace.kind !== 'deny') return []
    const missed = trace.conditions.filter(isMissed)
    const [only] = missed
    if (missed.length !== 1 || only === undefined) return []
    if (only.key === 'when') return [`${formatRule(trace.rule)} denies it ${only.wanted}.`]
    return only.key === 'except' ? [`${formatRule(trace.rule)} denies it to ${only.wanted}.`] : []
  })

const maxNearest = 5
/** Of the rules that do not name the host, as many as are looked at for one that comes near. */
const maxLooked = 300

/**
 * The allow rules that want the least: of those that name the host, and of the first few hundred
 * whatever they name.
 */
const listNearest = (rules: readonly Rule[], examine: Examine): readonly string[] => {
  const missing = rules
    .filter(({ kind }) => kind === 'allow')
    .map((rule) => ({ rule: rule.ref, missed: examine(rule, 'selects').filter(isMissed) }))
  if (missing.length === 0) return ['No rule that allows anything names this host.']
  const least = Math.min(...missing.map(({ missed }) => missed.length))
  // Nothing in common but one of three or four things is near to nobody's ask.
  if (least > 2) return ['No rule comes near: one is needed that names who, host and login.']
  return missing
    .filter(({ missed }) => missed.length === least)
    .slice(0, maxNearest)
    .map(({ rule, missed }) => {
      const needs = missed.map(({ key, wanted, seen }) => `${key} needs ${wanted}; has ${seen}`)
      return `${formatRule(rule)} would decide, but ${needs.join(', and ')}.`
    })
}
