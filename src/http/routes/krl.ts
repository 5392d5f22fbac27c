import { z } from '@hono/zod-openapi'
import { encodeHex, sha256 } from '../../lib/bytes.ts'
import type { Revoke } from '../../revoke.ts'
import { answerTagged } from '../etag.ts'
import type { PublicRoute } from './index.ts'

const contentType = 'application/octet-stream'

/** `GET /v1/krl`: the file for sshd's `RevokedKeys`. */
export const createKrlRoute = ({ krl, settle }: Pick<Revoke, 'krl' | 'settle'>): PublicRoute => {
  let tagged: { readonly bytes: Uint8Array; readonly etag: string } | undefined
  return {
    method: 'get',
    path: '/v1/krl',
    access: 'public',
    summary: 'The revocation list',
    description:
      "An OpenSSH KRL, ready for sshd's RevokedKeys; it names what POST /v1/revocations has answered, and is a valid empty one where nothing is revoked. Install it whole or not at all: sshd refuses every key while the file is missing or damaged, and takes one that is cut off at the end of a section. Nothing signs it; a host that enrolled gets it inside its signed trust bundle. It ends no session: sshd reads it at logins alone. With the ETag of the last answer in If-None-Match it is 304 while there is nothing new.",
    answers: [
      {
        status: 200,
        description: 'The KRL.',
        contentType,
        schema: z.string().openapi({ format: 'binary' }),
        example: 'SSHKRL\\n\\0…',
      },
      {
        status: 304,
        description: 'The caller has it already.',
        contentType,
        schema: z.string(),
        example: '',
      },
    ],
    failures: ['audit_unavailable'],
    async handle(c) {
      await settle()
      const { bytes } = krl()
      if (tagged?.bytes !== bytes)
        tagged = { bytes, etag: `"${encodeHex(sha256(bytes)).slice(0, 32)}"` }
      return answerTagged(c, tagged.etag, contentType, () => bytes)
    },
  }
}
