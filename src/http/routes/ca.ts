import { z } from '@hono/zod-openapi'
import { isTrusted, type KeyRing } from '../../ca/index.ts'
import { answer } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** `GET /v1/ca/user.pub`: the lines a host puts into its `TrustedUserCAKeys`, the active key first. */
export const createUserCaRoute = (ring: KeyRing): PublicRoute => ({
  method: 'get',
  path: '/v1/ca/user.pub',
  access: 'public',
  summary: "The CA's public keys",
  description:
    "A line for each key that hosts are to trust, the active one first, ready for sshd's TrustedUserCAKeys. Compare their fingerprints with what `postern ca show` prints on the server before trusting it.",
  answers: [
    {
      status: 200,
      description: 'The public keys.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzUQ7tPUAGV0vjZ3zQn8RrDyvv8UnDmvEu6tvE0rIGn\n',
    },
  ],
  failures: [],
  handle: (c) => {
    const { fingerprint } = ring.active()
    const lines = ring
      .list()
      .filter(isTrusted)
      .toSorted(
        (a, b) => Number(b.fingerprint === fingerprint) - Number(a.fingerprint === fingerprint),
      )
      .map(({ publicKey }) => `${publicKey}\n`)
    return answer(c, 200, 'text/plain; charset=utf-8', lines.join(''))
  },
})
