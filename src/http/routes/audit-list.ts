import { z } from '@hono/zod-openapi'
import type { Filter, History } from '../../audit/index.ts'
import { answer } from '../errors.ts'
import { type Form, numberTo, readQuery, time } from '../query.ts'
import type { RoleRoute } from './index.ts'

const maxLimit = 500
const defaultLimit = 50

/** What the query may say, in the words of the log, and its names for OpenAPI. */
const query = {
  type: 'What it is: allow, deny, error, freeze, policy, and so on.',
  issuer: "The identity's issuer.",
  subject: "The identity's stable id.",
  name: "The identity's name, as it was then.",
  host: 'The host that was asked for.',
  login: 'The login that was asked for.',
  rule: 'The name of the rule that decided.',
  serial: 'The serial of the certificate.',
  requestId: 'The id of the request.',
  policy: 'The SHA-256 of the policy in force.',
  since: 'Not older than this, RFC 3339 in UTC with whole seconds.',
  until: 'Older than this.',
  limit: `How many at most, 1 to ${maxLimit}; ${defaultLimit} where it is left out.`,
  cursor: 'The `next` of the page before.',
} as const satisfies Record<keyof Filter | 'limit' | 'cursor', string>

const entriesSchema = z
  .object({
    entries: z.array(
      z
        .looseObject({
          seq: z.number().int(),
          time: z.string().openapi({ format: 'date-time' }),
          type: z.string(),
          hash: z.string(),
          prev: z.string(),
        })
        .openapi('Entry'),
    ),
    next: z.string().optional().openapi({
      description: 'The `cursor` of the next page; absent where this is the last one.',
    }),
  })
  .openapi('Entries')

/** `GET /v1/audit`: the log for the role auditor, newest first; reading it is an entry. */
export const createAuditListRoute = (history: History): RoleRoute => ({
  method: 'get',
  path: '/v1/audit',
  access: { role: 'auditor' },
  summary: 'Read the log',
  description:
    'Entries that have exactly the values of the query, newest first, page by page. Each reading is an entry itself, with the query, before it is answered. Without `hash`, an entry in RFC 8785 form is the text that its hash is over (RFC 6962 section 2.1, a leaf).',
  query,
  answers: [
    {
      status: 200,
      description: 'A page of entries.',
      contentType: 'application/json',
      schema: entriesSchema,
      example: {
        entries: [
          {
            hash: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
            ca: 'SHA256:9gZ2mQyU8zqCwzW2cQ2hT2pZ1Z0rJ0gXJm4Tq0m6c5A',
            prev: '0000000000000000000000000000000000000000000000000000000000000000',
            seq: 1,
            time: '2026-11-22T10:00:00Z',
            type: 'start',
            v: 1,
            version: '0.1.0',
          },
        ],
        next: '1',
      },
    },
  ],
  failures: [],
  async handle(c, { identity }) {
    const asked = readQuery<keyof typeof query>(c, forms)
    const { limit, cursor, ...filter } = asked
    const { id, address } = c.get('facts')
    const { lines, next } = await history.read({
      filter,
      limit: limit === undefined ? defaultLimit : Number(limit),
      ...(cursor === undefined ? {} : { before: Number(cursor) }),
      query: asked,
      identity,
      request: { id, address },
    })
    const end = next === undefined ? '' : `,"next":"${next}"`
    return answer(c, 200, 'application/json', `{"entries":[${lines.join(',')}]${end}}`)
  },
})

/** What is no text of any kind. */
const forms: { readonly [name in keyof typeof query]?: Form } = {
  since: time,
  until: time,
  limit: numberTo(maxLimit),
  cursor: {
    isValid: (value) => /^[1-9][0-9]{0,14}$/.test(value),
    wanted: 'the "next" of the page before',
  },
}
