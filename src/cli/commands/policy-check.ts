import { AppError } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { formatFinding, listPolicyFindings } from '../../policy/findings/index.ts'
import { loadPolicy } from '../../policy/load.ts'
import type { PolicyResult } from '../../policy/parse.ts'
import { type Command, jsonOption } from '../command.ts'
import { count, findPolicy } from '../policies.ts'

export const policyCheck: Command = {
  name: 'policy check',
  summary: 'read the policy, run its tests, and name what is wrong or may not be meant',
  argument: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [{ flags: '--strict', summary: 'fail on warnings too' }, jsonOption],
  examples: ['postern policy check', 'postern policy check policies --strict --json'],
  async run(context, argument, { json, strict }) {
    const { output } = context
    const { dir, maxTtlSeconds, providers } = await findPolicy(context, argument)
    const result = await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds })
    const findings = listPolicyFindings(result, {
      at: systemClock(),
      ...(providers === undefined ? {} : { providers }),
    })
    const errors = findings.filter(({ level }) => level === 'error').length
    const warnings = findings.length - errors
    const isOk = errors === 0 && (strict === undefined || warnings === 0)
    if (json === true) {
      output.json({ ok: isOk, ...describePolicy(result), findings })
      return isOk ? 0 : 1
    }
    for (const finding of findings) output.line(formatFinding(finding))
    if (isOk) {
      output.line(
        `ok: ${summarise(result)}${warnings === 0 ? '' : `; ${count(warnings, 'warning')}`}`,
      )
      return 0
    }
    const counted = [
      ...(errors === 0 ? [] : [count(errors, 'error')]),
      ...(warnings === 0 ? [] : [count(warnings, 'warning')]),
    ]
    throw new AppError('invalid_policy', `${counted.join(' and ')} found.`)
  },
}

const describePolicy = (result: PolicyResult) =>
  result.ok
    ? {
        rules: result.policy.ruleCount,
        files: Object.keys(result.policy.files),
        sha256: result.policy.sha256,
      }
    : {}

const summarise = (result: PolicyResult): string => {
  const { rules = 0, files = [], sha256 = '' } = describePolicy(result)
  return `${count(rules, 'rule')} in ${count(files.length, 'file')}, sha256 ${sha256}`
}
