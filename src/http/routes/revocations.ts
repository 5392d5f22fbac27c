import { z } from '@hono/zod-openapi'
import type { Revocation, RevocationTarget } from '../../audit/index.ts'
import type { Revoke } from '../../revoke.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import { type Form, numberTo, readQuery } from '../query.ts'
import type { OwnRoute, RoleRoute } from './index.ts'
import { liftSchema, orderSchema, readLift, readOrder } from './revocation-orders.ts'

const instant = z.string().openapi({ format: 'date-time' })
const targetSchema = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('serial'), serial: z.string(), validBefore: instant }),
    z.object({ kind: z.literal('key'), fingerprint: z.string() }),
    z.object({ kind: z.literal('subject'), issuer: z.string(), subject: z.string() }),
    z.object({ kind: z.literal('rule'), rule: z.string() }),
    z.object({ kind: z.literal('host'), host: z.string() }),
    z.object({ kind: z.literal('span'), after: instant.optional(), before: instant.optional() }),
  ])
  .openapi('RevocationTarget')

const revocationSchema = z
  .object({
    entry: z.number().int().openapi({ description: 'The number of its entry in the log.' }),
    time: instant,
    by: z.string(),
    reason: z.string(),
    target: targetSchema,
    refusesNew: z.boolean().openapi({
      description: 'Whether the key or the person gets no new certificate.',
    }),
  })
  .openapi('Revocation')

const exampleTarget: RevocationTarget = {
  kind: 'serial',
  serial: '4611686018427387904',
  ca: 'SHA256:9gZ2mQyU8zqCwzW2cQ2hT2pZ1Z0rJ0gXJm4Tq0m6c5A',
  validBefore: '2026-11-22T10:05:00Z',
}
const example = {
  entry: 42,
  time: '2026-11-22T10:00:00Z',
  by: 'maya',
  reason: 'a laptop was stolen',
  target: exampleTarget,
  refusesNew: false,
}

const requestOf = (c: HttpContext) => {
  const { id, address } = c.get('facts')
  return { id, address }
}

const createFormat =
  (isInForce: Revoke['isInForce']) =>
  ({ seq, ...revocation }: Revocation) => ({
    entry: seq,
    ...revocation,
    refusesNew: isInForce({ seq, ...revocation }),
  })

const whatItDoesNot =
  'A revocation ends no session: sshd asks for it at logins alone, and each host from the moment it has the new list.'

/** `POST /v1/revocations`: revokes certificates. */
export const createRevokeRoute = ({ revoke, isInForce }: Revoke): OwnRoute => {
  const format = createFormat(isInForce)
  return {
    method: 'post',
    path: '/v1/revocations',
    access: 'own',
    summary: 'Revoke certificates',
    description: `By exactly one of: a serial, a key, a person, a rule, a host, or the time of issue. Anybody may revoke their own certificates by serial; all else needs the role admin. What was issued until now and has not ended is revoked, and named by GET /v1/krl when this answers; a key and a person also get no new certificate until DELETE /v1/revocations. Where all of it is revoked already, answers by what and writes nothing. A certificate that has ended is 409. ${whatItDoesNot}`,
    body: {
      schema: orderSchema,
      example: { serial: '4611686018427387904', reason: 'a laptop was stolen' },
    },
    answers: [
      {
        status: 200,
        description: 'It is revoked, and that is in the log; with `dryRun`, what would be.',
        contentType: 'application/json',
        schema: z
          .object({
            revocation: revocationSchema.optional(),
            repeated: z.boolean().openapi({ description: 'Whether it all was revoked before.' }),
            certificates: z.number().int().openapi({
              description: 'How many that had not ended it has revoked.',
            }),
            people: z.number().int().openapi({ description: 'Of how many people.' }),
          })
          .openapi('Revoked'),
        example: { revocation: example, repeated: false, certificates: 1, people: 1 },
      },
    ],
    failures: [
      'body_too_large',
      'unsupported_media_type',
      'invalid_public_key',
      'unsupported_key_type',
      'weak_key',
      'private_key_submitted',
      'invalid_host',
      'not_found',
      'certificate_expired',
    ],
    async handle(c, { identity }, checkAdmin) {
      const order = await readOrder(c)
      const given = { ...order, request: requestOf(c), identity, checkAdmin }
      const { revocation, isRepeated, certificates, people } = await revoke(given)
      return answerJson(c, 200, {
        ...(revocation === undefined ? {} : { revocation: format(revocation) }),
        repeated: isRepeated,
        certificates,
        people,
      })
    },
  }
}

/** `DELETE /v1/revocations`: lets a key or a person have certificates again. */
export const createUnrevokeRoute = ({ unrevoke }: Revoke): RoleRoute => ({
  method: 'delete',
  path: '/v1/revocations',
  access: { role: 'admin' },
  summary: 'Let a key or a person have certificates again',
  description: 'Certificates that were revoked stay so: there is no way back for those.',
  body: {
    schema: liftSchema,
    example: {
      subject: { issuer: 'https://idp.example.com', subject: 'u-1001' },
      reason: 'the laptop was found',
    },
  },
  answers: [
    {
      status: 200,
      description: 'New certificates are issued again, and that is in the log.',
      contentType: 'application/json',
      schema: z.object({ refusesNew: z.literal(false) }).openapi('RevocationLifted'),
      example: { refusesNew: false },
    },
  ],
  failures: ['body_too_large', 'unsupported_media_type', 'invalid_public_key', 'not_found'],
  async handle(c, { identity }) {
    const lift = await readLift(c)
    await unrevoke({ ...lift, request: requestOf(c), identity })
    return answerJson(c, 200, { refusesNew: false })
  },
})

const maxLimit = 500
const defaultLimit = 50
const query = {
  limit: `How many at most, 1 to ${maxLimit}; ${defaultLimit} where it is left out.`,
  cursor: 'The `next` of the page before.',
} as const

const forms: { readonly [name in keyof typeof query]?: Form } = {
  limit: numberTo(maxLimit),
  cursor: {
    isValid: (value) => /^[1-9][0-9]{0,14}$/.test(value),
    wanted: 'the "next" of the page before',
  },
}

/** `GET /v1/revocations`: what was revoked, newest first. */
export const createRevocationsRoute = ({ list, isInForce }: Revoke): RoleRoute => {
  const format = createFormat(isInForce)
  return {
    method: 'get',
    path: '/v1/revocations',
    access: { role: 'auditor' },
    summary: 'What was revoked',
    description: 'Every revocation, newest first, page by page, whether or not any of it is alive.',
    query,
    answers: [
      {
        status: 200,
        description: 'A page of revocations.',
        contentType: 'application/json',
        schema: z
          .object({ revocations: z.array(revocationSchema), next: z.string().optional() })
          .openapi('Revocations'),
        example: { revocations: [example], next: '42' },
      },
    ],
    failures: [],
    handle(c) {
      const { limit = String(defaultLimit), cursor } = readQuery(c, forms)
      const before = cursor === undefined ? undefined : Number(cursor)
      const found = list(Number(limit) + 1, before)
      const shown = found.slice(0, Number(limit))
      const next = found.length > shown.length ? shown.at(-1)?.seq : undefined
      return answerJson(c, 200, {
        revocations: shown.map(format),
        ...(next === undefined ? {} : { next: String(next) }),
      })
    },
  }
}
