import { z } from '@hono/zod-openapi'
import type { Scripts } from '../../hosts/index.ts'
import { answer } from '../errors.ts'
import type { PublicRoute } from './index.ts'

const contentType = 'text/plain; charset=utf-8'

/** `GET /enrol` and what the script there downloads: public, as nothing in it is secret. */
export const createScriptRoutes = (scripts: Scripts): readonly PublicRoute[] =>
  [
    {
      path: '/enrol',
      text: scripts.enrol,
      summary: 'The script that enrols a host',
      description:
        'POSIX sh, to be read first or piped into sh as `postern host invite` says. It trusts nothing but the key in its token.',
      example: '#!/bin/sh\n',
    },
    {
      path: '/enrol/postern-host',
      text: scripts.host,
      summary: 'The script that stays on a host',
      description:
        'POSIX sh: it fetches and applies the trust bundle, says how things stand, and undoes all.',
      example: '#!/bin/sh\n',
    },
    {
      path: '/enrol/postern-host.sig',
      text: scripts.hostSignature,
      summary: 'The signature of that script',
      description: 'SSHSIG by the trust key, namespace `postern-script@v1`.',
      example: '-----BEGIN SSH SIGNATURE-----\n',
    },
  ].map(({ path, text, summary, description, example }) => ({
    method: 'get',
    path: path as `/${string}`,
    access: 'public',
    summary,
    description,
    answers: [{ status: 200, description: 'The text.', contentType, schema: z.string(), example }],
    failures: [],
    handle: (c) => answer(c, 200, contentType, text),
  }))
