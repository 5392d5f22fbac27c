import { z } from '@hono/zod-openapi'
import { formatIdentity } from '../../identity/index.ts'
import { answerJson } from '../errors.ts'
import type { IdentityRoute } from './index.ts'

const time = z.string().openapi({ format: 'date-time' })

const identitySchema = z
  .object({
    kind: z.enum(['github', 'oidc']),
    issuer: z.string(),
    subject: z.string(),
    name: z.string(),
    client: z.string().optional(),
    email: z.string().optional(),
    groups: z.array(z.string()),
    claims: z.record(z.string(), z.unknown()),
    mfa: z.boolean(),
    issuedAt: time.optional(),
    authenticatedAt: time.optional(),
    expiresAt: time.optional(),
  })
  .openapi('Identity')

/** `GET /v1/whoami`: what the service has understood of the token, for whoever writes a rule. */
export const whoamiRoute: IdentityRoute = {
  method: 'get',
  path: '/v1/whoami',
  access: 'identity',
  summary: 'Who the service takes you for',
  description: "The caller's identity as policy rules see it: what a rule's `who` can name.",
  answers: [
    {
      status: 200,
      description: 'The identity.',
      contentType: 'application/json',
      schema: identitySchema,
      example: {
        kind: 'github',
        issuer: 'https://github.com',
        subject: '583231',
        name: 'maya',
        client: 'Iv1.0123456789abcdef',
        groups: [],
        claims: {},
        mfa: false,
      },
    },
  ],
  failures: [],
  handle: (c, { identity }) => answerJson(c, 200, formatIdentity(identity)),
}
