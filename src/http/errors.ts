import { AppError, type Code, codes, statusOf } from '../errors.ts'
import type { HttpContext } from './context.ts'

/** RFC 9457, as every failure is answered. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: Code
  readonly requestId: string
}

/**
 * On every answer, whatever it is: nothing of ours is a page, a frame or a script, and nothing may
 * be kept. There is no CORS header: a browser's script from elsewhere reads nothing here.
 */
export const commonHeaders = Object.freeze({
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
})

/** What a failure that nobody foresaw is answered with. What it says stays in the log. */
export const toAppError = (error: unknown): AppError =>
  error instanceof AppError
    ? error
    : new AppError(
        'internal',
        'Something went wrong on our side. Try again, and give the requestId to an administrator if it stays.',
        { cause: error },
      )

/** `type` is relative: it names the same problem at whatever address the service is reached. */
export const formatProblem = (error: AppError, requestId: string): Problem => ({
  type: `/problems/${error.code}`,
  title: codes[error.code].title,
  status: statusOf(error.code),
  detail: error.message,
  code: error.code,
  requestId,
})

/** Codes after which the connection is of no more use: the rest of the request is still on its way. */
const closing: ReadonlySet<Code> = new Set([
  'body_too_large',
  'headers_too_large',
  'request_timeout',
  'stopping',
])

/** The challenge of RFC 6750 section 3, where a code has one. */
const challenges: { readonly [code in Code]?: string } = {
  authentication_required: 'Bearer',
  invalid_token: 'Bearer error="invalid_token"',
  token_expired: 'Bearer error="invalid_token"',
  pop_failed: 'Bearer',
  insufficient_scope: 'Bearer error="insufficient_scope"',
}

export const formatProblemHeaders = (error: AppError, requestId: string) => {
  const challenge = challenges[error.code]
  return {
    ...commonHeaders,
    'content-type': 'application/problem+json',
    'x-request-id': requestId,
    ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
    ...(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) }),
    ...(closing.has(error.code) ? { connection: 'close' } : {}),
  }
}

/** The one place where an error becomes an answer. */
export const answerProblem = (
  c: HttpContext,
  error: AppError,
  more: Readonly<Record<string, string>> = {},
): Response => {
  const facts = c.get('facts')
  facts.code = error.code
  return new Response(JSON.stringify(formatProblem(error, facts.id)), {
    status: statusOf(error.code),
    headers: { ...formatProblemHeaders(error, facts.id), ...more },
  })
}

/** An answer that is no error: the same headers, whatever its body. */
export const answer = (
  c: HttpContext,
  status: number,
  contentType: string,
  body: string,
  more: Readonly<Record<string, string>> = {},
): Response =>
  new Response(body, {
    status,
    headers: {
      ...commonHeaders,
      'content-type': contentType,
      'x-request-id': c.get('facts').id,
      ...more,
    },
  })

/** An answer without a body, as 204 and 304 are. */
export const answerEmpty = (
  c: HttpContext,
  status: number,
  more: Readonly<Record<string, string>> = {},
): Response =>
  new Response(null, {
    status,
    headers: { ...commonHeaders, ...more, 'x-request-id': c.get('facts').id },
  })

export const answerJson = (c: HttpContext, status: number, value: unknown): Response =>
  answer(c, status, 'application/json', JSON.stringify(value))
