import { createConfigSchema } from '../config/json-schema.ts'
import { createPolicySchema, createTestSchema } from '../policy/json-schema.ts'

/** The JSON Schemas of everything a person writes for the service, by the name they have in `/schemas`. */
export const schemas = {
  policy: createPolicySchema,
  'policy-test': createTestSchema,
  config: createConfigSchema,
} as const
