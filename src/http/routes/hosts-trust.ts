import { z } from '@hono/zod-openapi'
import { AppError } from '../../errors.ts'
import type { Trust } from '../../hosts/index.ts'
import { answer, answerEmpty } from '../errors.ts'
import type { PublicRoute } from './index.ts'

const contentType = 'text/plain; charset=utf-8'

/** RFC 9110 section 13.1.2: compared weakly, as a proxy that compresses makes ours a weak one. */
const isNamed = (field: string, etag: string): boolean =>
  field === etag || field.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)

/** `GET /v1/hosts/{name}/trust`: what a host installs, signed. */
export const createTrustRoute = (trust: Trust): PublicRoute => ({
  method: 'get',
  path: '/v1/hosts/{name}/trust',
  access: 'public',
  summary: 'What a host is to trust',
  description:
    "The CA's public keys, the principals of the host's logins and the revocation list, in lines, signed by the trust key (SSHSIG, namespace `postern-trust@v1`) over everything before the signature. The version only rises. With the ETag of the last answer in If-None-Match it is 304 while there is nothing new.",
  answers: [
    {
      status: 200,
      description: 'The bundle.',
      contentType,
      schema: z.string(),
      example:
        'postern-trust v1\nhost web-1.example.com\nversion 42\nca ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzUQ7tPUAGV0vjZ3zQn8RrDyvv8UnDmvEu6tvE0rIGn\nprincipal deploy deploy@web-1.example.com\nkrl 44 U1NIS1JMCgAAAAAB…\nend\n-----BEGIN SSH SIGNATURE-----\n…\n-----END SSH SIGNATURE-----\n',
    },
    {
      status: 304,
      description: 'The host has it already.',
      contentType,
      schema: z.string(),
      example: '',
    },
  ],
  failures: ['not_found'],
  handle(c) {
    const name = c.req.param('name') ?? ''
    const version = trust.version(name)
    if (version === undefined) throw notFound()
    const etag = `"${version}"`
    if (isNamed(c.req.header('if-none-match') ?? '', etag)) return answerEmpty(c, 304, { etag })
    const bundle = trust.findBundle(name)
    if (bundle === undefined) throw notFound()
    const response = answer(c, 200, contentType, bundle)
    response.headers.set('etag', etag)
    return response
  },
})

const notFound = () =>
  new AppError('not_found', 'No host of this name is known: invite it, or list it in the policy.')
