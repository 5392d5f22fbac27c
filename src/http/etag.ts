import type { HttpContext } from './context.ts'
import { commonHeaders } from './errors.ts'

/** RFC 9110 section 13.1.2: compared weakly, as a proxy that compresses makes ours a weak one. */
const isNamed = (field: string, etag: string): boolean =>
  field.split(',').some((named) => named.trim().replace(/^W\//, '') === etag)

/**
 * An answer that whoever has it already does not get again: 304 where If-None-Match names its tag
 * (quoted), and `read` is not called then.
 */
export const answerTagged = (
  c: HttpContext,
  etag: string,
  contentType: string,
  read: () => Uint8Array | string,
): Response => {
  const headers = { ...commonHeaders, etag, 'x-request-id': c.get('facts').id }
  if (isNamed(c.req.header('if-none-match') ?? '', etag)) {
    return new Response(null, { status: 304, headers })
  }
  const body = read()
  const bytes = typeof body === 'string' ? body : new Uint8Array(body)
  return new Response(bytes, { headers: { ...headers, 'content-type': contentType } })
}
