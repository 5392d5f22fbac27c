import { OAuthApp } from '@octokit/oauth-app'
import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Fetch } from '../fetch.ts'
import { providerUnavailable } from '../index.ts'
import { isRecord } from '../values.ts'
import { unusable } from './answers.ts'

/** An OAuth app or GitHub App whose users' tokens are taken. */
export interface GithubApp {
  readonly clientId: string
  readonly clientSecret: string
  readonly type: 'oauth-app' | 'github-app'
}

/** Asks GitHub about a token as one app: its answer, or undefined where the token is not this app's. */
export type CheckToken = (token: string) => Promise<unknown>

const silence = () => {}
const silent = { debug: silence, info: silence, warn: silence, error: silence }

/**
 * Octokit's checkToken (`POST /applications/{client_id}/token`), through our fetch to our server.
 * @throws AppError `idp_unavailable`
 */
export const createCheckToken = (deps: {
  readonly app: GithubApp
  readonly apiUrl: string
  readonly send: Fetch
  readonly clock: Clock
}): CheckToken => {
  const { app, apiUrl, send, clock } = deps
  const { type: clientType, clientId, clientSecret } = app
  const client = new OAuthApp({ clientType, clientId, clientSecret })
  client.octokit.hook.before('request', (options) => {
    options.baseUrl = apiUrl
    options.request = { ...options.request, fetch: send, log: silent }
  })

  return async (token) => {
    try {
      const { data } = await client.checkToken({ token })
      return data
    } catch (error) {
      // Octokit's error is never passed on, not even as a cause: it holds the request with the token.
      const { cause, status, response } = error as OctokitError
      if (cause instanceof AppError) throw cause
      if (!isRecord(response) || typeof status !== 'number') {
        throw providerUnavailable('GitHub answered check-token with something unreadable')
      }
      if (status === 404 || status === 422) return undefined
      if (status === 401) throw providerUnavailable('GitHub refuses the client id and secret')
      throw unusable('check-token', status, new Headers(response.headers), clock)
    }
  }
}

/** The members we read of what Octokit throws. */
interface OctokitError {
  readonly cause?: unknown
  readonly status?: unknown
  readonly response?: { readonly headers: Record<string, string> }
}
