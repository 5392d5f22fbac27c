import { AppError } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import { createBoundedFetch, type Fetch, parseProviderUrl } from './fetch.ts'
import { parseCheckedToken } from './github/answers.ts'
import { type CheckToken, createCheckToken, type GithubApp } from './github/check.ts'
import { createFindMemberships } from './github/memberships.ts'
import {
  type Caller,
  type Identity,
  type MembershipQuestion,
  type Provider,
  providerUnavailable,
  tokenRefused,
} from './index.ts'

export type { GithubApp } from './github/check.ts'

/** GitHub says by its prefix what a token is; personal, installation and refresh tokens are not ours. */
const prefixes = { 'oauth-app': 'gho_', 'github-app': 'ghu_' } as const satisfies Record<
  GithubApp['type'],
  string
>
const tokenPattern = /^gh[ou]_[A-Za-z0-9_]{16,250}$/

const bounds = { maxBytes: 2 * 1024 * 1024, deadlineMilliseconds: 5_000 }

/** What `check()` found is kept this long: GitHub counts every call. */
const checkSeconds = 60

/**
 * One GitHub server (github.com, or an Enterprise Server by its `apiUrl`) with the apps registered
 * there. Every token is checked with each app it could be of, on every request; nothing is cached.
 * Asking as the app is what ties the token to it: `GET /user` would take any app's token.
 * @throws AppError `invalid_config`
 */
export const createGithubProvider = (deps: {
  readonly apiUrl: string
  readonly apps: readonly GithubApp[]
  readonly fetch: Fetch
  readonly clock: Clock
}): Provider => {
  const { clock } = deps
  const apiUrl = deps.apiUrl.replace(/\/$/, '')
  const issuer = findServer(apiUrl)
  if (deps.apps.length === 0) {
    throw new AppError('invalid_config', `No app of the GitHub server ${issuer} is configured.`)
  }
  const send = createBoundedFetch(deps.fetch, bounds)
  const apps = deps.apps.map((app) => ({
    ...app,
    prefix: prefixes[app.type],
    checkToken: createCheckToken({ app, apiUrl, send, clock }),
  }))
  const findMemberships = createFindMemberships({ apiUrl, send, clock })

  /** Undefined where the token is not this app's. */
  const findCaller = async (app: (typeof apps)[number], token: string) => {
    const answer = await app.checkToken(token)
    if (answer === undefined) return undefined
    const { subject, name, scopes, expiresAt } = parseCheckedToken(answer, app.clientId)
    if (expiresAt !== undefined && expiresAt <= clock()) throw tokenRefused('it has expired')
    const identity: Identity = Object.freeze({
      kind: 'github',
      issuer,
      subject,
      name,
      client: app.clientId,
      groups: Object.freeze([]),
      claims: Object.freeze({}),
      mfa: false,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    })
    const readable = app.type === 'oauth-app' ? scopes : undefined
    return Object.freeze({
      identity,
      findMemberships: (questions: readonly MembershipQuestion[]) =>
        findMemberships(token, readable, questions),
    })
  }

  let checked: { readonly at: Date; readonly result: ReturnType<Provider['check']> } | undefined

  return Object.freeze({
    name: `github ${issuer}`,
    claims: (token: string) =>
      tokenPattern.test(token) && apps.some(({ prefix }) => token.startsWith(prefix)),
    async authenticate(token: string): Promise<Caller> {
      let unavailable: AppError | undefined
      for (const app of apps.filter(({ prefix }) => token.startsWith(prefix))) {
        try {
          const caller = await findCaller(app, token)
          if (caller !== undefined) return caller
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== 'idp_unavailable') throw error
          unavailable ??= error
        }
      }
      // An app GitHub did not answer for might have been the token's: that is no refusal.
      throw unavailable ?? tokenRefused('no configured app knows it')
    },
    check() {
      const at = clock()
      const age = checked === undefined ? -1 : at.getTime() - checked.at.getTime()
      if (checked === undefined || age < 0 || age >= checkSeconds * 1000) {
        checked = { at, result: checkApps(apps) }
      }
      return checked.result
    },
  })
}

/** The origin people know the server by; github.com and ghe.com have their API beside it. */
export const findServer = (apiUrl: string): string => {
  const url = parseProviderUrl(apiUrl)
  if (url === undefined || apiUrl.includes('?')) {
    throw new AppError(
      'invalid_config',
      `The GitHub apiUrl ${JSON.stringify(apiUrl)} is not usable: write its https URL without user, query or fragment (plain http on loopback only).`,
    )
  }
  const hosted = /^api\.(github\.com|[a-z0-9-]+\.ghe\.com)$/.exec(url.hostname)
  return hosted === null ? url.origin : `https://${hosted[1]}`
}

/** Asks, as each app, about a token nobody has: being told that it is unknown means that GitHub and the secret are fine. */
const checkApps = async (
  apps: readonly { readonly prefix: string; readonly checkToken: CheckToken }[],
) => {
  try {
    for (const { prefix, checkToken } of apps) {
      const answer = await checkToken(`${prefix}${'0'.repeat(36)}`)
      if (answer !== undefined) throw providerUnavailable('GitHub knows a token that nobody has')
    }
    return { ok: true as const }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { ok: false as const, reason: error.detail ?? error.message }
  }
}
