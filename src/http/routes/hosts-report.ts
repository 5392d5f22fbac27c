import { z } from '@hono/zod-openapi'
import { AppError } from '../../errors.ts'
import type { Hosts, Reports } from '../../hosts/index.ts'
import { readText } from '../body.ts'
import { answerEmpty } from '../errors.ts'
import type { PublicRoute } from './index.ts'

/** `POST /v1/hosts/{name}/report`: which version of its trust bundle a host has. */
export const createReportRoute = (deps: {
  readonly hosts: Hosts
  readonly reports: Reports
}): PublicRoute => ({
  method: 'post',
  path: '/v1/hosts/{name}/report',
  access: 'public',
  summary: 'Say which trust bundle a host has',
  description:
    'Plain text of five lines, `postern-report v1`, `host NAME`, `version N`, `time RFC3339`, `end`, and their signature (SSHSIG, namespace `postern-host@v1`) by a host key that is pinned. It must be of the last ten minutes, and none older than the one before.',
  text: { example: 'postern-report v1\nhost web-1.example.com\nversion 42\n…' },
  answers: [
    {
      status: 204,
      description: 'It is known now.',
      contentType: 'text/plain; charset=utf-8',
      schema: z.string(),
      example: '',
    },
  ],
  failures: [
    'body_too_large',
    'unsupported_media_type',
    'not_found',
    'report_refused',
    'clock_untrusted',
  ],
  async handle(c) {
    const text = await readText(c)
    const name = c.req.param('name') ?? ''
    const host = deps.hosts.find(name)
    if (host === undefined || host.name !== name) {
      throw new AppError('not_found', 'No host of this name is known.')
    }
    deps.reports.take(host, text)
    return answerEmpty(c, 204)
  },
})
