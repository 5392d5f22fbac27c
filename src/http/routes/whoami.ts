import { z } from '@hono/zod-openapi'
import { formatIdentity } from '../../identity/index.ts'
import type { Explainer, Policy } from '../../policy/index.ts'
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
const whoamiRoute: IdentityRoute = {
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

const ownRulesSchema = z
  .object({
    rules: z.array(
      z.object({
        rule: z.string(),
        hosts: z.array(z.string()).openapi({ description: 'Patterns, as the rule has them.' }),
        logins: z.array(z.string()),
        when: z.string().optional().openapi({ description: 'Where it does not always hold.' }),
        needs: z.array(z.string()).openapi({ description: 'What an ask must bring.' }),
      }),
    ),
  })
  .openapi('OwnRules')

/** `GET /v1/whoami/rules`: where the caller may log in, by the rules that name them. */
const createOwnRulesRoute = (deps: {
  readonly explainer: Explainer
  readonly currentPolicy: () => Policy
}): IdentityRoute => ({
  method: 'get',
  path: '/v1/whoami/rules',
  access: 'identity',
  summary: 'Where you may log in',
  description:
    'The allow rules that name the caller, in the order in which they are read. Of one host and login the first decides, and rules that deny go before them all: `POST /v1/explain` says what comes of it.',
  answers: [
    {
      status: 200,
      description: 'The rules.',
      contentType: 'application/json',
      schema: ownRulesSchema,
      example: {
        rules: [
          {
            rule: 'runner-setup',
            hosts: ['runner-*.example.com'],
            logins: ['runner'],
            needs: ['a reason'],
          },
        ],
      },
    },
  ],
  failures: ['insufficient_scope'],
  async handle(c, { identity, findMemberships }) {
    const policy = deps.currentPolicy()
    const questions = deps.explainer.listOwnQuestions(policy, identity)
    const memberships = await findMemberships(questions)
    return answerJson(c, 200, {
      rules: deps.explainer.listOwnRules(policy, identity, memberships),
    })
  },
})

/** What the service takes the caller for, and where that lets them log in. */
export const createWhoamiRoutes = (deps: Parameters<typeof createOwnRulesRoute>[0]) => [
  whoamiRoute,
  createOwnRulesRoute(deps),
]
