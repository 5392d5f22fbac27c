import { z } from '@hono/zod-openapi'
import { parsePublicKey } from '../../ca/index.ts'
import { AppError } from '../../errors.ts'
import { type Host, type Hosts, listKnownHosts } from '../../hosts/index.ts'
import type { Issue } from '../../issue.ts'
import { parseDuration } from '../../lib/duration.ts'
import { isHostName, isLogin } from '../../lib/names.ts'
import type { Ask } from '../../policy/index.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import { answerJson } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import type { IdentityRoute } from './index.ts'
import { reasonSchema } from './reason.ts'

/** The body of an ask. */
export const askSchema = z
  .strictObject({
    publicKey: z.string().openapi({
      description: 'The key to certify: one line, `TYPE BASE64`, as in an `id_*.pub` file.',
    }),
    host: z.string().openapi({ description: 'The host to log in to, in lower case.' }),
    login: z.string().openapi({ description: 'The login on that host.' }),
    ttl: z.string().optional().openapi({
      description: "How long, like `90s`, `15m` or `1h`. The rule's own ttl where it is left out.",
    }),
    command: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,63}$/)
      .optional()
      .openapi({ description: "The name of one of the rule's commands, where it has some." }),
    reason: reasonSchema
      .optional()
      .openapi({ description: 'Why, in a sentence for the log. At most 512 characters.' }),
    proof: z
      .strictObject({
        time: z.string().openapi({
          description:
            'When it was signed, RFC 3339 in UTC; within a minute of the service’s clock.',
        }),
        signature: z.string().openapi({
          description: 'What `ssh-keygen -Y sign -n postern-request@v1` wrote: an armored SSHSIG.',
        }),
      })
      .optional()
      .openapi({
        description:
          'Proof that you hold the private key: its signature over the RFC 8785 JSON of the other members as they are sent, with `audience` (this service’s public URL) and `time`. Good once. Some rules require it.',
      }),
  })
  .openapi('Ask')

/** RFC 3339 in UTC, as every time on the wire. */
const time = z.string().openapi({ format: 'date-time' })

const issuedSchema = z
  .object({
    certificate: z.string().openapi({ description: 'One line, ready for a `*-cert.pub` file.' }),
    serial: z.string().openapi({ description: 'Decimal, up to 2^63 - 1: a string.' }),
    keyId: z.string().openapi({ description: 'What sshd writes to its log at the login.' }),
    principals: z.array(z.string()),
    validAfter: time,
    validBefore: time,
    rule: z.string().openapi({ description: 'The name of the rule that allowed it.' }),
    criticalOptions: z.record(z.string(), z.string()),
    extensions: z.record(z.string(), z.string()),
    host: z
      .object({
        name: z.string(),
        address: z.string().optional(),
        port: z.number().int().optional(),
        knownHosts: z.array(z.string()).optional().openapi({
          description: 'Lines for a known_hosts file: the keys that this host has, and no others.',
        }),
      })
      .openapi({ description: 'Where to connect to; only the name for a host on no list.' }),
    shortenedBy: z.enum(['token', 'when']).optional().openapi({
      description:
        'There where the certificate ends before its ttl has passed: with the token, or with the time the rule speaks of.',
    }),
  })
  .openapi('Certificate')

/** What is said of each member of an ask that has not its form. */
export const askMistakes = {
  publicKey: {
    code: 'invalid_public_key',
    message: 'The publicKey is not a string: send one line, "TYPE BASE64", as in an id_*.pub file.',
  },
  host: {
    code: 'invalid_host',
    message:
      'The host is not a host name: send it in lower case, with letters, digits, hyphens and dots, without a trailing dot, and not as an IP address.',
  },
  login: {
    code: 'invalid_login',
    message:
      'The login is not valid: send a lower-case letter or "_", then at most 31 of a-z, 0-9, "_", "." and "-".',
  },
  ttl: {
    code: 'invalid_ttl',
    message:
      'The ttl is not a duration: send a whole number from 1 and one of s, m, h, d, like "15m".',
  },
  command: {
    code: 'invalid_request',
    message: 'The command is not a name: send the name of one of the commands of the rule.',
  },
  reason: {
    code: 'invalid_request',
    message:
      'The reason is not valid: send at most 512 characters, none of them a control character.',
  },
  proof: {
    code: 'invalid_request',
    message: 'The proof is not valid: send {"time": …, "signature": …}, both strings.',
  },
} as const satisfies MemberErrors

const mistake = (member: keyof typeof askMistakes) =>
  new AppError(askMistakes[member].code, askMistakes[member].message)

/** The ask in canonical form, each member refused by its own code; a host's alias becomes its name. */
export const parseAsk = (
  body: Omit<z.output<typeof askSchema>, 'proof' | 'publicKey'>,
  hosts: Pick<Hosts, 'resolve'>,
): Ask => {
  const { host: named, login, ttl, command, reason } = body
  if (!isHostName(named)) throw mistake('host')
  const host = hosts.resolve(named)
  if (!isLogin(login)) throw mistake('login')
  const ttlSeconds = ttl === undefined ? undefined : parseDuration(ttl)
  if (ttl !== undefined && ttlSeconds === undefined) throw mistake('ttl')
  return {
    host,
    login,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(command === undefined ? {} : { command }),
    ...(reason === undefined ? {} : { reason }),
  }
}

const describeHost = (name: string, host: Host | undefined) => {
  if (host === undefined) return { name }
  const { address, port } = host
  const knownHosts = listKnownHosts(host)
  return {
    name,
    ...(address === undefined ? {} : { address }),
    port,
    ...(knownHosts.length === 0 ? {} : { knownHosts }),
  }
}

/** `POST /v1/certificates`: the shape of an ask is checked here, its right in issue.ts. */
export const createCertificatesRoute = (deps: {
  readonly issue: Issue
  readonly hosts: Hosts
  readonly metrics: Metrics
}): IdentityRoute => ({
  method: 'post',
  path: '/v1/certificates',
  access: 'identity',
  takesEnrolment: true,
  summary: 'Ask for a certificate',
  description:
    'Certifies the key for one login on one host, if the policy allows it. The certificate is answered only after its entry in the log is durable. It may end sooner than asked for with the token or with the time the rule speaks of, and then says so; nothing else is ever shortened.',
  body: {
    schema: askSchema,
    example: {
      publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx',
      host: 'runner-17.example.com',
      login: 'runner',
      ttl: '5m',
      reason: 'install runner',
    },
  },
  answers: [
    {
      status: 201,
      description: 'The certificate.',
      contentType: 'application/json',
      schema: issuedSchema,
      example: {
        certificate: 'ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQt…',
        serial: '4611686018427387904',
        keyId: 'github:583231:maya/runner-setup/req_5f0c1d2e3a4b5c6d7e8f9a0b',
        principals: ['runner@runner-17.example.com'],
        validAfter: '2026-11-22T09:59:00Z',
        validBefore: '2026-11-22T10:05:00Z',
        rule: 'runner-setup',
        criticalOptions: {},
        extensions: { 'permit-pty': '' },
        host: { name: 'runner-17.example.com' },
      },
    },
  ],
  failures: [
    'body_too_large',
    'unsupported_media_type',
    'invalid_host',
    'invalid_login',
    'invalid_ttl',
    'invalid_public_key',
    'private_key_submitted',
    'unsupported_key_type',
    'weak_key',
    'key_in_use',
    'key_revoked',
    'subject_revoked',
    'pop_failed',
    'token_expired',
    'host_unknown',
    'policy_denied',
    'mfa_required',
    'reason_required',
    'command_required',
    'ttl_too_long',
    'address_denied',
    'token_too_old',
    'proof_required',
    'quota_exceeded',
    'insufficient_scope',
    'signer_unavailable',
    'frozen',
  ],
  async handle(c, caller) {
    const { proof: signed, ...wanted } = checkShape(askSchema, await readJson(c), askMistakes)
    const ask = parseAsk(wanted, deps.hosts)
    const publicKey = parsePublicKey(wanted.publicKey)
    const proof = signed === undefined ? {} : { proof: { ...signed, wanted } }
    const { id, address } = c.get('facts')
    try {
      const issued = await deps.issue({
        caller,
        ask,
        publicKey,
        ...proof,
        request: { id, address },
      })
      deps.metrics.countDecision('allow')
      const host = describeHost(ask.host, deps.hosts.find(ask.host))
      return answerJson(c, 201, { ...issued, host })
    } catch (error) {
      const isDenial =
        error instanceof AppError && (error.kind === 'denied' || error.kind === 'unauthenticated')
      deps.metrics.countDecision(isDenial ? 'deny' : 'error')
      throw error
    }
  },
})
