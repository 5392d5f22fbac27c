import { AppError } from '../../errors.ts'
import { formatProblem } from '../../lib/yaml.ts'
import { loadPolicy } from '../../policy/load.ts'
import { type Command, jsonOption } from '../command.ts'
import { findPolicy } from '../policies.ts'

export const policyCheck: Command = {
  name: 'policy check',
  summary: 'read the policy, run its tests, and name everything that is wrong',
  argument: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [jsonOption],
  examples: ['postern policy check', 'postern policy check policies --json'],
  async run(context, argument, { json }) {
    const { output } = context
    const { dir, maxTtlSeconds } = await findPolicy(context, argument)
    const result = await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds })
    if (json === true) {
      output.json(
        result.ok
          ? {
              ok: true,
              rules: result.policy.ruleCount,
              files: Object.keys(result.policy.files),
              sha256: result.policy.sha256,
              warnings: result.warnings,
            }
          : { ok: false, problems: result.problems },
      )
      return result.ok ? 0 : 1
    }
    if (!result.ok) {
      for (const problem of result.problems) output.line(formatProblem(problem))
      throw new AppError('invalid_policy', `${count(result.problems.length, 'problem')} found.`)
    }
    for (const warning of result.warnings) output.warning(formatProblem(warning))
    const { ruleCount, files, sha256 } = result.policy
    output.line(
      `ok: ${count(ruleCount, 'rule')} in ${count(Object.keys(files).length, 'file')}, sha256 ${sha256}`,
    )
    return 0
  },
}

const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`
