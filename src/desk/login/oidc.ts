import * as client from 'openid-client'
import { AppError } from '../../errors.ts'
import { isLoopbackHost } from '../../lib/address.ts'
import type { Fetch } from '../../lib/fetch.ts'
import type { Grantor } from '../session.ts'
import { type Flow, type LoginCredential, loginFailed } from './index.ts'
import { listenForAnswer } from './loopback.ts'

const timeoutSeconds = 10

/** The issuer as it describes itself; its document must name exactly the issuer asked. */
const discover = ({ issuer, clientId }: Grantor, send: Fetch): Promise<client.Configuration> => {
  const url = new URL(issuer)
  const isPlain = url.protocol === 'http:' && isLoopbackHost(url.hostname)
  return client.discovery(url, clientId, undefined, client.None(), {
    timeout: timeoutSeconds,
    [client.customFetch]: (address, options) => send(address, options as RequestInit),
    execute: isPlain ? [client.allowInsecureRequests] : [],
  })
}

type Tokens = Awaited<ReturnType<typeof client.authorizationCodeGrant>>

/** The ID token is what the service takes: it is made for our client, and says when it ends. */
const toCredential = (grantor: Grantor, tokens: Tokens, before?: string): LoginCredential => {
  const { id_token: bearer, refresh_token: refreshToken = before } = tokens
  const claims = tokens.claims()
  if (bearer === undefined || claims === undefined) {
    throw loginFailed('The identity provider gave no ID token: its client needs the scope openid.')
  }
  const { kind, issuer, clientId } = grantor
  return {
    kind: 'login',
    bearer,
    expiresAt: claims.exp,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    grantor: { kind, issuer, clientId },
  }
}

/** Whatever the provider said stays with the cause: it may quote what was sent. */
const guard = async <T>(message: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AppError) throw error
    throw loginFailed(message, error)
  }
}

/** Which scopes need asking the person: without it a provider may leave out the refresh token. */
const parametersFor = (scopes: readonly string[]) => ({
  scope: scopes.join(' '),
  ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
})

/**
 * The code flow with PKCE (RFC 7636), its answer taken on a loopback port (RFC 8252 section 7.3): the
 * state, the nonce, and the issuer of the answer (RFC 9207) are checked. Code: `login_failed`.
 */
export const logInByBrowser = (flow: Flow): Promise<LoginCredential> =>
  guard('The identity provider did not let you log in.', async () => {
    const { provider, person, signal } = flow
    const config = await discover(provider, flow.fetch)
    const state = client.randomState()
    const nonce = client.randomNonce()
    const verifier = client.randomPKCECodeVerifier()
    const answer = await listenForAnswer({ state, signal })
    try {
      const url = client.buildAuthorizationUrl(config, {
        ...parametersFor(provider.scopes),
        redirect_uri: answer.redirectUri,
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
      const isOpened = person.open(url.href)
      person.tell(`${isOpened ? 'Your browser opens' : 'Open this page'}: ${url.href}`)
      const tokens = await client.authorizationCodeGrant(config, await answer.arrived, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      })
      return toCredential(provider, tokens)
    } finally {
      answer.close()
    }
  })

/** The device flow (RFC 8628): a code to type on any machine. Code: `login_failed`. */
export const logInByDevice = (flow: Flow): Promise<LoginCredential> =>
  guard('The identity provider did not let you log in.', async () => {
    const { provider, person, signal } = flow
    const config = await discover(provider, flow.fetch)
    const device = await client.initiateDeviceAuthorization(config, parametersFor(provider.scopes))
    person.tell(`Type the code ${device.user_code} at ${device.verification_uri}`)
    const tokens = await client.pollDeviceAuthorizationGrant(config, device, undefined, { signal })
    return toCredential(provider, tokens)
  })

/** Code: `login_failed`. */
export const renewByOidc = (credential: LoginCredential, send: Fetch): Promise<LoginCredential> =>
  guard('The identity provider did not renew your login.', async () => {
    const { grantor, refreshToken = '' } = credential
    const config = await discover(grantor, send)
    const tokens = await client.refreshTokenGrant(config, refreshToken)
    return toCredential(grantor, tokens, refreshToken)
  })
