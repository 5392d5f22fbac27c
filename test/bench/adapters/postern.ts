import type { Adapter } from '../target.ts'

/** `POST /v1/certificates`, as Postern and whoever speaks its shape takes it. */
export const adapter: Adapter = {
  issued: 201,
  formatRequest: ({ token, publicKey }) => ({
    path: '/v1/certificates',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      publicKey,
      host: 'web-1.example.com',
      login: 'deploy',
      reason: 'bench',
    }),
  }),
}
