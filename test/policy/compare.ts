import type { Decision, Policy } from '../../src/policy/index.ts'
import type { PolicyResult } from '../../src/policy/parse.ts'
import { parse } from './kit.ts'
import type { NaiveMap, NaiveQuestion } from './naive.ts'

// What properties of whole policies compare decisions by.

export type Loaded = Extract<PolicyResult, { readonly ok: true }>

/** A file that must load, as data. */
export const load = (file: NaiveMap): Loaded => {
  const result = parse(JSON.stringify(file))
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

/** A decision in the words of the naive evaluator. */
export const simplify = (decision: Decision) => {
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
export const decideShell = (policy: Policy, question: NaiveQuestion): Decision => {
  const decision = policy.evaluate(question)
  const { command, ...ask } = question.ask
  const isVain = decision.kind === 'deny' && decision.code === 'policy_denied'
  return isVain && command !== undefined ? policy.evaluate({ ...question, ask }) : decision
}

/** Whether the second decision gives anything that the first does not. */
export const isWider = (before: Decision, after: Decision): boolean => {
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
