import { z } from '@hono/zod-openapi'
import { answer } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** `GET /openapi.json`: the description of all routes, made once when it is first asked for. */
export const createOpenapiRoute = (describe: () => unknown): PublicRoute => {
  let text: string | undefined
  return {
    method: 'get',
    path: '/openapi.json',
    access: 'public',
    summary: 'This description',
    description: 'OpenAPI 3.1, generated from the routes themselves.',
    answers: [
      {
        status: 200,
        description: 'The OpenAPI document.',
        contentType: 'application/json',
        schema: z.looseObject({ openapi: z.string() }).openapi('OpenAPI'),
        example: { openapi: '3.1.0' },
      },
    ],
    failures: [],
    handle(c) {
      text ??= JSON.stringify(describe())
      return answer(c, 200, 'application/json', text)
    },
  }
}
