import { z } from '@hono/zod-openapi'
import { answer } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** The JSON Schemas for editors, each made when it is first asked for. */
export type Schemas = Readonly<Record<'policy' | 'policy-test' | 'config', () => unknown>>

const summaries = {
  policy: 'The JSON Schema of a policy file',
  'policy-test': 'The JSON Schema of a file of policy tests',
  config: 'The JSON Schema of the configuration',
} as const satisfies Record<keyof Schemas, string>

/** `GET /schemas/*.json`: what an editor completes and checks YAML by. Nothing in them is ours alone. */
export const createSchemaRoutes = (schemas: Schemas): readonly PublicRoute[] =>
  (Object.keys(summaries) as (keyof Schemas)[]).map((name) => {
    let text: string | undefined
    return {
      method: 'get',
      path: `/schemas/${name}.json`,
      access: 'public',
      summary: summaries[name],
      description: `For editors: the first line of a file may be \`# yaml-language-server: $schema=…/schemas/${name}.json\`.`,
      answers: [
        {
          status: 200,
          description: 'JSON Schema, draft 7.',
          contentType: 'application/schema+json',
          schema: z.looseObject({ $schema: z.string() }),
          example: { $schema: 'http://json-schema.org/draft-07/schema#' },
        },
      ],
      failures: [],
      handle(c) {
        text ??= JSON.stringify(schemas[name]())
        return answer(c, 200, 'application/schema+json', text)
      },
    }
  })
