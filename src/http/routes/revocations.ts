import { z } from '@hono/zod-openapi'
import type { Revocation, RevocationTarget } from '../../audit/index.ts'
import { parsePublicKey } from '../../ca/index.ts'
import { AppError } from '../../errors.ts'
import { isHostName } from '../../lib/names.ts'
import type { Revoke, RevokeOrder, UnrevokeOrder } from '../../revoke.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import { type Form, numberTo, readQuery, time } from '../query.ts'
import type { OwnRoute, RoleRoute } from './index.ts'
import { reasonSchema } from './reason.ts'

/** No value that could be in the log holds a control character or is longer. */
const text = z
  .string()
  .min(1)
  .max(512)
  .refine((value) => !/[\p{Cc}\p{Cs}]/u.test(value))
const timeSchema = z.string().refine(time.isValid)

const reason = reasonSchema.min(1).openapi({
  description: 'Why, in a sentence for the log. At most 512 characters.',
})
const key = z
  .string()
  .max(16 * 1024)
  .openapi({
    description: 'A public key, "TYPE BASE64", or its fingerprint, "SHA256:…".',
  })
const subject = z.strictObject({ issuer: text, subject: text }).openapi({
  description: 'A person: the issuer and stable id of their identity.',
})

const orderSchema = z
  .strictObject({
    reason,
    serial: z
      .string()
      .regex(/^[1-9][0-9]{0,19}$/)
      .optional()
      .openapi({ description: 'One certificate, by its serial as a decimal string.' }),
    key: key.optional(),
    subject: subject.optional(),
    rule: text.optional().openapi({ description: 'What a rule has allowed, by its name.' }),
    host: z
      .string()
      .refine(isHostName)
      .optional()
      .openapi({ description: 'What was issued for a host.' }),
    after: timeSchema
      .optional()
      .openapi({ format: 'date-time', description: 'What was issued at this time or later.' }),
    before: timeSchema
      .optional()
      .openapi({ format: 'date-time', description: 'What was issued before this time.' }),
    dryRun: z.boolean().optional().openapi({
      description: 'Where true it is only counted: nothing is revoked, and nothing is written.',
    }),
  })
  .openapi('RevocationOrder')

const liftSchema = z
  .strictObject({ reason, key: key.optional(), subject: subject.optional() })
  .openapi('RevocationLift')

const mistakes = {
  reason: {
    code: 'invalid_request',
    message: 'The reason is not valid: send 1 to 512 characters, none of them a control character.',
  },
  serial: {
    code: 'invalid_request',
    message: 'The serial is not one: send it as a decimal string.',
  },
  key: {
    code: 'invalid_public_key',
    message: 'The key is neither a public key nor a fingerprint: send "TYPE BASE64" or "SHA256:…".',
  },
  subject: {
    code: 'invalid_request',
    message: 'The subject is no person: send {"issuer": …, "subject": …}, both as text.',
  },
  rule: { code: 'invalid_request', message: 'The rule is not a name: send the name of a rule.' },
  host: {
    code: 'invalid_host',
    message: 'The host is not a host name: send it as certificates name it, in lower case.',
  },
  after: {
    code: 'invalid_request',
    message: 'The member "after" is no time: send it as 2026-11-22T10:00:00Z.',
  },
  before: {
    code: 'invalid_request',
    message: 'The member "before" is no time: send it as 2026-11-22T10:00:00Z.',
  },
  dryRun: { code: 'invalid_request', message: 'The member "dryRun" is true or false.' },
} as const satisfies MemberErrors

const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$/

const toFingerprint = (value: string): string =>
  fingerprintPattern.test(value) ? value : parsePublicKey(value).fingerprint

/** What an order names: one thing, or a span of time by one or both of its ends. */
const readTarget = ({
  serial,
  key,
  subject,
  rule,
  host,
  after,
  before,
}: Partial<z.output<typeof orderSchema>>): RevokeOrder['target'] => {
  const targets: readonly (RevokeOrder['target'] | undefined)[] = [
    serial === undefined ? undefined : { kind: 'serial', serial },
    key === undefined ? undefined : { kind: 'key', fingerprint: toFingerprint(key) },
    subject === undefined ? undefined : { kind: 'subject', ...subject },
    rule === undefined ? undefined : { kind: 'rule', rule },
    host === undefined ? undefined : { kind: 'host', host },
    after === undefined && before === undefined
      ? undefined
      : {
          kind: 'span',
          ...(after === undefined ? {} : { after }),
          ...(before === undefined ? {} : { before }),
        },
  ]
  const [target, second] = targets.filter((one) => one !== undefined)
  if (target === undefined || second !== undefined) {
    throw new AppError(
      'invalid_request',
      'Name exactly one of serial, key, subject, rule and host, or a time by after, before or both.',
    )
  }
  return target
}

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

const orderOf = (c: HttpContext) => {
  const { id, address } = c.get('facts')
  return { request: { id, address } }
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
      const { reason, dryRun, ...named } = checkShape(orderSchema, await readJson(c), mistakes)
      const { revocation, isRepeated, certificates, people } = await revoke({
        ...orderOf(c),
        identity,
        reason,
        target: readTarget(named),
        isDryRun: dryRun === true,
        checkAdmin,
      })
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
  failures: [
    'body_too_large',
    'unsupported_media_type',
    'invalid_public_key',
    'not_found',
    'subject_revoked',
  ],
  async handle(c, { identity }) {
    const { reason, ...named } = checkShape(liftSchema, await readJson(c), mistakes)
    const target = readTarget(named) as UnrevokeOrder['target']
    await unrevoke({ ...orderOf(c), identity, reason, target })
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
