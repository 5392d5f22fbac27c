import { z } from '@hono/zod-openapi'
import type { Problem } from '../../lib/yaml.ts'
import type { Policy } from '../../policy/index.ts'
import { answerJson } from '../errors.ts'
import type { RoleRoute } from './index.ts'

const policySchema = z
  .object({
    sha256: z.string().openapi({ description: 'As every entry names it that it decided.' }),
    files: z
      .record(z.string(), z.string())
      .openapi({ description: 'The files as they were read.' }),
    rules: z
      .array(
        z.object({
          name: z.string(),
          kind: z.enum(['deny', 'allow']),
          file: z.string(),
          line: z.number().int(),
        }),
      )
      .openapi({ description: 'In the order they are read.' }),
    problems: z
      .array(
        z.object({
          file: z.string(),
          line: z.number().int(),
          column: z.number().int(),
          message: z.string(),
        }),
      )
      .openapi({ description: 'Why the files as they are now are not in force; else empty.' }),
  })
  .openapi('Policy')

/** `GET /v1/policy`: the policy in force. */
export const createPolicyRoute = (deps: {
  readonly currentPolicy: () => Policy
  readonly listPolicyProblems: () => readonly Problem[]
}): RoleRoute => ({
  method: 'get',
  path: '/v1/policy',
  access: { role: 'auditor' },
  summary: 'The policy in force',
  description:
    'Its files as they were read, and why newer ones are not in force, where that is so.',
  answers: [
    {
      status: 200,
      description: 'The policy.',
      contentType: 'application/json',
      schema: policySchema,
      example: {
        sha256: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
        files: { 'web.yaml': 'rules: …' },
        rules: [{ name: 'deploy', kind: 'allow', file: 'web.yaml', line: 2 }],
        problems: [],
      },
    },
  ],
  failures: [],
  handle(c) {
    const { sha256, files, rules } = deps.currentPolicy()
    return answerJson(c, 200, {
      sha256,
      files,
      rules: rules.map(({ kind, ref }) => ({ kind, ...ref })),
      problems: deps.listPolicyProblems(),
    })
  },
})
