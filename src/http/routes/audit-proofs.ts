import { z } from '@hono/zod-openapi'
import type { Evidence } from '../../audit/index.ts'
import { AppError } from '../../errors.ts'
import type { HttpContext } from '../context.ts'
import { answer, answerJson } from '../errors.ts'
import type { PublicRoute, RoleRoute } from './index.ts'

/** `GET /v1/audit/checkpoint`: the newest checkpoint, for anyone to keep. */
export const createCheckpointRoute = (evidence: Evidence): PublicRoute => ({
  method: 'get',
  path: '/v1/audit/checkpoint',
  access: 'public',
  summary: "The log's newest signed checkpoint",
  description:
    'How many entries the log has and the root of their Merkle tree (RFC 6962), signed with the key of the log: a C2SP checkpoint in a signed note. Keep it where nobody who can write the log can write: `postern audit verify --against` then finds what was removed or changed since. It says nothing of what the entries hold.',
  answers: [
    {
      status: 200,
      description: 'The signed note.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example:
        'postern.example.com/log\n42\nqk0Yz6H3bgMQUXZ7bGpCmZC3QJ5Nw2q6j2PZ1VbO0mY=\n\n— postern.example.com/log Pf0dZg…\n',
    },
  ],
  failures: ['audit_unavailable'],
  handle: (c) => answer(c, 200, 'text/plain; charset=utf-8', evidence.checkpoint()),
})

const hash = z.string().openapi({ description: '32 bytes in base64.' })

const inclusionSchema = z
  .object({
    seq: z.int(),
    size: z.int(),
    leaf: hash,
    root: hash,
    hashes: z.array(hash),
  })
  .openapi('InclusionProof')

const consistencySchema = z
  .object({
    from: z.int(),
    to: z.int(),
    fromRoot: hash,
    root: hash,
    hashes: z.array(hash),
  })
  .openapi('ConsistencyProof')

const example = {
  seq: 2,
  size: 2,
  leaf: 'qk0Yz6H3bgMQUXZ7bGpCmZC3QJ5Nw2q6j2PZ1VbO0mY=',
  root: 'X6mA1p7dXlUeK7iZ1kpHMsQ0v8b0l0yHqOAV5wHcO3o=',
  hashes: ['7mbr0aSgy0vUGfuvnE9ofsU2ehPEuZTlsr8yqhhmF14='],
}

/**
 * `GET /v1/audit/proof`: that an entry is counted, or that a log has only grown. Reading hashes tells
 * nothing of people, and still costs work: it takes the role auditor.
 */
export const createProofRoute = (evidence: Evidence): RoleRoute => ({
  method: 'get',
  path: '/v1/audit/proof',
  access: { role: 'auditor' },
  summary: 'Prove that an entry is counted, or that the log has only grown',
  description:
    'With `seq`, and `size` or else the newest checkpoint: the hashes that lead from the entry to the root (RFC 6962 section 2.1.1, with index `seq` - 1). With `from`, and `to` or else the newest checkpoint: those that lead from one checkpoint to the other (section 2.1.2).',
  query: {
    seq: 'The number of an entry, from 1.',
    size: 'The size of the tree that counts it.',
    from: 'The size of the older tree.',
    to: 'The size of the newer one.',
  },
  answers: [
    {
      status: 200,
      description: 'The hashes, nearest to the entry first.',
      contentType: 'application/json',
      schema: z.union([inclusionSchema, consistencySchema]),
      example,
    },
  ],
  failures: [],
  async handle(c) {
    const { seq, size, from, to } = readNumbers(c)
    if (seq !== undefined && from === undefined && to === undefined) {
      return answerJson(c, 200, await evidence.proveInclusion(seq, size))
    }
    if (from !== undefined && seq === undefined && size === undefined) {
      return answerJson(c, 200, await evidence.proveConsistency(from, to))
    }
    throw new AppError(
      'invalid_request',
      'Ask with "seq" and perhaps "size", or with "from" and perhaps "to".',
    )
  },
})

type Name = 'seq' | 'size' | 'from' | 'to'

const readNumbers = (c: HttpContext): Readonly<Partial<Record<Name, number>>> =>
  Object.fromEntries(
    Object.entries(c.req.query()).map(([name, text]) => {
      if (!/^[1-9][0-9]{0,12}$/.test(text)) {
        throw new AppError('invalid_request', `Send "${name}" as a whole number from 1.`)
      }
      return [name, Number(text)]
    }),
  )
