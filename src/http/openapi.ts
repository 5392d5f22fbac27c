import { type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Code, codes, statusOf } from '../errors.ts'
import type { HttpEnv } from './context.ts'
import type { Route } from './routes/index.ts'

const problemSchema = z
  .object({
    type: z.string().openapi({ format: 'uri-reference' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().openapi({ description: 'A sentence that says what to do.' }),
    code: z.string().openapi({ description: 'What to switch on; its meaning never changes.' }),
    requestId: z.string().openapi({ description: 'Names the request in the log.' }),
  })
  .openapi('Problem')

/** What any request can meet, and any with a token. */
const anyFailures: readonly Code[] = [
  'invalid_request',
  'body_too_large',
  'token_in_url',
  'untrusted_peer',
  'misdirected_request',
  'rate_limited',
  'internal',
  'overloaded',
  'stopping',
]
const identityFailures: readonly Code[] = [
  'authentication_required',
  'invalid_token',
  'idp_unavailable',
  'audit_unavailable',
  'clock_untrusted',
]
const enrolmentFailures: readonly Code[] = [
  'authentication_required',
  'invalid_token',
  'audit_unavailable',
  'clock_untrusted',
]
const roleFailures: readonly Code[] = ['role_required', 'subject_revoked', 'insufficient_scope']

const formatFailures = (failures: readonly Code[]) => {
  const byStatus = Map.groupBy(new Set(failures), statusOf)
  return [...byStatus].map(([status, list]) => {
    const examples = list.map((code) => ({
      summary: codes[code].title,
      value: {
        type: `/problems/${code}`,
        title: codes[code].title,
        status,
        detail: `${codes[code].title}.`,
        code,
        requestId: 'req_5f0c1d2e3a4b5c6d7e8f9a0b',
      },
    }))
    const content = {
      'application/problem+json': {
        schema: problemSchema,
        examples: Object.fromEntries(list.map((code, at) => [code, examples[at] ?? {}])),
      },
    }
    return [status, { description: list.map((code) => `\`${code}\``).join(', '), content }] as const
  })
}

const describeQuery = (query: NonNullable<Route['query']>) =>
  z.object(
    Object.fromEntries(
      Object.entries(query).map(([name, description]) => [
        name,
        z.string().optional().openapi({ description }),
      ]),
    ),
  )

const describeParams = (path: string) =>
  z.object(
    Object.fromEntries(
      [...path.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => [name, z.string()]),
    ),
  )

const describeBody = ({ schema, example }: NonNullable<Route['body']>) => ({
  required: true,
  content: { 'application/json': { schema, example } },
})

const describeText = ({ example }: NonNullable<Route['text']>) => ({
  required: true,
  content: { 'text/plain': { schema: z.string(), example } },
})

/** Enters a route into the registry, with every answer it can give. */
export const describeRoute = (app: OpenAPIHono<HttpEnv>, route: Route): void => {
  const isPublic = route.access === 'public'
  const failures = [
    ...anyFailures,
    ...(isPublic ? [] : route.access === 'enrolment' ? enrolmentFailures : identityFailures),
    ...(typeof route.access === 'object' || route.access === 'own' ? roleFailures : []),
    ...route.failures,
  ]
  const answers = Object.groupBy(route.answers, ({ status }) => status)
  const successes = Object.entries(answers).map(([status, list = []]) => {
    const content = list.map(({ contentType, schema, example }) => [
      contentType,
      { schema, example },
    ])
    const description = list.map((answer) => answer.description).join(' ')
    return [status, { description, content: Object.fromEntries(content) }] as const
  })
  const responses: Record<string, { description: string; content: Record<string, object> }> =
    Object.fromEntries(formatFailures(failures))
  for (const [status, success] of successes) {
    const content = { ...responses[status]?.content, ...success.content }
    responses[status] = { ...success, content }
  }
  app.openAPIRegistry.registerPath({
    method: route.method,
    path: route.path,
    summary: route.summary,
    description: route.description,
    security: isPublic ? [] : [{ [route.access === 'enrolment' ? 'invitation' : 'token']: [] }],
    request: {
      ...(route.path.includes('{') ? { params: describeParams(route.path) } : {}),
      ...(route.query === undefined ? {} : { query: describeQuery(route.query) }),
      ...(route.body === undefined ? {} : { body: describeBody(route.body) }),
      ...(route.text === undefined ? {} : { body: describeText(route.text) }),
    },
    responses,
  })
}

/** The OpenAPI 3.1 document of all described routes. */
export const formatDocument = (
  app: OpenAPIHono<HttpEnv>,
  given: { readonly publicUrl: string; readonly version: string },
) => {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description: 'A GitHub OAuth token of a configured app, or a JWT of a configured OIDC issuer.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'invitation', {
    type: 'http',
    scheme: 'bearer',
    description: 'The token of `postern host invite`.',
  })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version: given.version,
      description:
        "An SSH certificate authority: a user's token in, a short-lived OpenSSH certificate out, by policy, on the record.",
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: given.publicUrl }],
  })
}
