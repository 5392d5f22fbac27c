import { AppError } from '../../src/errors.ts'
import type { Provider } from '../../src/identity/index.ts'
import { createOidcProvider, type OidcOptions } from '../../src/identity/oidc.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { OidcIssuer } from '../fakes/oidc.ts'

export const refusedMessage =
  'The token is not accepted: send a current token of a configured identity provider, made for this service.'
export const unavailableMessage =
  'The identity provider does not answer, so the token could not be checked: try again in a moment.'

export interface TestClock extends Clock {
  advance(seconds: number): void
}

/** A clock that stands at 2026-11-22T10:00:00Z until it is moved. */
export const createTestClock = (): TestClock => {
  let now = Date.UTC(2026, 10, 22, 10)
  return Object.assign(() => new Date(now), {
    advance: (seconds: number) => {
      now += seconds * 1000
    },
  })
}

/** What came of asking: the error's parts, or an exception of the test's own where there was none. */
export const refusalOf = async (promise: Promise<unknown>) => {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message, detail, retryAfter } = error
    return { code, message, detail, ...(retryAfter === undefined ? {} : { retryAfter }) }
  }
  throw new Error('it was accepted')
}

/** What `refusalOf` gives for a token that is not accepted. */
export const refused = (detail: string) => ({
  code: 'invalid_token',
  message: refusedMessage,
  detail,
})

/** What `refusalOf` gives for a provider that cannot answer. */
export const unavailable = (detail: string, retryAfter = 5) => ({
  code: 'idp_unavailable',
  message: unavailableMessage,
  detail,
  retryAfter,
})

/** A provider for the fake issuer, with the audience `postern` and ES256 unless told otherwise. */
export const createTestProvider = (
  { issuer }: Pick<OidcIssuer, 'issuer'>,
  clock: Clock,
  more: Partial<OidcOptions> & { readonly fetch?: typeof fetch } = {},
): Provider =>
  createOidcProvider({
    issuer,
    audience: ['postern'],
    algorithms: ['ES256'],
    maxTokenAgeSeconds: 3600,
    fetch,
    clock,
    ...more,
  })
