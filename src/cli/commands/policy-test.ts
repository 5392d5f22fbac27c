import { AppError } from '../../errors.ts'
import { formatProblem } from '../../lib/yaml.ts'
import { explain } from '../../policy/explain.ts'
import type { Policy } from '../../policy/index.ts'
import { loadPolicy } from '../../policy/load.ts'
import type { TestResult } from '../../policy/parse.ts'
import { type Command, jsonOption } from '../command.ts'
import type { Output } from '../output.ts'
import { checkLoaded, count, findPolicy } from '../policies.ts'
import { formatTrace, isAbout } from '../trace.ts'

export const policyTest: Command = {
  name: 'policy test',
  summary:
    "run the policy's own tests, and those of *.test.yaml beside it; a failure shows its trace",
  argument: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [jsonOption],
  examples: ['postern policy test', 'postern policy test policies --json'],
  async run(context, argument, { json }) {
    const { output } = context
    const { dir, maxTtlSeconds } = await findPolicy(context, argument)
    const options = maxTtlSeconds === undefined ? {} : { maxTtlSeconds }
    const { policy, tests } = checkLoaded(await loadPolicy(dir, { ...options, isTrial: true }), dir)
    const failed = tests.filter(({ problems }) => problems.length > 0)
    if (json === true) {
      output.json({
        ok: failed.length === 0,
        tests: tests.map(({ question, ...test }) => ({
          ...test,
          ok: test.problems.length === 0,
          ...(test.problems.length > 0 && question !== undefined
            ? { explanation: explain(policy, question) }
            : {}),
        })),
      })
      return failed.length === 0 ? 0 : 1
    }
    for (const test of failed) printFailure(output, test, policy)
    if (failed.length > 0) {
      const message = `${failed.length} of ${count(tests.length, 'test')} failed.`
      throw new AppError('invalid_policy', message)
    }
    if (tests.length === 0) output.warning('there are no tests; write some under "tests:"')
    output.line(`ok: ${count(tests.length, 'test')} passed`)
    return 0
  },
}

/** The place and name of a test, what was expected and got, and every rule that names its host. */
const printFailure = (
  output: Output,
  { name, file, line, problems, question }: TestResult,
  policy: Policy,
): void => {
  output.line(formatProblem({ file, line, column: 1, message: name }))
  for (const { message } of problems) output.line(`  ${message}`)
  if (question === undefined) return
  const { rules } = explain(policy, question)
  // A test that reaches no rule at all is best understood by those it was near to.
  const shown = formatTrace(rules, !rules.some(isAbout))
  for (const text of shown) output.line(`  ${text}`)
}
