import type { KeyObject } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock, toSeconds } from '../../src/lib/clock.ts'
import { answerJson, type Misbehaviour, misbehave, readBody, serve } from './http.ts'
import { encodeJwt, generateKey, type SigningKey } from './jwt.ts'

/** Somebody the issuer knows: the claims of their tokens beside the issuer's own. */
export type Person = Readonly<Record<string, unknown>> & { readonly sub: string }

/** Maya is in the group `platform`, sam in none. */
export const defaultPeople: Readonly<Record<string, Person>> = {
  maya: {
    sub: 'u-1001',
    preferred_username: 'maya',
    email: 'maya@example.com',
    email_verified: true,
    groups: ['platform'],
  },
  sam: {
    sub: 'u-1002',
    preferred_username: 'sam',
    email: 'sam@example.com',
    email_verified: true,
    groups: [],
  },
}

/** What the issuer can be told to do wrong, per document; set and unset them at any time. */
export interface OidcSwitches {
  discovery: Misbehaviour | undefined
  keys: Misbehaviour | undefined
  /** The `issuer` its discovery document names. */
  discoveryIssuer: string | undefined
  /** The `jwks_uri` its discovery document names. */
  jwksUri: string | undefined
  /** Put before its own keys in the key set. */
  oddKeys: readonly unknown[]
  /** The whole text of the key set. */
  keysText: string | undefined
}

export interface MintOptions {
  /** Signs with the issuer's key for it, made and published when first needed. Default ES256. */
  readonly alg?: string
  /** Laid over `{ alg, kid, typ: 'JWT' }`; an `undefined` member is left out. */
  readonly header?: Readonly<Record<string, unknown>>
  /** Signs with this instead. */
  readonly key?: KeyObject
  /** Seconds until `exp`. Default 300. */
  readonly expiresIn?: number
}

export interface OidcIssuer {
  readonly issuer: string
  /** How often each document was asked for; `trap` is what a redirect or a header pointed to. */
  readonly requests: { discovery: number; keys: number; token: number; trap: number }
  readonly switches: OidcSwitches
  /** A token over the default claims (`iss sub aud iat exp`) with these laid over; undefined leaves one out. */
  mint(claims?: Readonly<Record<string, unknown>>, options?: MintOptions): Promise<string>
  /** The token `POST /token` would answer for one of the people. */
  mintFor(user: string, claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** The issuer's key for an algorithm, made and published when first needed. */
  findKey(alg: string): Promise<SigningKey>
  /** Forgets every key: from now on tokens are signed with, and the key set holds, new ones alone. */
  rotate(): void
  close(): Promise<void>
}

/**
 * An OpenID Connect issuer on loopback. It checks nobody's password: `POST /token` with the form
 * field `user` (and `audience`) answers that person's token, as JSON, or as bare text with
 * `Accept: text/plain` or `?format=text`. It can be told to answer wrongly.
 */
export const startOidcIssuer = async (
  options: {
    readonly port?: number
    readonly people?: Readonly<Record<string, Person>>
    readonly clock?: Clock
    readonly audience?: string
  } = {},
): Promise<OidcIssuer> => {
  const { people = defaultPeople, clock = systemClock, audience = 'postern' } = options
  const keys = new Map<string, Promise<SigningKey>>()
  const requests = { discovery: 0, keys: 0, token: 0, trap: 0 }
  const switches: OidcSwitches = {
    discovery: undefined,
    keys: undefined,
    discoveryIssuer: undefined,
    jwksUri: undefined,
    oddKeys: [],
    keysText: undefined,
  }
  let generation = 1

  const findKey = (alg: string): Promise<SigningKey> => {
    const known = keys.get(alg)
    if (known !== undefined) return known
    const made = generateKey(alg, `${alg.toLowerCase()}-${generation}`)
    keys.set(alg, made)
    return made
  }

  const mint: OidcIssuer['mint'] = async (claims = {}, { alg, header, key, expiresIn } = {}) => {
    const name = alg ?? 'ES256'
    const own = key === undefined ? await findKey(name) : undefined
    const now = toSeconds(clock())
    const payload = {
      iss: server.url,
      sub: 'u-1001',
      aud: audience,
      iat: now,
      exp: now + (expiresIn ?? 300),
      ...claims,
    }
    const head = { alg: name, kid: own?.kid, typ: 'JWT', ...header }
    return encodeJwt(JSON.stringify(head), JSON.stringify(payload), name, key ?? own?.privateKey)
  }

  const mintFor: OidcIssuer['mintFor'] = async (user, claims = {}) => {
    const person = Object.hasOwn(people, user) ? people[user] : undefined
    if (person === undefined) throw new TypeError(`there is nobody called ${user}`)
    return mint({ ...person, ...claims })
  }

  const answerToken = async (request: IncomingMessage, response: ServerResponse, url: URL) => {
    const form = new URLSearchParams(await readBody(request))
    const user = form.get('user') ?? ''
    if (!Object.hasOwn(people, user)) {
      answerJson(response, 400, {
        error: 'invalid_grant',
        error_description: 'Nobody of that name.',
      })
      return
    }
    const token = await mintFor(user, { aud: form.get('audience') ?? audience })
    const asText =
      url.searchParams.get('format') === 'text' ||
      (request.headers.accept ?? '').startsWith('text/plain')
    if (asText) {
      response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' })
      response.end(`${token}\n`)
      return
    }
    const body = { access_token: token, id_token: token, token_type: 'Bearer', expires_in: 300 }
    answerJson(response, 200, body, { 'cache-control': 'no-store' })
  }

  const answerDiscovery = (response: ServerResponse) => {
    if (switches.discovery !== undefined) return misbehave(switches.discovery, response)
    answerJson(response, 200, {
      issuer: switches.discoveryIssuer ?? server.url,
      jwks_uri: switches.jwksUri ?? `${server.url}/keys`,
      token_endpoint: `${server.url}/token`,
      response_types_supported: ['token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [...keys.keys()],
    })
  }

  const answerKeys = async (response: ServerResponse) => {
    if (switches.keys !== undefined) return misbehave(switches.keys, response)
    if (switches.keysText !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(switches.keysText)
      return
    }
    const own = await Promise.all(keys.values())
    answerJson(response, 200, { keys: [...switches.oddKeys, ...own.map(({ jwk }) => jwk)] })
  }

  const server = await serve(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://issuer')
    const route = `${request.method} ${url.pathname}`
    if (route === 'GET /.well-known/openid-configuration') {
      requests.discovery++
      answerDiscovery(response)
    } else if (route === 'GET /keys') {
      requests.keys++
      await answerKeys(response)
    } else if (route === 'POST /token') {
      requests.token++
      await answerToken(request, response, url)
    } else {
      requests.trap++
      answerJson(response, 404, { error: 'not_found' })
    }
  }, options.port)

  await findKey('ES256')
  return Object.freeze({
    issuer: server.url,
    requests,
    switches,
    mint,
    mintFor,
    findKey,
    rotate: () => {
      const algs = [...keys.keys()]
      generation++
      keys.clear()
      for (const alg of algs) findKey(alg)
    },
    close: server.close,
  })
}
