import type { Log } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import type { Caller, Pool } from '../identity/index.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import type { HttpContext } from './context.ts'
import { toAppError } from './errors.ts'

/** RFC 6750 section 2.1: one `b64token`. Two headers arrive joined by a comma, which is in none. */
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

/** The one way into a route with `access: 'identity'`: who is asking, or an error. */
export type Authenticate = (c: HttpContext) => Promise<Caller>

/** What stands in the Authorization header. Code: `authentication_required`. */
export const readCredentials = (c: HttpContext, of = 'a configured identity provider'): string => {
  const credentials = bearer.exec(c.req.header('authorization') ?? '')?.[1]
  if (credentials === undefined) {
    throw new AppError(
      'authentication_required',
      `Send one header "Authorization: Bearer <token>" with a token of ${of}.`,
    )
  }
  return credentials
}

/**
 * Codes: `authentication_required` where no token was shown; `clock_untrusted`; else what the pool says. A token that
 * was shown and did not lead to an identity is an entry before the caller hears of it, and where
 * that entry cannot be written the answer is `audit_unavailable`.
 */
export const createAuthenticate = (deps: {
  readonly pool: Pool
  readonly log: Log
  readonly clock: Clock
  /** Throws while the time is in doubt. */
  readonly trustedClock: Clock
}): Authenticate => {
  const { pool, log, clock, trustedClock } = deps
  return async (c) => {
    const credentials = readCredentials(c)
    // Whether a token has ended is not to be judged by a clock that may be wrong.
    trustedClock()
    try {
      return await pool.authenticate(credentials)
    } catch (cause) {
      const error = toAppError(cause)
      const { id, address } = c.get('facts')
      await log.append({
        type: error.kind === 'unauthenticated' || error.kind === 'denied' ? 'deny' : 'error',
        time: formatTime(clock()),
        request: { id, address },
        code: error.code,
        reason: error.message,
        detail: error.detail ?? '',
      })
      throw error
    }
  }
}
