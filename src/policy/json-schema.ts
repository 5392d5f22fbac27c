import { z } from 'zod'
import { formatJsonSchema, type JsonSchema } from '../lib/json-schema.ts'
import { filledList, strictShape } from '../lib/shape.ts'
import { words } from './reference/index.ts'
import { entryShapes, type fileShape } from './schema.ts'

// The same schemas that files are read with, for editors: sources.ts reads entries one by one, so the
// file as a whole is put together here.

const { identities, hostGroups, hosts, roles, rules, tests } = entryShapes

const keys = {
  identities: z.record(z.string(), identities).optional(),
  hostGroups: z.record(z.string(), hostGroups).optional(),
  hosts: z.array(hosts).optional(),
  roles: roles.optional(),
  rules: z.array(rules).optional(),
  tests: z.array(tests).optional(),
} satisfies Record<keyof z.output<typeof fileShape>, z.ZodType>

/** The JSON Schema of a policy file. */
export const createPolicySchema = (): JsonSchema =>
  formatJsonSchema(strictShape(keys, 'policy file'), 'A policy file of Postern', words)

/** The JSON Schema of a file of tests, `*.test.yaml`. */
export const createTestSchema = (): JsonSchema =>
  formatJsonSchema(
    strictShape({ tests: filledList(tests) }, 'policy file'),
    'Tests of a policy of Postern',
    words,
  )
