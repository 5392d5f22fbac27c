import { z } from '@hono/zod-openapi'
import type { Authority } from '../../ca/index.ts'
import { answer } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** `GET /v1/ca/user.pub`: the line a host puts into its `TrustedUserCAKeys`. */
export const createUserCaRoute = (authority: Authority): PublicRoute => ({
  method: 'get',
  path: '/v1/ca/user.pub',
  access: 'public',
  summary: "The CA's public key",
  description:
    "One line, ready for sshd's TrustedUserCAKeys. Compare its fingerprint with what `postern ca show` prints on the server before trusting it.",
  answers: [
    {
      status: 200,
      description: 'The public key.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzUQ7tPUAGV0vjZ3zQn8RrDyvv8UnDmvEu6tvE0rIGn\n',
    },
  ],
  failures: [],
  handle: (c) => answer(c, 200, 'text/plain; charset=utf-8', `${authority.publicKey}\n`),
})
