import { z } from '@hono/zod-openapi'
import type { Freeze } from '../../freeze.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import type { Actor, RoleRoute } from './index.ts'
import { reasonSchema } from './reason.ts'

const orderSchema = z
  .strictObject({
    reason: reasonSchema.min(1).openapi({
      description: 'Why, in a sentence for the log. At most 512 characters.',
    }),
  })
  .openapi('FreezeOrder')

const mistakes = {
  reason: {
    code: 'invalid_request',
    message: 'The reason is not valid: send 1 to 512 characters, none of them a control character.',
  },
} as const satisfies MemberErrors

const stateSchema = z
  .object({
    frozen: z.boolean(),
    by: z.string().optional().openapi({ description: 'Who stopped issuing.' }),
    since: z.string().optional().openapi({ format: 'date-time' }),
    reason: z.string().optional(),
  })
  .openapi('FreezeState')

const orderOf = (c: HttpContext, { identity }: Actor) => {
  const { id, address } = c.get('facts')
  return { identity, request: { id, address } }
}

/** `POST /v1/freeze`: stops all issuing. */
export const createFreezeRoute = ({ freeze }: Freeze): RoleRoute => ({
  method: 'post',
  path: '/v1/freeze',
  access: { role: 'admin' },
  summary: 'Stop all issuing',
  description:
    'From here on every ask is refused with 503 `frozen`, which says who stopped it, until it is lifted; also after a restart. Where issuing is stopped already, answers by whom and changes nothing.',
  body: { schema: orderSchema, example: { reason: 'a laptop was stolen' } },
  answers: [
    {
      status: 200,
      description: 'Issuing is stopped, and that is in the log.',
      contentType: 'application/json',
      schema: stateSchema,
      example: {
        frozen: true,
        by: 'local:maya',
        since: '2026-11-22T10:00:00Z',
        reason: 'a laptop was stolen',
      },
    },
  ],
  failures: ['body_too_large', 'unsupported_media_type'],
  async handle(c, actor) {
    const { reason } = checkShape(orderSchema, await readJson(c), mistakes)
    return answerJson(c, 200, {
      frozen: true,
      ...(await freeze({ ...orderOf(c, actor), reason })),
    })
  },
})

/** `DELETE /v1/freeze`: lets issuing go on. */
export const createUnfreezeRoute = ({ unfreeze }: Freeze): RoleRoute => ({
  method: 'delete',
  path: '/v1/freeze',
  access: { role: 'admin' },
  summary: 'Let issuing go on',
  description: 'Answers what is over now; nothing but `frozen: false` where nothing was stopped.',
  answers: [
    {
      status: 200,
      description: 'Issuing goes on, and that is in the log.',
      contentType: 'application/json',
      schema: stateSchema,
      example: {
        frozen: false,
        by: 'local:maya',
        since: '2026-11-22T10:00:00Z',
        reason: 'a laptop was stolen',
      },
    },
  ],
  failures: [],
  async handle(c, actor) {
    return answerJson(c, 200, { frozen: false, ...(await unfreeze(orderOf(c, actor))) })
  },
})
