import { z } from '@hono/zod-openapi'
import { parsePublicKey } from '../../ca/index.ts'
import { AppError } from '../../errors.ts'
import { isHostName } from '../../lib/names.ts'
import type { RevokeOrder, UnrevokeOrder } from '../../revoke.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { time } from '../query.ts'
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

/** What is to be revoked, and why. */
export const orderSchema = z
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

/** Who or what is to have certificates again, and why. */
export const liftSchema = z
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

/** The order of a request. Codes: those of `mistakes`, and of a key that is none. */
export const readOrder = async (
  c: HttpContext,
): Promise<Pick<RevokeOrder, 'reason' | 'target' | 'isDryRun'>> => {
  const { reason, dryRun, ...named } = checkShape(orderSchema, await readJson(c), mistakes)
  return { reason, target: readTarget(named), isDryRun: dryRun === true }
}

/** The same for what lets a key or a person have certificates again. */
export const readLift = async (
  c: HttpContext,
): Promise<Pick<UnrevokeOrder, 'reason' | 'target'>> => {
  const { reason, ...named } = checkShape(liftSchema, await readJson(c), mistakes)
  return { reason, target: readTarget(named) as UnrevokeOrder['target'] }
}
