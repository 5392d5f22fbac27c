import { generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'
import { findPort } from '../ssh/sshd.ts'
import { serve } from './http.ts'

/** The certified OpenID provider on loopback, with a public client for a command line. */
export interface CertifiedProvider {
  readonly issuer: string
  readonly clientId: string
  /** What the person does in a browser: opens a page, logs in, consents; the page it ends with. */
  browse(url: string, login?: string): Promise<{ readonly url: string; readonly text: string }>
  /** The same for a device's code. */
  approve(url: string, code: string, login?: string): Promise<void>
  /** How often each of its paths was asked. */
  readonly requests: Record<string, number>
  close(): Promise<void>
}

const clientId = 'postern-cli'

/** `idTokenSeconds` is the life of what people log in with. */
export const startCertifiedProvider = async ({
  idTokenSeconds = 600,
}: {
  readonly idTokenSeconds?: number
} = {}): Promise<CertifiedProvider> => {
  const port = await findPort()
  const issuer = `http://127.0.0.1:${port}`
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
        ],
        redirect_uris: ['http://127.0.0.1/callback'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: {
      keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'one' }],
    },
    cookies: { keys: ['only here'] },
    scopes: ['openid', 'offline_access', 'profile'],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true } },
    ttl: { IdToken: idTokenSeconds, AccessToken: 600, Session: 600, Grant: 600, Interaction: 600 },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: ['platform'] }),
    }),
  })
  // Nobody should wait five seconds for a code that is typed at once.
  provider.use(async (context, next) => {
    await next()
    if (context.path === '/device/auth') Object.assign(context.body, { interval: 1 })
  })
  const requests: Record<string, number> = {}
  const answer = provider.callback()
  const server = await serve((request, response) => {
    const path = URL.parse(request.url ?? '', issuer)?.pathname ?? ''
    requests[path] = (requests[path] ?? 0) + 1
    return answer(request, response)
  }, port)

  return Object.freeze({
    issuer,
    clientId,
    requests,
    browse: (url: string, login = 'maya') => createBrowser(login).open(url),
    async approve(url: string, code: string, login = 'maya') {
      const browser = createBrowser(login)
      const { text } = await browser.open(url)
      const confirm = await browser.submit(url, text, { user_code: code })
      await browser.submit(confirm.url, confirm.text)
    },
    close: server.close,
  })
}

/** A browser with cookies, whose person fills in what the provider's pages ask. */
const createBrowser = (login: string) => {
  const cookies = new Map<string, string>()
  const go = async (
    url: string,
    body?: URLSearchParams,
  ): Promise<{ url: string; text: string }> => {
    const response = await fetch(url, {
      redirect: 'manual',
      method: body === undefined ? 'GET' : 'POST',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body === undefined ? {} : { body }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    const text = await response.text()
    if (location !== null) return go(new URL(location, url).href)
    return text.includes('name="prompt"') ? submit(url, text) : { url, text }
  }
  const submit = (url: string, page: string, typed: Readonly<Record<string, string>> = {}) => {
    const form = new URLSearchParams(typed)
    for (const [, name = '', value = ''] of page.matchAll(
      /type="hidden" name="([^"]+)" value="([^"]*)"/g,
    )) {
      form.set(name, value)
    }
    if (page.includes('name="login"')) {
      form.set('login', login)
      form.set('password', 'any')
    }
    const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1] ?? url
    return go(new URL(action, url).href, form)
  }
  return { open: (url: string) => go(url), submit }
}
