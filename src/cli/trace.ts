import { formatRule, type RuleTrace } from '../policy/explain.ts'

const words = {
  decides: 'decides',
  passed: 'passed over',
  unread: 'not read any more',
} as const satisfies Record<RuleTrace['outcome'], string>

/** Whether a rule names the host that was asked for. */
export const isAbout = ({ conditions }: RuleTrace): boolean =>
  conditions.every(({ key, isMet }) => key !== 'hosts' || isMet)

/** Rules in the order they are read, each condition on a line; `isAll` with those of other hosts. */
export const formatTrace = (rules: readonly RuleTrace[], isAll: boolean): readonly string[] =>
  rules
    .filter((trace) => isAll || isAbout(trace))
    .flatMap(({ rule, kind, outcome, conditions }) => [
      `${formatRule(rule)}: ${kind}, ${words[outcome]}`,
      ...conditions
        .filter(({ part }) => part === 'selects' || outcome === 'decides')
        .map(
          ({ key, isMet, wanted, seen }) =>
            `  ${isMet ? 'yes' : 'no '}  ${key}: needs ${wanted}; has ${seen}`,
        ),
    ])
