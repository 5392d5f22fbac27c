import { z } from '@hono/zod-openapi'
import type { Inventory, InventoryItem, Log } from '../../audit/index.ts'
import { certificateStatuses, formatItem } from '../../audit/index.ts'
import { type Caller, formatIdentity } from '../../identity/index.ts'
import { type Clock, formatTime } from '../../lib/clock.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import { type Form, numberTo, oneOf, readQuery } from '../query.ts'
import type { CheckRole, FindRoles } from '../roles.ts'
import type { IdentityRoute } from './index.ts'

const maxLimit = 500
const defaultLimit = 50

const query = {
  issuer: "The issuer of the person's identity.",
  subject: "The person's stable id.",
  host: 'The host it was asked for.',
  login: 'The login it was asked for.',
  rule: 'The name of the rule that allowed it.',
  serial: 'Its serial.',
  status: `One of ${certificateStatuses.join(', ')}; all of them where it is left out.`,
  limit: `How many at most, 1 to ${maxLimit}; ${defaultLimit} where it is left out.`,
  cursor: 'The `next` of the page before.',
} as const

/** An entry's number, in a form that nobody will reckon with. */
const formatCursor = (seq: number): string => `c${seq.toString(36)}`
const parseCursor = (cursor: string): number => Number.parseInt(cursor.slice(1), 36)

const forms: { readonly [name in keyof typeof query]?: Form } = {
  status: oneOf(certificateStatuses),
  limit: numberTo(maxLimit),
  cursor: {
    isValid: (value) => /^c[1-9a-z][0-9a-z]{0,8}$/.test(value),
    wanted: 'the "next" of the page before',
  },
}

const time = z.string().openapi({ format: 'date-time' })
const values = z.record(z.string(), z.string())

const listSchema = z
  .object({
    certificates: z.array(
      z
        .object({
          serial: z.string(),
          status: z.enum(certificateStatuses),
          keyId: z.string(),
          principals: z.array(z.string()),
          validAfter: time,
          validBefore: time,
          criticalOptions: values,
          extensions: values,
          ca: z.string().openapi({ description: 'The fingerprint of the CA key that signed.' }),
          host: z.string(),
          login: z.string(),
          issuer: z.string(),
          subject: z.string(),
          name: z.string(),
          rule: z.string(),
          publicKey: z.string().openapi({ description: 'The fingerprint of the certified key.' }),
          issuedAt: time,
          entry: z.number().int().openapi({ description: 'The number of its entry in the log.' }),
          command: z.string().optional(),
          reason: z.string().optional(),
          revoked: z.object({ time, by: z.string(), reason: z.string() }).optional(),
          certificate: z.string(),
        })
        .openapi('IssuedCertificate'),
    ),
    next: z.string().optional().openapi({
      description: 'The `cursor` of the next page; absent where this is the last one.',
    }),
  })
  .openapi('IssuedCertificates')

/**
 * `GET /v1/certificates`: what was issued and what has become of it. Admins and auditors see all of
 * it, and that they looked is an entry; anybody sees their own.
 */
export const createCertificateListRoute = (deps: {
  readonly inventory: Inventory
  readonly log: Log
  readonly clock: Clock
  readonly findRoles: FindRoles
  readonly checkRole: CheckRole
}): IdentityRoute => {
  /** Whether this person may see what belongs to others. Codes: `role_required` where they ask for it. */
  const mayReadAll = async (
    c: HttpContext,
    caller: Caller,
    asked: { readonly issuer?: string; readonly subject?: string },
  ): Promise<boolean> => {
    const { issuer, subject } = caller.identity
    if (asked.subject === subject && (asked.issuer ?? issuer) === issuer) return false
    if (asked.subject !== undefined || asked.issuer !== undefined) {
      await deps.checkRole(c, caller, 'auditor')
      return true
    }
    const { roles } = await deps.findRoles(caller)
    return roles.has('auditor') || roles.has('admin')
  }

  return {
    method: 'get',
    path: '/v1/certificates',
    access: 'identity',
    summary: 'List issued certificates',
    description:
      'Certificates that have exactly the values of the query, newest first, page by page. The roles admin and auditor see those of everybody, and each such reading is an entry before it is answered; anybody else sees their own. With a `status` a page may hold fewer than `limit` although there is a `next`.',
    query,
    answers: [
      {
        status: 200,
        description: 'A page of certificates.',
        contentType: 'application/json',
        schema: listSchema,
        example: {
          certificates: [
            {
              serial: '4611686018427387904',
              status: 'active',
              keyId: 'github:583231:maya/runner-setup/req_1f0c5b2e9d8a7c6b5a493827',
              principals: ['runner@runner-17.example.com'],
              validAfter: '2026-11-22T09:59:00Z',
              validBefore: '2026-11-22T10:05:00Z',
              criticalOptions: {},
              extensions: { 'permit-pty': '' },
              ca: 'SHA256:9gZ2mQyU8zqCwzW2cQ2hT2pZ1Z0rJ0gXJm4Tq0m6c5A',
              host: 'runner-17.example.com',
              login: 'runner',
              issuer: 'https://github.com',
              subject: '583231',
              name: 'maya',
              rule: 'runner-setup',
              publicKey: 'SHA256:1Yk9b5Zc0a2Jm4Tq0m6c5A9gZ2mQyU8zqCwzW2cQ2hT',
              issuedAt: '2026-11-22T10:00:00Z',
              entry: 42,
              certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA…',
            },
          ],
          next: 'c1f',
        },
      },
    ],
    failures: ['role_required', 'subject_revoked', 'insufficient_scope'],
    async handle(c, caller) {
      const asked = readQuery<keyof typeof query>(c, forms)
      const { limit, cursor, status, ...filter } = asked
      const isAll = await mayReadAll(c, caller, filter)
      const { issuer, subject } = caller.identity
      const { items, next } = await deps.inventory.list({
        filter: isAll ? filter : { ...filter, issuer, subject },
        limit: limit === undefined ? defaultLimit : Number(limit),
        ...(status === undefined ? {} : { status: status as InventoryItem['status'] }),
        ...(cursor === undefined ? {} : { before: parseCursor(cursor) }),
      })
      if (isAll) {
        const { id, address } = c.get('facts')
        await deps.log.append({
          type: 'read',
          what: 'certificates',
          time: formatTime(deps.clock()),
          request: { id, address },
          identity: formatIdentity(caller.identity),
          query: asked,
        })
      }
      return answerJson(c, 200, {
        certificates: items.map(formatItem),
        ...(next === undefined ? {} : { next: formatCursor(next) }),
      })
    },
  }
}
