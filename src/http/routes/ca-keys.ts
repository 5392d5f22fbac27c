import { z } from '@hono/zod-openapi'
import { isTrusted, type KeyRing, type RingKey } from '../../ca/index.ts'
import type { Code } from '../../errors.ts'
import type { KeyOrder, Rotation, Stepped } from '../../rotate.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import type { Actor, PublicRoute, RoleRoute } from './index.ts'

const keySchema = z
  .object({
    fingerprint: z.string(),
    publicKey: z.string().openapi({ description: 'A line for TrustedUserCAKeys.' }),
    state: z.enum(['next', 'active', 'retired', 'removed']),
    since: z.string().openapi({ format: 'date-time' }),
  })
  .openapi('CaKey')

const example = {
  fingerprint: 'SHA256:ZmYzSxRz7hT0sB5n0S4ElSFDJuQOwBn8sE9mVQ1gYxs',
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzUQ7tPUAGV0vjZ3zQn8RrDyvv8UnDmvEu6tvE0rIGn',
  state: 'active',
  since: '2026-11-22T10:00:00Z',
} as const

const formatKey = ({ fingerprint, publicKey, state, since }: RingKey) => ({
  fingerprint,
  publicKey,
  state,
  since,
})

/** `GET /v1/ca/keys`: the keys that hosts are to trust. */
export const createKeyListRoute = (ring: KeyRing): PublicRoute => ({
  method: 'get',
  path: '/v1/ca/keys',
  access: 'public',
  summary: "The CA's keys and their states",
  description:
    'The keys that hosts are to trust, oldest first. One is `active` and signs; a `next` one is trusted before it signs, or after, for as long as one may want to go back to it; a `retired` one is trusted for the certificates it has signed.',
  answers: [
    {
      status: 200,
      description: 'The keys.',
      contentType: 'application/json',
      schema: z.object({ keys: z.array(keySchema) }).openapi('CaKeys'),
      example: { keys: [example] },
    },
  ],
  failures: [],
  handle: (c) => answerJson(c, 200, { keys: ring.list().filter(isTrusted).map(formatKey) }),
})

const fingerprintSchema = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}$/)
  .optional()

const nextSchema = z
  .strictObject({
    agent: fingerprintSchema.openapi({
      description: 'The fingerprint of a key that the ssh-agent of ca.agentSocket holds.',
    }),
  })
  .openapi('CaKeyNext')

const stepSchema = z
  .strictObject({
    fingerprint: fingerprintSchema.openapi({
      description: 'Which key; the only one that can be meant where it is left out.',
    }),
    force: z.boolean().optional().openapi({
      description: 'Do it all the same. What that breaks is what the refusal without it says.',
    }),
  })
  .openapi('CaKeyStep')

const wrongFingerprint = {
  code: 'invalid_request',
  message: 'The fingerprint is not valid: send SHA256:… as `ssh-keygen -l` prints it.',
} as const

const mistakes = {
  agent: wrongFingerprint,
  fingerprint: wrongFingerprint,
  force: { code: 'invalid_request', message: 'Whether to force it must be true or false.' },
} as const satisfies MemberErrors

const steppedSchema = keySchema
  .extend({
    breaks: z.array(z.string()).openapi({ description: 'What the step breaks, in sentences.' }),
    silent: z.array(z.string()).openapi({
      description: 'Hosts that have not reported for a day, and may not trust the key.',
    }),
  })
  .openapi('CaKeyStepped')

const answerStep = (c: HttpContext, status: number, { breaks, silent, ...key }: Stepped) =>
  answerJson(c, status, { ...formatKey(key), breaks, silent })

const orderOf = (c: HttpContext, { identity }: Actor): KeyOrder => {
  const { id, address } = c.get('facts')
  return { identity, request: { id, address } }
}

/** The steps about a key that the ring holds. */
const steps = [
  {
    name: 'activate',
    summary: 'Sign with the next key',
    description:
      'From here on certificates are signed by it; the key before it stays trusted, and can be gone back to. Refused where a host that reported within a day does not trust it yet, unless forced.',
    failures: ['hosts_behind', 'signer_unavailable'],
  },
  {
    name: 'retire',
    summary: 'Close a key that was active',
    description: 'It never signs again. The certificates it has signed are still trusted.',
    failures: [],
  },
  {
    name: 'remove',
    summary: 'Trust a key no more',
    description:
      'Hosts are told to trust it no more. Refused while a certificate of it is alive, unless forced: then each of them stops working.',
    failures: ['certificates_alive'],
  },
] as const satisfies readonly {
  readonly name: 'activate' | 'retire' | 'remove'
  readonly summary: string
  readonly description: string
  readonly failures: readonly Code[]
}[]

/** `POST /v1/ca/keys/next`, `activate`, `retire` and `remove`. */
export const createKeyRoutes = (rotation: Rotation): readonly RoleRoute[] => [
  {
    method: 'post',
    path: '/v1/ca/keys/next',
    access: { role: 'admin' },
    summary: 'Make the next CA key',
    description:
      'Makes a key, or takes one of the ssh-agent’s. Hosts trust it, and it signs nothing.',
    body: { schema: nextSchema, example: {} },
    answers: [
      {
        status: 201,
        description: 'The key is in the ring, and that is in the log.',
        contentType: 'application/json',
        schema: steppedSchema,
        example: { ...example, state: 'next', breaks: [], silent: [] },
      },
    ],
    failures: ['body_too_large', 'unsupported_media_type', 'ca_key_conflict', 'signer_unavailable'],
    async handle(c, actor) {
      const { agent } = checkShape(nextSchema, await readJson(c), mistakes)
      return answerStep(c, 201, await rotation.next({ ...orderOf(c, actor), agent }))
    },
  },
  ...steps.map(
    ({ name, summary, description, failures }): RoleRoute => ({
      method: 'post',
      path: `/v1/ca/keys/${name}`,
      access: { role: 'admin' },
      summary,
      description,
      body: { schema: stepSchema, example: { fingerprint: example.fingerprint } },
      answers: [
        {
          status: 200,
          description: 'The step is taken, and is in the log.',
          contentType: 'application/json',
          schema: steppedSchema,
          example: { ...example, breaks: [], silent: [] },
        },
      ],
      failures: [
        'body_too_large',
        'unsupported_media_type',
        'not_found',
        'ca_key_conflict',
        ...failures,
      ],
      async handle(c, actor) {
        const { fingerprint, force } = checkShape(stepSchema, await readJson(c), mistakes)
        const order = { ...orderOf(c, actor), fingerprint, isForced: force === true }
        return answerStep(c, 200, await rotation[name](order))
      },
    }),
  ),
]
