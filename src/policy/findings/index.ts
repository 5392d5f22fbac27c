import type { Problem } from '../../lib/yaml.ts'
import type { PolicyResult } from '../parse.ts'
import { listGrantRemarks } from './grants.ts'
import { createGround, type Level, type Remark, type Surroundings } from './ground.ts'
import { listHostRemarks } from './hosts.ts'
import { listPeopleRemarks } from './people.ts'
import { listShadows } from './shadow.ts'

export type { Surroundings }

/**
 * Something in the files that an admin should know: an `error` is surely a mistake, a `warning` may
 * be meant. `code` names its kind, for programs; `load` where the policy does not load for it.
 */
export interface PolicyFinding extends Problem {
  readonly level: Level
  readonly code: string
  /** What to do; where it is absent, the message says it. */
  readonly advice?: string
}

const checks = [listShadows, listHostRemarks, listPeopleRemarks, listGrantRemarks] as const

/**
 * Everything there is to say about a policy, in order of place: what keeps it from loading, or else
 * what it says that its author may not mean. Pure: `at` is the moment by which times are over.
 */
export const listPolicyFindings = (
  result: PolicyResult,
  surroundings: Surroundings,
): readonly PolicyFinding[] => {
  if (!result.ok) {
    return result.problems.map((problem) => ({ level: 'error', code: 'load', ...problem }))
  }
  const ground = createGround(result, surroundings)
  const cautions = result.warnings.map(
    (problem): PolicyFinding => ({ level: 'warning', code: 'caution', ...problem }),
  )
  const remarks = checks.flatMap((check) => check(ground)).map(placeRemark)
  const findings = [...cautions, ...remarks]
  return findings.toSorted(
    (a, b) => a.file.localeCompare(b.file, 'en') || a.line - b.line || a.column - b.column,
  )
}

const placeRemark = ({ entry, path, level, code, message, advice }: Remark): PolicyFinding => {
  const { yaml } = entry
  const { line, column } = yaml.locate([...entry.path, ...path])
  return { file: yaml.file, line, column, level, code, message, advice }
}

/** One line, as compilers print them: `file:line:column: level: what; what to do`. */
export const formatFinding = ({ file, line, column, level, message, advice }: PolicyFinding) =>
  `${file}:${line}:${column}: ${level}: ${message}${advice === undefined ? '' : `; ${advice}`}`
