import { randomBytes } from 'node:crypto'
import type { GithubCall, GithubPerson, GithubToken, GithubWorld } from './github.ts'
import type { Route } from './github-routes.ts'
import { answerJson } from './http.ts'

interface Grant {
  readonly app: string
  readonly scopes: readonly string[]
  readonly redirectUri?: string
  person?: number
}

/**
 * How a person gets a token: in the browser (`authorize`, then the code) and by device. The fake's
 * browser has no page: the `login` parameter says who sits in front of it.
 */
export const createLogin = (deps: {
  readonly world: GithubWorld
  readonly createToken: (token: GithubToken) => string
  readonly findPerson: (login: string) => GithubPerson
}): {
  readonly routes: readonly Route[]
  readonly approveDevice: (userCode: string, login: string) => void
} => {
  const { world, createToken, findPerson } = deps
  const codes = new Map<string, Grant>()
  const devices = new Map<string, Grant & { readonly userCode: string }>()

  const splitScopes = (text: string): readonly string[] => text.split(/[ ,]+/).filter(Boolean)

  const authorize = ({ response, url }: GithubCall) => {
    const app = url.searchParams.get('client_id') ?? ''
    const redirectUri = url.searchParams.get('redirect_uri') ?? ''
    if (!world.apps.some(({ clientId }) => clientId === app)) {
      answerJson(response, 404, { message: 'Not Found' })
      return
    }
    const code = randomBytes(10).toString('hex')
    const scopes = splitScopes(url.searchParams.get('scope') ?? '')
    const person = findPerson(url.searchParams.get('login') ?? '').id
    codes.set(code, { app, scopes, redirectUri, person })
    const target = new URL(redirectUri)
    target.searchParams.set('code', code)
    target.searchParams.set('state', url.searchParams.get('state') ?? '')
    response.writeHead(302, { location: target.href })
    response.end()
  }

  const startDevice = ({ response, body, url }: GithubCall) => {
    const app = String(body['client_id'])
    const deviceCode = randomBytes(20).toString('hex')
    const userCode = randomBytes(4).toString('hex').toUpperCase()
    devices.set(deviceCode, { app, scopes: splitScopes(String(body['scope'] ?? '')), userCode })
    answerJson(response, 200, {
      device_code: deviceCode,
      user_code: userCode,
      verification_uri: `${url.origin}/login/device`,
      expires_in: 900,
      interval: 1,
    })
  }

  const findGrant = (body: GithubCall['body']): Grant | { readonly error: string } => {
    const app = world.apps.find(({ clientId }) => clientId === body['client_id'])
    if (typeof body['device_code'] === 'string') {
      const grant = devices.get(body['device_code'])
      if (grant === undefined || grant.app !== app?.clientId)
        return { error: 'incorrect_device_code' }
      if (grant.person === undefined) return { error: 'authorization_pending' }
      devices.delete(body['device_code'])
      return grant
    }
    if (app?.clientSecret !== body['client_secret'])
      return { error: 'incorrect_client_credentials' }
    const code = String(body['code'])
    const grant = codes.get(code)
    codes.delete(code)
    const isTheirs = grant !== undefined && grant.app === app?.clientId
    return isTheirs ? grant : { error: 'bad_verification_code' }
  }

  const exchange = ({ response, body }: GithubCall) => {
    const grant = findGrant(body)
    if ('error' in grant) {
      answerJson(response, 200, grant)
      return
    }
    const { app, scopes, person } = grant
    const token = createToken({ person: person as number, app, scopes })
    answerJson(response, 200, {
      access_token: token,
      scope: scopes.join(','),
      token_type: 'bearer',
    })
  }

  return {
    routes: [
      { name: 'authorize', method: 'GET', path: /^\/login\/oauth\/authorize$/, handle: authorize },
      { name: 'device', method: 'POST', path: /^\/login\/device\/code$/, handle: startDevice },
      {
        name: 'accessToken',
        method: 'POST',
        path: /^\/login\/oauth\/access_token$/,
        handle: exchange,
      },
    ],
    approveDevice: (userCode, login) => {
      const grant = [...devices.values()].find((device) => device.userCode === userCode)
      if (grant === undefined) throw new TypeError(`no device shows ${userCode}`)
      grant.person = findPerson(login).id
    },
  }
}
