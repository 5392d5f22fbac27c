import type { Identity, MembershipQuestion } from '../identity/index.ts'
import { fromSeconds, toSeconds } from '../lib/clock.ts'
import { isHostName, isLogin } from '../lib/names.ts'
import { expandPrincipals, formatCallerBlock } from './conditions.ts'
import type { Ask, Condition, Decision, Grant, Policy, Question } from './index.ts'
import { createHostIndex } from './match.ts'
import type { AllowRule, Clause, DenyRule, Facts, Requirement, Rule } from './rule.ts'
import { createMoment, type Moment } from './when.ts'
import { createNaming, createNeeding, dropDoubles, formatWho, type Need, type Who } from './who.ts'

export interface Evaluator
  extends Pick<Policy, 'rules' | 'evaluate' | 'listQuestions' | 'createExaminer'> {
  /** Whether a rule with a `when` names this person, host and login: then the time matters. */
  isTimed(question: Omit<Question, 'at'>): boolean
}

/**
 * The rules, in the order of their files, as one pure function. Deny rules are read first, wherever
 * they stand; then the first allow rule whose who, hosts, logins and when all hold decides, and what
 * it asks for beyond that is met or refused: a later rule is never tried in its place.
 */
export const createEvaluator = (rules: readonly Rule[]): Evaluator => {
  const denies = rules.filter((rule) => rule.kind === 'deny')
  const allows = rules.filter((rule) => rule.kind === 'allow')
  const findDenies = createFinder(denies, { crossDots: true })
  const findAllows = createFinder(allows, { crossDots: false })

  return {
    rules: Object.freeze([...denies, ...allows]),

    evaluate(question) {
      const { identity, ask } = question
      if (!isHostName(ask.host) || !isLogin(ask.login)) {
        return {
          kind: 'deny',
          code: 'policy_denied',
          reason: 'Write the host and the login in their canonical form.',
          detail: `the ask is not canonical; this person is ${formatWho(identity)}`,
        }
      }
      const facts = createFacts(question)
      const { moment, isNamed, mayBeNamed } = facts

      for (const rule of findDenies(ask.host)) {
        if (!isSelected(rule, ask, identity, moment)) continue
        if (!mayBeNamed(rule.who) || isNamed(rule.except)) continue
        const { ref, sentence } = rule
        const why = isNamed(rule.who) ? '' : ', for the token does not tell the groups'
        const detail = `${place(rule)} denies it${why}; this person is ${formatWho(identity)}`
        return { kind: 'deny', code: 'policy_denied', rule: ref, reason: sentence, detail }
      }

      const candidates = findAllows(ask.host)
      for (const rule of candidates) {
        if (!isSelected(rule, ask, identity, moment) || !isNamed(rule.who)) continue
        return decide(rule, facts)
      }
      return refuse(candidates, facts)
    },

    listQuestions(identity, ask, at) {
      if (identity.kind !== 'github') return []
      const moment = createMoment(at)
      const findNeed = createNeeding(identity)
      const questions: MembershipQuestion[] = []
      const open = (rules: readonly (DenyRule | AllowRule)[]) =>
        rules.filter((rule) => isSelected(rule, ask, identity, moment))

      for (const rule of open(findDenies(ask.host)) as readonly DenyRule[]) {
        const need = findDenyNeed(rule, findNeed)
        // Denied whatever GitHub says: nothing more can matter.
        if (need === true) return []
        if (need !== false) questions.push(...need)
      }
      for (const rule of open(findAllows(ask.host))) {
        const need = findNeed(rule.who)
        // This rule decides at the latest; those behind it are never read.
        if (need === true) break
        if (need !== false) questions.push(...need)
      }
      return dropDoubles(questions)
    },

    createExaminer(question) {
      const facts = createFacts(question)
      return (rule, part) => [
        ...rule.selectors.map((clause) => look(clause, 'selects', facts)),
        ...(rule.kind === 'deny' || part === 'selects' ? [] : rule.requirements).map(
          (requirement) => ({
            ...look(requirement, 'requires', facts),
            ...describeMiss(requirement, facts),
          }),
        ),
      ]
    },

    isTimed({ identity, memberships, ask }) {
      const isNamed = createNaming(identity, memberships)
      return [...findDenies(ask.host), ...findAllows(ask.host)].some(
        (rule) => rule.when !== undefined && rule.isLogin(ask.login, identity) && isNamed(rule.who),
      )
    },
  }
}

const createFacts = (question: Question): Facts => {
  const { identity, memberships, at } = question
  const isNamed = createNaming(identity, memberships)
  const mayBeNamed =
    identity.groupsProblem === undefined ? isNamed : createNaming(identity, memberships, true)
  return { ...question, moment: createMoment(at), isNamed, mayBeNamed }
}

const look = (clause: Clause, part: Condition['part'], facts: Facts): Condition => ({
  key: clause.key,
  part,
  isMet: clause.isMet(facts),
  // Words are made for those who read them: of hundreds of rules few come near.
  get wanted() {
    return clause.describe()
  },
  get seen() {
    return clause.see(facts)
  },
})

const describeMiss = (requirement: Requirement, facts: Facts) => {
  if (requirement.isMet(facts)) return {}
  const { code, reason } = requirement.refuse(facts)
  return { code, reason }
}

const createFinder = <T extends AllowRule | DenyRule>(
  rules: readonly T[],
  options: { readonly crossDots: boolean },
): ((host: string) => readonly T[]) => {
  const find = createHostIndex(
    rules.map(({ hosts }) => hosts),
    options,
  )
  return (host) => find(host).map((index) => rules[index] as T)
}

/** The selectors that need no look at memberships; the host has been found by the index. */
const isSelected = (
  rule: AllowRule | DenyRule,
  { login }: Ask,
  identity: Identity,
  moment: Moment,
): boolean => rule.isLogin(login, identity) && (rule.when?.holds(moment) ?? true)

const findDenyNeed = ({ who, except }: DenyRule, findNeed: (who: Who) => Need): Need => {
  const named = findNeed(who)
  if (named === false) return false
  const spared = findNeed(except)
  if (spared === true) return false
  const questions = [named, spared].flatMap((need) => (typeof need === 'boolean' ? [] : need))
  return questions.length === 0 ? true : questions
}

const place = ({ ref }: AllowRule | DenyRule): string =>
  `rule ${ref.name} (${ref.file}:${ref.line})`

/** The rule has been found: what it asks for is met, or refused with everything that is missing. */
const decide = (rule: AllowRule, facts: Facts): Decision => {
  const missing = rule.requirements.filter((requirement) => !requirement.isMet(facts))
  if (missing.length > 0) return refuseFor(missing, rule, facts)
  return {
    kind: 'allow',
    rule: rule.ref,
    grant: createGrant(rule, facts),
    ...(rule.maxPerHour === undefined ? {} : { maxPerHour: rule.maxPerHour }),
    ...(rule.alert ? { alert: true } : {}),
  }
}

const refuseFor = (missing: readonly Requirement[], rule: AllowRule, facts: Facts): Decision => {
  const refusals = missing.map((requirement) => requirement.refuse(facts))
  const details = refusals.map(({ detail }) => detail).join(', and ')
  return {
    kind: 'deny',
    code: (refusals[0] as (typeof refusals)[number]).code,
    rule: rule.ref,
    reason: refusals.map(({ reason }) => reason).join(' '),
    detail: `${place(rule)} decides, but ${details}; this person is ${formatWho(facts.identity)}`,
  }
}

const createGrant = (rule: AllowRule, { ask, at, address }: Facts): Grant => {
  const command = ask.command === undefined ? undefined : rule.commands.get(ask.command)
  const sources =
    rule.sourceAddresses === 'caller' ? formatCallerBlock(address) : rule.sourceAddresses
  const extensions: Record<string, string> = {}
  for (const [name, value] of rule.extensions) {
    extensions[name] = value.replaceAll('{login}', () => ask.login)
  }
  return Object.freeze({
    principals: Object.freeze(expandPrincipals(rule.principals, ask)),
    ...limitTtl(rule, ask.ttlSeconds ?? rule.ttlSeconds, at),
    outliveToken: rule.outliveToken,
    criticalOptions: Object.freeze({
      ...(command === undefined ? {} : { 'force-command': command }),
      ...(sources === undefined ? {} : { 'source-address': sources }),
    }),
    extensions: Object.freeze(extensions),
  })
}

/**
 * A certificate ends with the time its rule speaks of. Nobody can know the seconds that are left, so
 * the ttl is cut, asked for or not, and the cut is told, as with the token's end.
 */
const limitTtl = (
  { when }: AllowRule,
  ttlSeconds: number,
  at: Date,
): Pick<Grant, 'ttlSeconds' | 'shortenedBy'> => {
  const now = toSeconds(at)
  const end = when?.findEnd(at, fromSeconds(now + ttlSeconds))
  return end === undefined
    ? { ttlSeconds }
    : { ttlSeconds: toSeconds(end) - now, shortenedBy: 'when' }
}

/**
 * No rule was found. The caller hears only of rules that name the caller; the log hears which rule
 * came nearest and how this person would be named in it.
 */
const refuse = (
  candidates: readonly AllowRule[],
  { ask: { host, login }, identity, isNamed }: Facts,
): Decision => {
  const looked = candidates.map((rule) => ({
    rule,
    named: isNamed(rule.who),
    taken: rule.isLogin(login, identity),
  }))
  const mine = looked.filter(({ named }) => named)
  const late = mine.find(({ taken }) => taken)?.rule
  const logins = new Set(mine.flatMap(({ rule }) => rule.listLogins(identity)).filter(isLogin))

  const reason =
    late !== undefined
      ? `You may log in to ${host} as ${login} only ${late.when?.words}.`
      : logins.size > 0
        ? `No rule lets you log in to ${host} as ${login}: there you may be ${[...logins].sort().join(', ')}.`
        : `No rule lets you log in to ${host} as ${login}. POST /v1/explain says which groups would matter, and an administrator can add a rule.`

  const nearest = late ?? mine[0]?.rule ?? looked.find(({ taken }) => taken)?.rule ?? candidates[0]
  const why =
    nearest === undefined
      ? 'no rule names this host'
      : `no rule holds; the nearest, ${place(nearest)}, fails on ${
          late !== undefined ? 'when' : mine.length > 0 ? 'logins' : 'who'
        }`
  const detail = `${why}; this person is ${formatWho(identity)}`
  return { kind: 'deny', code: 'policy_denied', reason, detail }
}
