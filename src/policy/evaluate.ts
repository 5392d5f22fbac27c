import type { Identity, MembershipQuestion } from '../identity/index.ts'
import { formatDuration } from '../lib/duration.ts'
import { isHostName, isLogin, isPrincipal } from '../lib/names.ts'
import type { AllowRule, DenyRule, Rule } from './compile.ts'
import type { Ask, Decision, Grant, Policy, Question } from './index.ts'
import { createHostIndex } from './match.ts'
import { createMoment, type Moment } from './when.ts'
import { createNaming, createNeeding, formatWho, type Need, type Who } from './who.ts'

export interface Evaluator extends Pick<Policy, 'evaluate' | 'listQuestions'> {
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
    evaluate({ identity, memberships, ask, at }) {
      const person = formatWho(identity)
      if (!isHostName(ask.host) || !isLogin(ask.login)) {
        return {
          kind: 'deny',
          reason: 'Write the host and the login in their canonical form.',
          detail: `the ask is not canonical; this person is ${person}`,
        }
      }
      const moment = createMoment(at)
      const isNamed = createNaming(identity, memberships)

      for (const rule of findDenies(ask.host)) {
        if (!isSelected(rule, ask, identity, moment)) continue
        if (!isNamed(rule.who) || isNamed(rule.except)) continue
        const { ref, sentence } = rule
        const detail = `${place(rule)} denies it; this person is ${person}`
        return { kind: 'deny', rule: ref, reason: sentence, detail }
      }

      const candidates = findAllows(ask.host)
      for (const rule of candidates) {
        if (!isSelected(rule, ask, identity, moment) || !isNamed(rule.who)) continue
        return decide(rule, ask, person)
      }
      return refuse(candidates, ask, identity, isNamed, person)
    },

    listQuestions(identity, ask, at) {
      // Nobody else is asked about: most callers pay nothing here.
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

    isTimed({ identity, memberships, ask }) {
      const isNamed = createNaming(identity, memberships)
      return [...findDenies(ask.host), ...findAllows(ask.host)].some(
        (rule) => rule.when !== undefined && rule.isLogin(ask.login, identity) && isNamed(rule.who),
      )
    },
  }
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

const dropDoubles = (questions: readonly MembershipQuestion[]): readonly MembershipQuestion[] => [
  ...new Map(questions.map((question) => [JSON.stringify(question), question])).values(),
]

const place = ({ ref }: AllowRule | DenyRule): string =>
  `rule ${ref.name} (${ref.file}:${ref.line})`

/** The rule has been found: what it asks for is met, or refused with what is missing. */
const decide = (rule: AllowRule, ask: Ask, person: string): Decision => {
  const deny = (reason: string, detail: string): Decision => ({
    kind: 'deny',
    rule: rule.ref,
    reason,
    detail: `${place(rule)} decides, but ${detail}; this person is ${person}`,
  })
  const names = [...rule.commands.keys()]
  const command = ask.command === undefined ? undefined : rule.commands.get(ask.command)
  if (names.length === 0 && ask.command !== undefined) {
    return deny(
      'There are no commands for this login: leave the command out.',
      'it has no commands',
    )
  }
  if (names.length > 0 && command === undefined) {
    return deny(
      `Ask for one of the commands: ${names.join(', ')}.`,
      'no command of its was asked for',
    )
  }
  const most = rule.maxTtlSeconds
  const ttlSeconds = ask.ttlSeconds ?? rule.ttlSeconds
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > most) {
    return deny(
      `Ask for a ttl of at most ${formatDuration(most)}.`,
      `${ttlSeconds} s were asked for and it gives ${most} s at most`,
    )
  }
  const principals = rule.principals.map((template) =>
    template.replaceAll(/\{(login|host)\}/g, (_, key: 'login' | 'host') => ask[key]),
  )
  if (!principals.every(isPrincipal)) {
    return deny('The host name is too long for the principal it needs.', 'a principal is too long')
  }
  return {
    kind: 'allow',
    rule: rule.ref,
    grant: createGrant(rule, principals, ttlSeconds, command),
  }
}

const createGrant = (
  rule: AllowRule,
  principals: readonly string[],
  ttlSeconds: number,
  command: string | undefined,
): Grant =>
  Object.freeze({
    principals: Object.freeze([...new Set(principals)].sort()),
    ttlSeconds,
    outliveToken: rule.outliveToken,
    criticalOptions: Object.freeze({
      ...(command === undefined ? {} : { 'force-command': command }),
      ...(rule.sourceAddresses === undefined ? {} : { 'source-address': rule.sourceAddresses }),
    }),
    extensions: Object.freeze(Object.fromEntries(rule.extensions.map((name) => [name, '']))),
  })

/**
 * No rule was found. The caller hears only of rules that name the caller; the log hears which rule
 * came nearest and how this person would be named in it.
 */
const refuse = (
  candidates: readonly AllowRule[],
  ask: Ask,
  identity: Identity,
  isNamed: (who: Who) => boolean,
  person: string,
): Decision => {
  const { host, login } = ask
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
        : `No rule lets you log in to ${host} as ${login}.`

  const nearest = late ?? mine[0]?.rule ?? looked.find(({ taken }) => taken)?.rule ?? candidates[0]
  const why =
    nearest === undefined
      ? 'no rule names this host'
      : `no rule holds; the nearest, ${place(nearest)}, fails on ${
          late !== undefined ? 'when' : mine.length > 0 ? 'logins' : 'who'
        }`
  return { kind: 'deny', reason, detail: `${why}; this person is ${person}` }
}
