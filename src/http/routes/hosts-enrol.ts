import { setImmediate } from 'node:timers/promises'
import { z } from '@hono/zod-openapi'
import type { Enrol } from '../../enrol.ts'
import { AppError } from '../../errors.ts'
import { findHostKeyFault, type Hosts, type Trust } from '../../hosts/index.ts'
import { parseCidr } from '../../lib/address.ts'
import { parseDuration } from '../../lib/duration.ts'
import { isHostName, isLogin } from '../../lib/names.ts'
import { findHostPatternFault } from '../../policy/index.ts'
import type { Revoke } from '../../revoke.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import { answer, answerJson } from '../errors.ts'
import type { EnrolmentRoute, RoleRoute } from './index.ts'

const invitationShape = z
  .strictObject({
    name: z.string().optional().openapi({ description: 'The one host it is for, by its name.' }),
    pattern: z.string().optional().openapi({
      description: 'Or the names it is for, as `runner-*.example.com`: `*` takes no dot.',
    }),
    uses: z.int().min(1).max(10_000).optional().openapi({
      description: 'With a pattern: how many hosts may enrol. Default 1.',
    }),
    from: z.array(z.string()).min(1).max(64).optional().openapi({
      description: 'The blocks it may be used from, as `10.2.0.0/16`. Default: anywhere.',
    }),
    logins: z.array(z.string()).max(64).optional().openapi({
      description: 'The logins that certificates are to open. Default: those the policy lists.',
    }),
    ttl: z.string().optional().openapi({
      description: 'How long it is good for, as `1h`, at most 7d. Default 1h.',
    }),
  })
  .openapi('InvitationOrder')

const invitedSchema = z
  .object({
    token: z.string().openapi({ description: 'Shown once: only its SHA-256 is kept.' }),
    id: z.string(),
    command: z.string().openapi({ description: 'What to run on the host, as root.' }),
    name: z.string().optional(),
    pattern: z.string().optional(),
    uses: z.number().int(),
    from: z.array(z.string()).optional(),
    logins: z.array(z.string()),
    expires: z.string().openapi({ format: 'date-time' }),
  })
  .openapi('Invitation')

const invalid = (message: string) => ({ code: 'invalid_request', message }) as const

const mistakes = {
  name: {
    code: 'invalid_host',
    message: 'The name is not a host name: send letters, digits, hyphens and dots, in lower case.',
  },
  pattern: invalid(
    'The pattern is not one of host names: send one as "runner-*.example.com"; "*" alone is none.',
  ),
  uses: invalid('The uses are not a number: send a whole number from 1 to 10000, with a pattern.'),
  from: invalid('The blocks are not valid: send a list of them, as ["10.2.0.0/16"].'),
  logins: {
    code: 'invalid_login',
    message: 'The logins are not valid: send a list of names, as ["deploy", "root"].',
  },
  ttl: {
    code: 'invalid_ttl',
    message: 'The ttl is not valid: send a duration from 1m to 7d, like "1h".',
  },
} as const satisfies MemberErrors

const mistake = (member: keyof typeof mistakes) =>
  new AppError(mistakes[member].code, mistakes[member].message)

const minute = 60
const week = 7 * 24 * 60 * minute

/** The order in canonical form, each member refused by its own code. */
const parseOrder = (body: z.output<typeof invitationShape>, hosts: Hosts) => {
  const { pattern, uses = 1, from, ttl = '1h' } = body
  if ((body.name === undefined) === (pattern === undefined)) {
    throw new AppError('invalid_request', 'Send either a name or a pattern of names.')
  }
  if (body.name !== undefined && !isHostName(body.name)) throw mistake('name')
  if (pattern !== undefined && findHostPatternFault(pattern) !== undefined) throw mistake('pattern')
  if (pattern === undefined && uses !== 1) throw mistake('uses')
  if (from?.some((block) => parseCidr(block) === undefined)) throw mistake('from')
  const ttlSeconds = parseDuration(ttl) ?? 0
  if (ttlSeconds < minute || ttlSeconds > week) throw mistake('ttl')

  const name = body.name === undefined ? undefined : hosts.resolve(body.name)
  const listed = name === undefined ? [] : (hosts.findListed(name)?.logins ?? [])
  const logins = [...new Set(body.logins ?? listed)]
  if (!logins.every(isLogin)) throw mistake('logins')
  if (logins.length === 0) {
    throw new AppError(
      'invalid_login',
      'Name the logins that certificates are to open: the policy lists none for this host.',
    )
  }
  return {
    ...(name === undefined ? {} : { name }),
    ...(pattern === undefined ? {} : { pattern }),
    uses,
    ...(from === undefined ? {} : { from }),
    logins,
    ttlSeconds,
  }
}

/** `POST /v1/hosts/invitations`: a token with which a host enrols. */
export const createInviteRoute = (deps: {
  readonly enrol: Enrol
  readonly hosts: Hosts
  readonly publicUrl: string
}): RoleRoute => ({
  method: 'post',
  path: '/v1/hosts/invitations',
  access: { role: 'admin' },
  summary: 'Invite a host to enrol',
  description:
    'Answers a token that is good for one enrolment, or as many as are asked for with a pattern, and the command that uses it on the host.',
  body: { schema: invitationShape, example: { name: 'web-1.example.com', logins: ['deploy'] } },
  answers: [
    {
      status: 201,
      description: 'The invitation, which is in the log.',
      contentType: 'application/json',
      schema: invitedSchema,
      example: {
        token: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA.AAAAC3NzaC1lZDI1NTE5AAAAI…',
        id: 'inv_5f0c1d2e3a4b5c6d7e8f9a0b',
        command:
          'curl -fsS https://postern.example.com/enrol | sh -s -- q83vEjRWeJ… web-1.example.com',
        name: 'web-1.example.com',
        uses: 1,
        logins: ['deploy'],
        expires: '2026-11-22T11:00:00Z',
      },
    },
  ],
  failures: [
    'body_too_large',
    'unsupported_media_type',
    'invalid_host',
    'invalid_login',
    'invalid_ttl',
    'clock_untrusted',
  ],
  async handle(c, { identity }) {
    const body = checkShape(invitationShape, await readJson(c), mistakes)
    const wanted = parseOrder(body, deps.hosts)
    const { id, address } = c.get('facts')
    const invited = await deps.enrol.invite({ identity, request: { id, address }, wanted })
    const { hash: _, ...invitation } = invited
    // With a token for many each host says which it is.
    const { token, name = '"$(hostname -f)"' } = invited
    const command = `curl -fsS ${deps.publicUrl}/enrol | sh -s -- ${token} ${name}`
    return answerJson(c, 201, { ...invitation, command })
  },
})

const enrolShape = z
  .strictObject({
    name: z.string().optional().openapi({
      description: 'The host’s name. It may be left out where the token is for one name.',
    }),
    hostKeys: z.array(z.string()).min(1).max(16).openapi({
      description: 'Its public host keys, `TYPE BASE64` each.',
    }),
    port: z.int().min(1).max(65_535).optional().openapi({
      description: 'The port of its sshd. Default 22.',
    }),
  })
  .openapi('Enrolment')

const enrolMistakes = {
  name: mistakes.name,
  hostKeys: {
    code: 'invalid_public_key',
    message:
      'The hostKeys are not valid: send a list of "TYPE BASE64", as /etc/ssh/ssh_host_*_key.pub have them.',
  },
  port: invalid('The port is not valid: send a whole number from 1 to 65535.'),
} as const satisfies MemberErrors

/** `POST /v1/hosts/enrol`: a host enrols itself, with the token of an invitation. */
export const createEnrolRoute = (deps: {
  readonly enrol: Enrol
  readonly trust: Trust
  readonly revoke: Pick<Revoke, 'settle'>
}): EnrolmentRoute => ({
  method: 'post',
  path: '/v1/hosts/enrol',
  access: 'enrolment',
  summary: 'Enrol a host',
  description:
    'For the script of `postern host invite`: pins the host’s keys under the name its token is for, and answers what it is to trust.',
  body: {
    schema: enrolShape,
    example: {
      name: 'web-1.example.com',
      hostKeys: [
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx',
      ],
      port: 22,
    },
  },
  answers: [
    {
      status: 201,
      description: 'The host’s trust bundle, as GET /v1/hosts/{name}/trust answers it.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example: 'postern-trust v1\nhost web-1.example.com\n…',
    },
  ],
  failures: ['body_too_large', 'unsupported_media_type', 'invalid_host', 'invalid_public_key'],
  async handle(c, credentials) {
    const { name, hostKeys, port = 22 } = checkShape(enrolShape, await readJson(c), enrolMistakes)
    if (name !== undefined && !isHostName(name)) throw mistake('name')
    for (const key of hostKeys) {
      const fault = findHostKeyFault(key)
      if (fault === undefined) continue
      throw new AppError('invalid_public_key', `One of the hostKeys ${fault}.`)
    }
    // Just after a start there is no bundle yet, and a token is not spent for nothing.
    await deps.revoke.settle()
    const { id, address } = c.get('facts')
    const host = await deps.enrol.enrol({
      credentials,
      ...(name === undefined ? {} : { name }),
      hostKeys: [...new Set(hostKeys)],
      port,
      request: { id, address },
    })
    // What was written with it, and before it, has its number below the bundle's: it is in force after this turn.
    await setImmediate()
    const bundle = deps.trust.findBundle(host)
    if (bundle === undefined) throw new TypeError('a host that has enrolled is on the list')
    return answer(c, 201, 'text/plain; charset=utf-8', bundle)
  },
})
