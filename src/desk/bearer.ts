import { AppError } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { toSeconds } from '../lib/clock.ts'
import type { Fetch } from '../lib/fetch.ts'
import { parseMembers } from './service.ts'
import type { Credential, Session } from './session.ts'

/** A token this close to its end is renewed first. */
const marginSeconds = 30

/**
 * The token to show now, and the credential that is to be kept in place of the old one where it was
 * renewed. Codes: `not_logged_in` where it has ended and cannot be renewed, `login_failed`.
 */
export const findBearer = async (deps: {
  readonly session: Session
  readonly clock: Clock
  readonly fetch: Fetch
  /** Whatever its end is said to be: the service has refused it. */
  readonly isRefused?: boolean
}): Promise<{ readonly bearer: string; readonly renewed?: Credential }> => {
  const { session, clock, isRefused = false } = deps
  const { credential } = session
  if (credential.kind === 'github-actions') return { bearer: await requestJobToken(deps) }
  const { bearer, expiresAt } = credential
  const left = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - toSeconds(clock())
  if (!isRefused && left > marginSeconds) return { bearer }
  if (credential.kind === 'login' && credential.refreshToken !== undefined) {
    const { renew } = await import('./login/renew.ts')
    const renewed = await renew(credential, deps)
    return { bearer: renewed.bearer, renewed }
  }
  if (!isRefused && left > 0) return { bearer }
  throw new AppError('not_logged_in', 'Your login has ended.', {
    hint: 'log in again: postern login',
  })
}

/** When a login ends for good, in seconds; undefined where nobody knows yet. */
export const findEnd = ({ credential }: Session): number | undefined =>
  credential.kind === 'github-actions' ||
  (credential.kind === 'login' && credential.refreshToken !== undefined)
    ? undefined
    : credential.expiresAt

const timeoutMs = 5_000

/** GitHub gives a job an ID token for the audience it names; ours is the service's own URL. */
const requestJobToken = async (deps: {
  readonly session: Session
  readonly fetch: Fetch
}): Promise<string> => {
  const { url: audience, credential } = deps.session
  if (credential.kind !== 'github-actions') throw new TypeError('not a job of GitHub Actions')
  const url = new URL(credential.requestUrl)
  url.searchParams.set('audience', audience)
  try {
    const response = await deps.fetch(url.href, {
      headers: { authorization: `Bearer ${credential.requestToken}` },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const value = parseMembers(await response.text())?.['value']
    if (response.ok && typeof value === 'string' && value !== '') return value
  } catch {
    // Told below, without what was sent.
  }
  throw new AppError('login_failed', 'GitHub Actions gave this job no ID token.', {
    hint: 'give the job the permission: permissions: { id-token: write }',
  })
}
