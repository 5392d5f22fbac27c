import type { Identity, MembershipQuestion, Memberships } from '../identity/index.ts'
import { type Decision, denyCodes, type Policy, type Question, type RuleRef } from './index.ts'
import type { WhoShape } from './who-schema.ts'

/** An ask as the log tells of it. */
export interface StoredAsk extends Omit<Question, 'memberships'> {
  /** What was asked of GitHub, and what it answered; by `formatMembership`. */
  readonly lookUps: ReadonlyMap<string, StoredAnswer>
  readonly before: StoredDecision
}

export interface StoredAnswer {
  readonly isActive: boolean
  readonly orgId?: string
  readonly teamId?: string
}

/** What became of it then. */
export interface StoredDecision {
  readonly kind: 'allow' | 'deny' | 'error'
  readonly code?: string
  readonly rule?: string
  /** Of the rule's `maxPerHour`, where it had one. */
  readonly most?: number
}

/** What would become of it now; unknown where the log does not tell what the answer hangs on. */
export type Verdict =
  | { readonly kind: 'allow'; readonly rule: RuleRef }
  | {
      readonly kind: 'deny'
      readonly code: string
      readonly rule?: RuleRef
      readonly reason: string
    }
  | { readonly kind: 'unknown'; readonly missing: string }

/**
 * How the two compare: `moved` is allowed by another rule, `undecided` was a failure of ours and no
 * decision. What is `unknown` is never counted as allowed.
 */
export type Comparison = 'same' | 'refused' | 'allowed' | 'moved' | 'unknown' | 'undecided'

/** A question to GitHub as the log writes it (identity/index.ts). */
export const formatMembership = (asked: MembershipQuestion): string => {
  switch (asked.kind) {
    case 'org':
      return `org ${asked.org}`
    case 'team':
      return `team ${asked.org}/${asked.team}`
    case 'orgId':
      return `org id ${asked.orgId}`
    case 'teamId':
      return `team id ${asked.orgId}/${asked.teamId}`
  }
}

/** More combinations of unknown answers than this are not tried. */
const maxCombinations = 64

/**
 * Every way in which GitHub could have answered what a policy asks about a person, as far as the log
 * tells; none where they are too many to try. `missing` are the questions whose answer is not known.
 */
export const listMemberships = (
  policy: Policy,
  stored: Pick<StoredAsk, 'identity' | 'ask' | 'at' | 'lookUps'>,
): { readonly all: readonly Memberships[]; readonly missing: readonly string[] } => {
  const { identity, ask, at } = stored
  const questions = policy.listQuestions(identity, ask, at)
  const choices = questions.map((question) => listAnswers(policy, question, stored))
  const count = choices.reduce((product, list) => product * list.length, 1)
  const missing = questions.filter((_, at) => (choices[at]?.length ?? 0) > 1).map(formatMembership)
  if (count > maxCombinations) return { all: [], missing }
  const all = Array.from({ length: count }, (_, at) => joinAnswers(questions, pick(choices, at)))
  return { all, missing }
}

/**
 * Decides a stored ask by another policy, from what stands in its entry alone. Where an answer of
 * GitHub's is missing, all that it could have been are tried: only if they agree is the verdict known.
 */
export const decideAgain = (policy: Policy, stored: StoredAsk): Verdict => {
  const { all, missing } = listMemberships(policy, stored)
  const unknown: Verdict = { kind: 'unknown', missing: missing.join(', ') }
  let verdict: Verdict | undefined
  for (const memberships of all) {
    const one = judge(policy.evaluate({ ...stored, memberships }), stored)
    if (one.kind === 'unknown') return one
    if (verdict !== undefined && !isSame(verdict, one)) return unknown
    verdict = one
  }
  return verdict ?? unknown
}

const isSame = (a: Verdict, b: Verdict): boolean =>
  a.kind === b.kind &&
  (a.kind === 'unknown' || b.kind === 'unknown' || a.rule?.name === b.rule?.name)

/** A decision as far as it can be known: what lies beyond the policy is not asked again. */
const judge = (decision: Decision, { before }: StoredAsk): Verdict => {
  if (decision.kind === 'deny') {
    const { code, rule, reason } = decision
    return { kind: 'deny', code, reason, ...(rule === undefined ? {} : { rule }) }
  }
  const { rule, maxPerHour: most } = decision
  const wasAllowed = before.kind === 'allow' && before.rule === rule.name
  if (most !== undefined && !(wasAllowed && before.most !== undefined && before.most <= most)) {
    return { kind: 'unknown', missing: `how many rule ${rule.name} had issued in that hour` }
  }
  if (before.kind === 'deny' && !isPolicys(before.code)) {
    return { kind: 'unknown', missing: `whether ${before.code} would refuse it again` }
  }
  return { kind: 'allow', rule }
}

/** Refusals that hang on what this or another policy says. */
const isPolicys = (code: string | undefined): boolean =>
  ([...denyCodes, 'quota_exceeded'] as readonly (string | undefined)[]).includes(code)

/** Compares what became of an ask with what would. */
export const compareVerdict = ({ before }: StoredAsk, now: Verdict): Comparison => {
  if (before.kind === 'error') return 'undecided'
  if (now.kind === 'unknown') return 'unknown'
  if (before.kind !== now.kind) return now.kind === 'allow' ? 'allowed' : 'refused'
  return now.kind === 'deny' || before.rule === now.rule.name ? 'same' : 'moved'
}

type Answer = { readonly isActive: false } | Required<StoredAnswer>

/** No pin of a policy is this. */
const unlisted = '\u0000'

/** What GitHub answered; or everything that it could have, as far as the policy tells it apart. */
const listAnswers = (
  policy: Policy,
  question: MembershipQuestion,
  { identity, lookUps }: Pick<StoredAsk, 'identity' | 'lookUps'>,
): readonly Answer[] => {
  const stored = lookUps.get(formatMembership(question))
  if (stored?.isActive === false) return [{ isActive: false }]
  if (question.kind === 'orgId' || question.kind === 'teamId') {
    const { orgId } = question
    const teamId = question.kind === 'teamId' ? question.teamId : undefined
    const active = { isActive: true, orgId, teamId: teamId ?? unlisted } as const
    // An answer by name tells the id as well; that there was none of a name tells nothing of an id.
    const isKnown = [...lookUps.values()].some(
      (one) => one.isActive && one.orgId === orgId && (teamId ?? one.teamId) === one.teamId,
    )
    return isKnown ? [active] : [{ isActive: false }, active]
  }
  const isTeam = question.kind === 'team'
  const { orgId, teamId } = stored ?? {}
  if (orgId !== undefined && (teamId !== undefined || !isTeam)) {
    return [{ isActive: true, orgId, teamId: teamId ?? unlisted }]
  }
  const pins = listPins(policy, identity, question)
  const orgIds = orgId === undefined ? [unlisted, ...pins.orgIds] : [orgId]
  const teamIds = !isTeam ? [unlisted] : [unlisted, ...pins.teamIds]
  const active = orgIds.flatMap((org) =>
    teamIds.map((team) => ({ isActive: true as const, orgId: org, teamId: team })),
  )
  return stored === undefined ? [{ isActive: false }, ...active] : active
}

type NamedQuestion = Extract<MembershipQuestion, { readonly org: string }>

/** The ids that rules ask of an organisation or a team. */
const listPins = (policy: Policy, identity: Identity, question: NamedQuestion) => {
  const orgIds = new Set<string>()
  const teamIds = new Set<string>()
  const note = (entry: WhoShape) => {
    if (typeof entry === 'string' || !('github' in entry)) return
    const { org, team, orgId, teamId } = entry.github
    const names = [org, team?.split('/')[0]].map((name) => name?.toLowerCase())
    if (orgId !== undefined && names.includes(question.org)) orgIds.add(orgId)
    const path = question.kind === 'team' ? `${question.org}/${question.team}` : undefined
    if (teamId !== undefined && team?.toLowerCase() === path) teamIds.add(teamId)
  }
  if (identity.kind === 'github') {
    for (const rule of policy.rules) {
      for (const entry of rule.people) note(entry)
      if (rule.kind === 'deny') for (const entry of rule.spared) note(entry)
    }
  }
  return { orgIds, teamIds }
}

/** The combination with a number: one of each list. */
const pick = <T>(lists: readonly (readonly T[])[], number: number): readonly T[] => {
  let rest = number
  return lists.map((list) => {
    const item = list[rest % list.length] as T
    rest = Math.floor(rest / list.length)
    return item
  })
}

const joinAnswers = (
  questions: readonly MembershipQuestion[],
  answers: readonly Answer[],
): Memberships => {
  const found = questions.flatMap((question, at) => {
    const answer = answers[at]
    return answer?.isActive === true ? [{ question, answer }] : []
  })
  return {
    orgs: found.flatMap(({ question, answer }) =>
      question.kind === 'org' || question.kind === 'orgId'
        ? [{ login: 'org' in question ? question.org : unlisted, id: answer.orgId }]
        : [],
    ),
    teams: found.flatMap(({ question, answer }) => {
      if (question.kind === 'org' || question.kind === 'orgId') return []
      const { org, team: slug } =
        question.kind === 'team' ? question : { org: unlisted, team: unlisted }
      return [{ org, orgId: answer.orgId, slug, id: answer.teamId }]
    }),
  }
}

/** What a replay has found so far, of as many asks as there were. */
export interface Replay {
  add(stored: StoredAsk): { readonly comparison: Comparison; readonly verdict: Verdict }
  readonly counts: Readonly<Record<Comparison, number>>
  /** The rules by which no ask was decided. */
  listUnused(): readonly RuleRef[]
}

/** Decides asks by a policy one after another, and keeps count. */
export const createReplay = (policy: Policy): Replay => {
  const counts = { same: 0, refused: 0, allowed: 0, moved: 0, unknown: 0, undecided: 0 }
  const used = new Set<string>()
  return {
    counts,
    add(stored) {
      const verdict = decideAgain(policy, stored)
      const comparison = compareVerdict(stored, verdict)
      counts[comparison]++
      if (verdict.kind !== 'unknown' && verdict.rule !== undefined) used.add(verdict.rule.name)
      return { comparison, verdict }
    },
    listUnused: () => policy.rules.flatMap(({ ref }) => (used.has(ref.name) ? [] : [ref])),
  }
}
