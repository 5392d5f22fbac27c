import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLookUp } from '../../src/identity/index.ts'
import { type Change, diffPolicies } from '../../src/policy/diff.ts'
import { explain } from '../../src/policy/explain.ts'
import { explainToCaller } from '../../src/policy/explain-caller.ts'
import type { Decision, Grant, Policy } from '../../src/policy/index.ts'
import { createMatcher } from '../../src/policy/match.ts'
import { compareVerdict, decideAgain, type StoredAsk } from '../../src/policy/replay.ts'
import { anyEdit, anyQuestion } from './arbitraries.ts'
import { decideShell, isWider, load, simplify } from './compare.ts'
import { decideNaively, type NaiveQuestion } from './naive.ts'

/**
 * 200 pairs of policies with 50 asks each are 10,000 of both. The long form asks one thing of each of
 * 10,000 pairs, in two minutes:
 * `AGREEMENT_PAIRS=10000 npm test -- test/policy/agreement.test.ts`
 */
const pairs = Number(process.env['AGREEMENT_PAIRS'] ?? 200)
const asksEach = Math.max(1, Math.round(10_000 / pairs))

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

  test(
    'with each other, and with a second evaluator',
    () => {
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
            check(
              'explain names the rule',
              `${deciding.map(({ rule }) => rule.name)}` === `${names}`,
            )
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
    },
    pairs * 600,
  )

  test('and the asks were worth asking', () => {
    expect(asked).toBeGreaterThanOrEqual(pairs * asksEach)
    for (const count of [allowed, changed, known]) expect(count).toBeGreaterThan(asked / 100)
  })
})
