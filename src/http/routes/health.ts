import { z } from '@hono/zod-openapi'
import { answerJson } from '../errors.ts'
import type { Readiness } from '../readiness.ts'
import type { PublicRoute } from './index.ts'

/** `GET /healthz`: the process answers. Says nothing of its parts, so that no fault of theirs restarts it. */
export const healthRoute: PublicRoute = {
  method: 'get',
  path: '/healthz',
  access: 'public',
  summary: 'Whether the process lives',
  description: 'Always 200 while the process can answer at all.',
  answers: [
    {
      status: 200,
      description: 'It lives.',
      contentType: 'application/json',
      schema: z.object({ status: z.literal('ok') }).openapi('Health'),
      example: { status: 'ok' },
    },
  ],
  failures: [],
  handle: (c) => answerJson(c, 200, { status: 'ok' }),
}

const readinessSchema = z
  .object({
    status: z.enum(['ok', 'degraded', 'unavailable']),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })),
  })
  .openapi('Readiness')

/** `GET /readyz`: whether certificates can be issued now. */
export const createReadyRoute = (
  checkReadiness: () => Promise<Readiness>,
  isStopping: () => boolean,
): PublicRoute => ({
  method: 'get',
  path: '/readyz',
  access: 'public',
  summary: 'Whether certificates can be issued now',
  description:
    'A test signature, a writable log, the policy files, whether issuing is frozen, and the identity providers. Why a check fails is in the service log.',
  answers: [
    {
      status: 200,
      description:
        'Ready; `degraded` where an identity provider does not answer, where the policy files no longer load and the last good policy stays in force, and while issuing is frozen.',
      contentType: 'application/json',
      schema: readinessSchema,
      example: { status: 'ok', checks: [{ name: 'signer', ok: true }] },
    },
    {
      status: 503,
      description: 'Not ready: no certificate can be issued.',
      contentType: 'application/json',
      schema: readinessSchema,
      example: { status: 'unavailable', checks: [{ name: 'log', ok: false }] },
    },
  ],
  failures: [],
  async handle(c) {
    const readiness = await checkReadiness()
    const status = isStopping() ? 'unavailable' : readiness.status
    return answerJson(c, status === 'unavailable' ? 503 : 200, { ...readiness, status })
  },
})
