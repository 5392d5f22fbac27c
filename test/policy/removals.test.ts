import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffPolicies } from '../../src/policy/diff.ts'
import type { Decision, Policy } from '../../src/policy/index.ts'
import { anyPolicy, anyQuestion, plainPolicy } from './arbitraries.ts'
import { decideShell, isWider, load, simplify } from './compare.ts'
import { parse } from './kit.ts'
import type { NaiveMap, NaiveQuestion } from './naive.ts'

// The first rule that is found decides (DESIGN.md section 5), so one that is gone lets the next one
// decide, which may ask for less or grant more. What stays true of whatever is taken out stands here.

const rulesOf = (file: NaiveMap) => file['rules'] as readonly NaiveMap[]

/** A file with something taken out, and the rule it was taken out of. */
interface Removal {
  readonly name: string
  readonly file: NaiveMap
}

/** Rules by their place, that of a rule alone where one is meant. */
const listPlaces = (file: NaiveMap, only: string | undefined) =>
  [...rulesOf(file).entries()].filter(([at]) => only === undefined || only === `r${at}`)

/** Without one of its allow rules. */
const dropAllow = (file: NaiveMap, number: number, only?: string): Removal | undefined => {
  const places = listPlaces(file, only).flatMap(([at, rule]) => ('deny' in rule ? [] : [at]))
  const place = places[number % places.length]
  if (place === undefined) return undefined
  const rules = rulesOf(file).filter((_, at) => at !== place)
  return { name: `r${place}`, file: { ...file, rules } }
}

/** Without one entry of the `who` of a rule that allows, or of `except`. */
const dropEntry = (file: NaiveMap, number: number, only?: string): Removal | undefined => {
  const places = listPlaces(file, only).flatMap(([at, rule]) => {
    const key = 'deny' in rule ? 'except' : 'who'
    const entries = (rule[key] ?? []) as readonly NaiveMap[]
    return [...entries.keys()].map((index) => ({ at, key, index, isLast: entries.length === 1 }))
  })
  const place = places[number % places.length]
  if (place === undefined || (place.isLast && place.key === 'who')) return undefined
  const { at, key, index, isLast } = place
  const rules = rulesOf(file).map((rule, one) => {
    if (one !== at) return rule
    const { [key]: entries, ...rest } = rule
    return isLast ? rest : { ...rest, [key]: (entries as readonly NaiveMap[]).toSpliced(index, 1) }
  })
  const left = { ...file, rules }
  // A login by a claim needs somebody with claims.
  return parse(JSON.stringify(left)).ok ? { name: `r${at}`, file: left } : undefined
}

const removals = [
  ['an allow rule', dropAllow],
  ['an entry of who in an allow rule, or of except,', dropEntry],
] as const
const some = fc.array(anyQuestion, { minLength: 20, maxLength: 20 })

/** The allow rules that speak of a question, where none denies it: who may be what where, before gating. */
const listReaching = (policy: Policy, question: NaiveQuestion): readonly string[] => {
  const examine = policy.createExaminer(question)
  const speaking = policy.rules.filter((rule) =>
    examine(rule).every(({ part, isMet }) => part !== 'selects' || isMet),
  )
  return speaking.some(({ kind }) => kind === 'deny') ? [] : speaking.map(({ ref }) => ref.name)
}

describe.each(removals)('of any rules: %s that is taken out', (_what, remove) => {
  const check = (
    holds: (given: {
      readonly name: string
      readonly old: ReturnType<typeof load>
      readonly now: ReturnType<typeof load>
      readonly question: NaiveQuestion
    }) => void,
  ) => {
    fc.assert(
      fc.property(anyPolicy, fc.nat(), some, (file, number, questions) => {
        const old = load(file)
        // One that decides something, where there is one: else little changes.
        const decided = questions.flatMap((one) => old.policy.evaluate(one).rule?.name ?? [])
        const removal = remove(file, number, decided[0]) ?? remove(file, number)
        fc.pre(removal !== undefined)
        const { name, file: left } = removal as Removal
        const now = load(left)
        for (const question of questions) holds({ name, old, now, question })
      }),
      { numRuns: 60 },
    )
  }

  test('lets nobody be anything anywhere that no rule let them be before', () => {
    check(({ old, now, question }) => {
      const before = listReaching(old.policy, question)
      for (const rule of listReaching(now.policy, question)) expect(before).toContain(rule)
    })
  })

  test('changes only what its own rule decides; widens only by the next that named them, and diff says so', () => {
    let widened = 0
    const known = new Map<object, boolean>()
    check(({ name, old, now, question }) => {
      const [before, after] = [old, now].map(({ policy }) => decideShell(policy, question)) as [
        Decision,
        Decision,
      ]
      const isOurs = before.rule?.name === name || after.rule?.name === name
      if (!isOurs) expect(simplify(after)).toEqual(simplify(before))
      if (!isWider(before, after)) return
      widened++
      expect(listReaching(old.policy, question).slice(0, 2)).toEqual([name, after.rule?.name])
      const widens = known.get(now) ?? diffPolicies(old, now).widens
      known.set(now, widens)
      expect(widens).toBe(true)
    })
    if (remove === dropAllow) expect(widened).toBeGreaterThan(0)
  })
})

describe.each(removals)('of rules that all ask and grant the same: %s', (_what, remove) => {
  test('that is taken out never widens', () => {
    fc.assert(
      fc.property(plainPolicy, fc.nat(), some, (file, number, questions) => {
        const removal = remove(file, number)
        fc.pre(removal !== undefined)
        const [old, now] = [load(file), load((removal as Removal).file)]
        expect(diffPolicies(old, now).widens).toBe(false)
        for (const question of questions) {
          expect(isWider(old.policy.evaluate(question), now.policy.evaluate(question))).toBe(false)
        }
      }),
      { numRuns: 100 },
    )
  })
})
