import { z } from '@hono/zod-openapi'
import type { Enrol } from '../../enrol.ts'
import { AppError } from '../../errors.ts'
import {
  findStanding,
  formatSummary,
  type Host,
  type Hosts,
  listKnownHosts,
  type Trust,
} from '../../hosts/index.ts'
import type { Clock } from '../../lib/clock.ts'
import { answer, answerJson } from '../errors.ts'
import type { IdentityRoute, RoleRoute } from './index.ts'

const time = z.string().openapi({ format: 'date-time' })

const hostSchema = z
  .object({
    name: z.string(),
    aliases: z.array(z.string()),
    address: z.string().optional(),
    port: z.number().int(),
    labels: z.record(z.string(), z.string()),
    logins: z.array(z.string()),
    hostKeys: z.array(z.string()),
    source: z.enum(['policy', 'enrolled']).openapi({
      description: '`enrolled` where it enrolled, whether or not the policy lists it too.',
    }),
    enrolledAt: time.optional(),
    lastSeen: time.optional().openapi({ description: 'When its newest report came.' }),
    trustVersion: z.number().int().optional().openapi({
      description: 'The version of its trust bundle that its newest report named.',
    }),
    wantedVersion: z.number().int().openapi({
      description: 'The version its trust bundle has by now.',
    }),
    standing: z.enum(['current', 'behind', 'silent', 'never seen']).openapi({
      description:
        '`current` with the newest bundle, `behind` with an older one, `silent` where nothing was heard of it for 15 minutes.',
    }),
  })
  .openapi('Host')

const example = {
  name: 'web-1.example.com',
  aliases: ['web-1'],
  address: '10.2.0.17',
  port: 22,
  labels: { env: 'prod' },
  logins: ['deploy'],
  hostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx'],
  source: 'enrolled',
  enrolledAt: '2026-11-22T10:00:00Z',
  lastSeen: '2026-11-22T12:00:00Z',
  trustVersion: 42,
  wantedVersion: 42,
  standing: 'current',
}

interface Deps {
  readonly hosts: Hosts
  readonly trust: Trust
  readonly enrol: Enrol
  readonly clock: Clock
}

const createDescribe =
  ({ trust, clock }: Deps) =>
  (host: Host) => {
    const wantedVersion = trust.version(host.name) ?? 0
    return { ...host, wantedVersion, standing: findStanding(host, wantedVersion, clock()) }
  }

/** `GET /v1/hosts`: every host, and how many have what they are told to trust. */
const createListRoute = (deps: Deps): RoleRoute => ({
  method: 'get',
  path: '/v1/hosts',
  access: { role: 'auditor' },
  summary: 'The hosts',
  description:
    'Those the policy lists and those that enrolled, in the order of their names, without their host keys; and in a sentence how many have the newest trust bundle.',
  answers: [
    {
      status: 200,
      description: 'The hosts.',
      contentType: 'application/json',
      schema: z
        .object({ summary: z.string(), hosts: z.array(hostSchema.omit({ hostKeys: true })) })
        .openapi('Hosts'),
      example: {
        summary: '97 of 98 hosts have the newest trust bundle; db-3 last seen 4 h ago.',
        hosts: [{ ...example, hostKeys: undefined }],
      },
    },
  ],
  failures: [],
  handle(c) {
    const hosts = deps.hosts.list().map(createDescribe(deps))
    return answerJson(c, 200, {
      summary: formatSummary(hosts, deps.clock()),
      hosts: hosts.map(({ hostKeys: _, ...host }) => host),
    })
  },
})

/** `GET /v1/hosts/{name}`: one host, by its name or an alias. */
const createShowRoute = (deps: Deps): RoleRoute => ({
  method: 'get',
  path: '/v1/hosts/{name}',
  access: { role: 'auditor' },
  summary: 'A host',
  description: 'By its name or an alias.',
  answers: [
    {
      status: 200,
      description: 'The host.',
      contentType: 'application/json',
      schema: hostSchema,
      example,
    },
  ],
  failures: ['not_found'],
  handle(c) {
    const host = deps.hosts.find(c.req.param('name') ?? '')
    if (host === undefined) throw new AppError('not_found', 'No host of this name is known.')
    return answerJson(c, 200, createDescribe(deps)(host))
  },
})

/** `DELETE /v1/hosts/{name}`: takes a host that enrolled off the list. */
const createRemoveRoute = ({ enrol }: Deps): RoleRoute => ({
  method: 'delete',
  path: '/v1/hosts/{name}',
  access: { role: 'admin' },
  summary: 'Take a host off the list',
  description:
    'Its keys are no longer pinned, and its trust bundle names no CA and no login: from its next poll it takes no certificate, until it enrols again. `postern-host remove`, run there, takes the files away.',
  answers: [
    {
      status: 200,
      description: 'It is off the list, and that is in the log.',
      contentType: 'application/json',
      schema: z.object({ name: z.string() }).openapi('RemovedHost'),
      example: { name: 'web-1.example.com' },
    },
  ],
  failures: ['not_found', 'clock_untrusted'],
  async handle(c, { identity }) {
    const { id, address } = c.get('facts')
    const request = { id, address }
    const name = await enrol.remove({ identity, request, name: c.req.param('name') ?? '' })
    return answerJson(c, 200, { name })
  },
})

/** `GET /v1/hosts/known_hosts`: every pinned host key, as ssh reads them. */
const createKnownHostsRoute = ({ hosts }: Deps): IdentityRoute => ({
  method: 'get',
  path: '/v1/hosts/known_hosts',
  access: 'identity',
  summary: 'The host keys of all hosts',
  description:
    'Lines for a known_hosts file: each key of each host, by its name, its aliases and its address.',
  answers: [
    {
      status: 200,
      description: 'The lines.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example: `web-1.example.com,web-1,10.2.0.17 ${example.hostKeys[0]}\n`,
    },
  ],
  failures: [],
  handle(c) {
    const lines = hosts.list().flatMap(listKnownHosts)
    return answer(c, 200, 'text/plain; charset=utf-8', lines.map((line) => `${line}\n`).join(''))
  },
})

/** The routes of the host list; the one of a fixed name before that of any. */
export const createHostRoutes = (deps: Deps) => [
  createListRoute(deps),
  createKnownHostsRoute(deps),
  createShowRoute(deps),
  createRemoveRoute(deps),
]
