import { AppError } from '../../errors.ts'
import type { Fetch } from '../../lib/fetch.ts'
import type { Env } from '../places.ts'
import { createService, parseMembers } from '../service.ts'
import type { Credential, Grantor } from '../session.ts'

/** A provider as the service names it. */
export interface Provider extends Grantor {
  readonly flows: readonly string[]
  readonly scopes: readonly string[]
}

/** What a person is shown, and how a page is opened for them. */
export interface Person {
  /** A sentence on the terminal. */
  tell(text: string): void
  /** Opens a page in a browser; false where there is none. */
  open(url: string): boolean
}

/** What a flow works with. */
export interface Flow {
  readonly provider: Provider
  readonly person: Person
  readonly fetch: Fetch
  /** Gives up. */
  readonly signal: AbortSignal
}

export type LoginCredential = Extract<Credential, { kind: 'login' }>

const timeoutMs = 10_000

/** Where one can log in with a service. Codes: `not_running`. */
export const listProviders = async (url: string, send: Fetch): Promise<readonly Provider[]> => {
  const answer = await createService(url, send).send({ path: '/v1/identity-providers', timeoutMs })
  const { providers } = answer as { readonly providers?: unknown }
  return (Array.isArray(providers) ? providers : []).flatMap(readProvider)
}

const readProvider = (value: unknown): readonly Provider[] => {
  const { kind, issuer, clientId, type, flows, scopes } = (value ?? {}) as Partial<Provider>
  if ((kind !== 'github' && kind !== 'oidc') || !isText(issuer) || !isText(clientId)) return []
  const given = type === 'github-app' || type === 'oauth-app' ? { type } : {}
  return [{ kind, issuer, clientId, ...given, flows: listTexts(flows), scopes: listTexts(scopes) }]
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

const listTexts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter(isText) : []

/**
 * The provider and the flow that are meant: the one there is, or the one that is named. Code: `usage`.
 */
export const pickFlow = (
  providers: readonly Provider[],
  { issuer, flow }: { readonly issuer?: string | undefined; readonly flow?: string | undefined },
): { readonly provider: Provider; readonly flow: string } => {
  const found = providers.filter(
    (provider) => provider.flows.length > 0 && (issuer === undefined || provider.issuer === issuer),
  )
  const [provider, second] = found
  if (provider === undefined) {
    throw new AppError('usage', 'Nobody can log in there at a desk.', {
      hint: 'an admin names a client for it: identity.oidc[].login in postern.yaml, or a GitHub app',
    })
  }
  if (second !== undefined) {
    throw new AppError('usage', 'There are several ways to log in: name one.', {
      hint: found.map((one) => `postern login --issuer ${one.issuer}`).join('; '),
    })
  }
  const name = flow ?? (provider.flows[0] as string)
  if (!provider.flows.includes(name)) {
    throw new AppError('usage', `The service has no ${name} login for ${provider.issuer}.`, {
      hint: `it has: ${provider.flows.join(', ')}`,
    })
  }
  return { provider, flow: name }
}

/** Logs a person in. Codes: `login_failed`. */
export const logIn = async (flow: string, given: Flow): Promise<LoginCredential> => {
  if (given.provider.kind === 'github') {
    const { logInByGithub } = await import('./github.ts')
    return logInByGithub(given)
  }
  const oidc = await import('./oidc.ts')
  return flow === 'browser' ? oidc.logInByBrowser(given) : oidc.logInByDevice(given)
}

/** What a CI job was given to show, by its environment; undefined outside of one. */
export const findJobCredential = (env: Env): Credential | undefined => {
  const requestUrl = env['ACTIONS_ID_TOKEN_REQUEST_URL']
  const requestToken = env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']
  if (requestUrl !== undefined && requestToken !== undefined) {
    return { kind: 'github-actions', requestUrl, requestToken }
  }
  const bearer = env['POSTERN_ID_TOKEN']?.trim()
  if (bearer === undefined || bearer === '') return undefined
  const expiresAt = readExpiry(bearer)
  return { kind: 'job', bearer, ...(expiresAt === undefined ? {} : { expiresAt }) }
}

/** What a JWT says of its end; whether it is to be believed is for the service to say. */
const readExpiry = (jwt: string): number | undefined => {
  const payload = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8')
  const { exp } = parseMembers(payload) ?? {}
  return typeof exp === 'number' ? exp : undefined
}

/** A login that went wrong, in a sentence of ours: what the provider said is not repeated. */
export const loginFailed = (message: string, cause?: unknown): AppError =>
  new AppError('login_failed', message, {
    hint: 'try again: postern login',
    ...(cause === undefined ? {} : { cause }),
  })
