import { z } from '@hono/zod-openapi'
import { answerJson } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** An identity provider, as whoever wants to log in with it needs to know it. */
export interface LoginProvider {
  readonly kind: 'github' | 'oidc'
  /** As `GET /v1/whoami` says it. */
  readonly issuer: string
  /** Empty where nobody logs in at a desk with it. */
  readonly flows: readonly ('browser' | 'device')[]
  /** There where there are flows. */
  readonly clientId?: string
  /** A GitHub client's kind. */
  readonly type?: 'oauth-app' | 'github-app'
  readonly scopes?: readonly string[]
}

const providersSchema = z
  .object({
    providers: z.array(
      z.object({
        kind: z.enum(['github', 'oidc']),
        issuer: z.string(),
        flows: z.array(z.enum(['browser', 'device'])),
        clientId: z.string().optional(),
        type: z.enum(['oauth-app', 'github-app']).optional(),
        scopes: z.array(z.string()).optional(),
      }),
    ),
  })
  .openapi('IdentityProviders')

/** `GET /v1/identity-providers`: where one can log in, and as which client. */
export const createProvidersRoute = (providers: readonly LoginProvider[]): PublicRoute => ({
  method: 'get',
  path: '/v1/identity-providers',
  access: 'public',
  summary: 'Where to log in',
  description:
    'The identity providers whose tokens are taken, and the public client of each that `postern login` uses: `browser` is the code flow with PKCE on a loopback port, `device` the device flow. Where there is no flow, nobody logs in at a desk with it.',
  answers: [
    {
      status: 200,
      description: 'The providers.',
      contentType: 'application/json',
      schema: providersSchema,
      example: {
        providers: [
          {
            kind: 'oidc',
            issuer: 'https://idp.example.com',
            flows: ['browser'],
            clientId: 'postern-cli',
            scopes: ['openid', 'profile', 'email'],
          },
        ],
      },
    },
  ],
  failures: [],
  handle: (c) => answerJson(c, 200, { providers }),
})
