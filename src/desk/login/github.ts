import { OAuthApp } from '@octokit/oauth-app'
import type { Fetch } from '../../lib/fetch.ts'
import type { Grantor } from '../session.ts'
import { type Flow, type LoginCredential, loginFailed } from './index.ts'

/** Nobody waits here: whoever needs the token does, and everybody after them. */
const renewMs = 10_000

const silence = () => {}
const silent = { debug: silence, info: silence, warn: silence, error: silence }

/** GitHub's client without a secret: the device flow needs none, nor does renewing what it gave. */
const createApp = ({ issuer, clientId, type }: Grantor, send: Fetch, signal?: AbortSignal) => {
  const clientType = type ?? 'oauth-app'
  const app = new OAuthApp({ clientType, clientId, clientSecret: 'none' })
  app.octokit.hook.before('request', (options) => {
    // Octokit's own words for these URLs are github.com's; an Enterprise Server has its own.
    options.baseUrl = issuer
    delete options['client_secret']
    options.request = { ...options.request, fetch: send, log: silent, ...(signal && { signal }) }
  })
  return app
}

interface Authentication {
  readonly token: string
  readonly expiresAt?: string
  readonly refreshToken?: string
}

const toCredential = (grantor: Grantor, given: Authentication): LoginCredential => {
  const { kind, issuer, clientId, type } = grantor
  const { token: bearer, expiresAt, refreshToken } = given
  return {
    kind: 'login',
    bearer,
    ...(expiresAt === undefined ? {} : { expiresAt: Math.floor(Date.parse(expiresAt) / 1000) }),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    grantor: { kind, issuer, clientId, ...(type === undefined ? {} : { type }) },
  }
}

/** The device flow: a code to type at GitHub, on any machine. Code: `login_failed`. */
export const logInByGithub = async (flow: Flow): Promise<LoginCredential> => {
  const { provider, person, signal } = flow
  const app = createApp(provider, flow.fetch, signal)
  try {
    const { authentication } = await app.createToken({
      ...(provider.type === 'github-app' ? {} : { scopes: [...provider.scopes] }),
      onVerification({ verification_uri: url, user_code: code }) {
        person.tell(`Type the code ${code} at ${url}`)
        person.open(url)
      },
    })
    return toCredential(provider, authentication as Authentication)
  } catch (error) {
    throw describe(error)
  }
}

/** A GitHub App's token, renewed. Code: `login_failed`. */
export const renewByGithub = async (
  credential: LoginCredential,
  send: Fetch,
): Promise<LoginCredential> => {
  const { grantor, refreshToken = '' } = credential
  const app = createApp(grantor, send, AbortSignal.timeout(renewMs))
  try {
    const { authentication } = await app.refreshToken({ refreshToken })
    return toCredential(grantor, authentication as unknown as Authentication)
  } catch (error) {
    throw describe(error)
  }
}

/** Octokit's error is not passed on: it holds the request, with what was sent. */
const describe = (error: unknown) => {
  const { response } = error as { readonly response?: { readonly data?: { error?: unknown } } }
  const said = response?.data?.error
  return loginFailed(
    typeof said === 'string' && Object.hasOwn(words, said)
      ? (words[said] as string)
      : 'GitHub did not let you log in.',
  )
}

const words: Readonly<Record<string, string>> = {
  access_denied: 'The login was refused at GitHub.',
  expired_token: 'The code has run out before it was typed at GitHub.',
  device_flow_disabled:
    'The GitHub app does not allow the device flow: its owner can switch it on.',
}
