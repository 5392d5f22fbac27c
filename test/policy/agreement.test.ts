import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLookUp } from '../../src/identity/index.ts'
import { type Change, diffPolicies } from '../../src/policy/diff.ts'
import { explain } from '../../src/policy/explain.ts'
import { explainToCaller } from '../../src/policy/explain-caller.ts'
import type { Decision, Grant, Policy } from '../../src/policy/index.ts'
import { createMatcher } from '../../src/policy/match.ts'
import type { PolicyResult } from '../../src/policy/parse.ts'
import { compareVerdict, decideAgain, type StoredAsk } from '../../src/policy/replay.ts'
import { anyEdit, anyQuestion, plainPolicy } from './arbitraries.ts'
import { parse } from './kit.ts'
import { decideNaively, type NaiveMap, type NaiveQuestion } from './naive.ts'

/** 200 pairs of policies with 50 asks each are 10,000 of both. */
const pairs = 200
const asksEach = 50

type Loaded = Extract<PolicyResult, { readonly ok: true }>

const load = (file: NaiveMap): Loaded => {
  const result = parse(JSON.stringify(file))
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

/** A decision in the words of the naive evaluator. */
const simplify = (decision: Decision) => {
  if (decision.kind === 'deny') {
    const { kind, code, rule } = decision
    return { kind, code, ...(rule === undefined ? {} : { rule: rule.name }) }
  }
  const { ttlSeconds, principals, extensions, criticalOptions } = decision.grant
  const command = criticalOptions['force-command']
  return {
    kind: decision.kind,
    rule: decision.rule.name,
    grant: {
      ttlSeconds,
      principals,
      extensions: Object.keys(extensions).sort(),
      ...(command === undefined ? {} : { command }),
    },
  }
}

/** A shell runs any command: who may have it, and names a command in vain, is not refused for less. */
const decideShell = (policy: Policy, question: NaiveQuestion): Decision => {
  const decision = policy.evaluate(question)
  const { command, ...ask } = question.ask
  const isVain = decision.kind === 'deny' && decision.code === 'policy_denied'
  return isVain && command !== undefined ? policy.evaluate({ ...question, ask }) : decision
}

/** Whether the second decision gives anything that the first does not. */
const isWider = (before: Decision, after: Decision): boolean => {
  if (after.kind === 'deny') return false
  if (before.kind === 'deny') return true
  const [old, now] = [before.grant, after.grant]
  return (
    now.ttlSeconds > old.ttlSeconds ||
    now.principals.some((one) => !old.principals.includes(one)) ||
    Object.keys(now.extensions).some((one) => !Object.hasOwn(old.extensions, one)) ||
    (old.criticalOptions['force-command'] !== undefined &&
      now.criticalOptions['force-command'] !== old.criticalOptions['force-command'])
  )
}

const pickGrant = ({ ttlSeconds, principals, extensions, criticalOptions }: Grant) => ({
  ttlSeconds,
  principals,
  extensions,
  criticalOptions,
})

/** Quicker than an `expect` each, of which there would be a hundred thousand. */
const check = (what: string, holds: boolean): void => {
  if (!holds) throw new Error(`they disagree: ${what}`)
}

/** Whether a change speaks of a host and a login; of a login that a claim names, of any. */
const isAbout = ({ hosts, logins }: Change, { ask }: NaiveQuestion): boolean =>
  hosts.some((words) => {
    const [all = ''] = words.split(' but not ')
    return all.split(' and ').every((text) => createMatcher(text, { crossDots: true })(ask.host))
  }) && logins.some((login) => login === ask.login || login.includes('claim'))

const remember = (policy: Policy, question: NaiveQuestion): StoredAsk => {
  const { identity, ask, at, memberships } = question
  const decision = policy.evaluate(question)
  const questions = policy.listQuestions(identity, ask, at)
  return {
    ...question,
    lookUps: new Map(
      questions.map((one) => {
        const { question: asked, answer, ...ids } = formatLookUp(one, memberships)
        return [asked, { isActive: answer === 'active', ...ids }]
      }),
    ),
    before: {
      kind: decision.kind,
      ...(decision.kind === 'deny' ? { code: decision.code } : {}),
      ...(decision.rule === undefined ? {} : { rule: decision.rule.name }),
    },
  }
}

const asks = fc.array(anyQuestion, { minLength: asksEach, maxLength: asksEach })

describe('evaluate, explain, diff and replay agree, on 10,000 random policies and asks', () => {
  let asked = 0
  let allowed = 0
  let changed = 0
  let known = 0

  test('with each other, and with a second evaluator', () => {
    fc.assert(
      fc.property(anyEdit, asks, (files, questions) => {
        const [before, after] = [load(files.before), load(files.after)]
        const diff = diffPolicies(before, after)
        expect(diff.isWhole).toBe(true)
        for (const question of questions) {
          const decision = before.policy.evaluate(question)
          const now = after.policy.evaluate(question)
          asked++
          if (decision.kind === 'allow') allowed++

          const naive = decideNaively(files.before, question)
          check('evaluate and the naive evaluator', isDeepStrictEqual(simplify(decision), naive))

          const { rules, certificate, ...explained } = explain(before.policy, question)
          check('explain decides', isDeepStrictEqual(explained.decision, decision))
          const deciding = rules.filter(({ outcome }) => outcome === 'decides')
          const names = decision.rule === undefined ? [] : [decision.rule.name]
          check('explain names the rule', `${deciding.map(({ rule }) => rule.name)}` === `${names}`)
          const granted = certificate && pickGrant(certificate)
          const grant = decision.kind === 'allow' ? pickGrant(decision.grant) : undefined
          check('explain shows the certificate', isDeepStrictEqual(granted, grant))
          const told = explainToCaller(before.policy, question)
          check('explain to the caller', told.decision === decision.kind)

          const about = diff.changes.filter((change) => isAbout(change, question))
          const directions = about.map(({ direction }) => direction)
          const [old, later] = [before, after].map(({ policy }) =>
            decideShell(policy, question),
          ) as [Decision, Decision]
          if (isWider(old, later)) {
            changed++
            check('diff says that it widens', diff.widens)
            check(
              'diff says what is wider',
              directions.some((one) => one !== 'narrower'),
            )
          } else if (isWider(later, old)) {
            changed++
            check(
              'diff says what is narrower',
              directions.some((one) => one !== 'wider'),
            )
          }

          const stored = remember(before.policy, question)
          const same = compareVerdict(stored, decideAgain(before.policy, stored))
          check('replay by the same policy', same === 'same')
          const verdict = decideAgain(after.policy, stored)
          if (verdict.kind === 'unknown') continue
          known++
          check('replay decides', verdict.kind === now.kind)
          // Which of several rules denies may hang on what nobody needed to ask.
          const isSame = verdict.kind === 'deny' || verdict.rule.name === now.rule?.name
          check('replay names the rule', isSame)
        }
      }),
      { numRuns: pairs },
    )
  }, 60_000)

  test('and the asks were worth asking', () => {
    expect(asked).toBeGreaterThanOrEqual(pairs * asksEach)
    for (const count of [allowed, changed, known]) expect(count).toBeGreaterThan(asked / 100)
  })
})

// Where rules ask or grant differently, a rule that is gone may let a wider one behind it decide
// (DESIGN.md section 5: the first that is found decides). Then `diff` says so, as shown above.
describe('of rules that all ask and grant the same', () => {
  const rulesOf = (file: NaiveMap) => file['rules'] as readonly NaiveMap[]
  const without = (file: NaiveMap, at: number): NaiveMap => ({
    ...file,
    rules: rulesOf(file).filter((_, index) => index !== at),
  })
  const some = fc.array(anyQuestion, { minLength: 20, maxLength: 20 })

  const expectNotWider = (
    before: NaiveMap,
    after: NaiveMap,
    questions: readonly NaiveQuestion[],
  ) => {
    const [old, now] = [load(before), load(after)]
    expect(diffPolicies(old, now).widens).toBe(false)
    for (const question of questions) {
      expect(isWider(old.policy.evaluate(question), now.policy.evaluate(question))).toBe(false)
    }
  }

  test('one that allows and is gone never widens', () => {
    fc.assert(
      fc.property(plainPolicy, fc.nat(), some, (file, number, questions) => {
        const allows = [...rulesOf(file).keys()].filter(
          (at) => !('deny' in (rulesOf(file)[at] ?? {})),
        )
        fc.pre(allows.length > 0)
        expectNotWider(file, without(file, allows[number % allows.length] as number), questions)
      }),
      { numRuns: 100 },
    )
  })

  test('an entry that is gone, of who in one that allows or of except, never widens', () => {
    fc.assert(
      fc.property(plainPolicy, fc.nat(), some, (file, number, questions) => {
        const places = rulesOf(file).flatMap((rule, at) => {
          const key = 'deny' in rule ? 'except' : 'who'
          const entries = (rule[key] ?? []) as readonly NaiveMap[]
          return [...entries.keys()].map((index) => ({
            at,
            key,
            index,
            isLast: entries.length === 1,
          }))
        })
        const place = places[number % places.length]
        fc.pre(place !== undefined && !(place.isLast && place.key === 'who'))
        const { at, key, index, isLast } = place as (typeof places)[number]
        const rules = rulesOf(file).map((rule, one) => {
          if (one !== at) return rule
          const { [key]: entries, ...rest } = rule
          return isLast
            ? rest
            : { ...rest, [key]: (entries as readonly NaiveMap[]).toSpliced(index, 1) }
        })
        const left = { ...file, rules }
        // A login by a claim needs somebody with claims.
        fc.pre(parse(JSON.stringify(left)).ok)
        expectNotWider(file, left, questions)
      }),
      { numRuns: 100 },
    )
  })
})
