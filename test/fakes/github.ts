import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { createLogin } from './github-login.ts'
import { createRoutes, type Route } from './github-routes.ts'
import { answerJson, type Misbehaviour, misbehave, readBody, serve } from './http.ts'

export interface GithubPerson {
  /** What stays when the login changes hands. */
  readonly id: number
  login: string
}

export interface GithubFakeApp {
  readonly clientId: string
  readonly clientSecret: string
  readonly type: 'oauth-app' | 'github-app'
}

type State = 'active' | 'pending'

export interface GithubTeam {
  readonly id: number
  slug: string
  name: string
  readonly members: Record<number, State>
}

export interface GithubOrg {
  readonly id: number
  login: string
  /** Person id to state. */
  readonly members: Record<number, State>
  readonly teams: GithubTeam[]
  /** The owners restrict OAuth apps, or ask for single sign-on: the org hides itself. */
  restricted?: boolean
}

export interface GithubToken {
  readonly person: number
  readonly app: string
  readonly scopes: readonly string[]
  readonly expiresAt?: Date
}

/** Everything the fake knows; tests change it at any time. */
export interface GithubWorld {
  readonly people: GithubPerson[]
  readonly apps: GithubFakeApp[]
  readonly orgs: GithubOrg[]
  readonly tokens: Map<string, GithubToken>
}

/** GitHub's own ways of saying no, beside every server's. */
const limits = {
  'rate-limited': (response) =>
    answerJson(response, 403, { message: 'API rate limit exceeded' }, limitHeaders),
  'secondary-limit': (response) =>
    answerJson(response, 403, { message: 'secondary rate limit' }, { 'retry-after': '17' }),
  'too-many': (response) => answerJson(response, 429, { message: 'slow down' }),
  unavailable: (response) => answerJson(response, 503, { message: 'Unicorn!' }),
  validation: (response) => answerJson(response, 422, { message: 'Validation Failed' }),
  'bad-credentials': (response) => answerJson(response, 401, { message: 'Bad credentials' }),
  forbidden: (response) => answerJson(response, 403, { message: 'Resource not accessible' }),
} as const satisfies Record<string, (response: ServerResponse) => void>
const limitHeaders = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' }

export type GithubTrouble = Misbehaviour | keyof typeof limits

export interface GithubSwitches {
  /** Trouble by route name (`checkToken`, `orgs`, `org`, `teams`, …). */
  readonly trouble: Partial<Record<Route['name'], GithubTrouble>>
  /** check-token answers as if for this client id. */
  wrongApp: string | undefined
  /** Laid over check-token's answer. */
  checkAnswer: Readonly<Record<string, unknown>>
  /** Where `Link` says the next page is. */
  nextLink: string | undefined
  /** At most so many items a page. */
  pageSize: number
  /** Lists pending memberships where active ones are asked for. */
  ignoreState: boolean
  /** How long each call takes before it is answered. */
  delayMillis: number
}

export interface Github {
  readonly apiUrl: string
  readonly webUrl: string
  readonly world: GithubWorld
  readonly switches: GithubSwitches
  /** How often each route was asked, and what fell outside them all (`trap`). */
  readonly requests: Record<string, number>
  /** A token as the app's login would have made it; default app the first, scopes `read:org`. */
  mintToken(
    login: string,
    options?: { app?: string; scopes?: readonly string[]; expiresAt?: Date },
  ): string
  /** The person approves what a device shows. */
  approveDevice(userCode: string, login: string): void
  close(): Promise<void>
}

/** One request as a route sees it. */
export interface GithubCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly body: Readonly<Record<string, unknown>>
  readonly names: Readonly<Record<string, string>>
}

/**
 * A GitHub server on loopback, its API under `/api/v3` as on an Enterprise Server: login in the
 * browser and by device, check-token, the user, organisations and teams, in pages. It can be told
 * to answer wrongly.
 */
export const startGithub = async (
  options: { readonly port?: number; readonly clock?: Clock } & Partial<
    Pick<GithubWorld, 'people' | 'apps' | 'orgs'>
  > = {},
): Promise<Github> => {
  const world: GithubWorld = {
    people: options.people ?? [
      { id: 583231, login: 'maya' },
      { id: 583232, login: 'sam' },
    ],
    apps: options.apps ?? [
      { clientId: 'Ov23liPostern', clientSecret: 'app-secret', type: 'oauth-app' },
    ],
    orgs: options.orgs ?? [
      {
        id: 9001,
        login: 'Acme',
        members: { 583231: 'active' },
        teams: [{ id: 70, slug: 'platform', name: 'Platform!', members: { 583231: 'active' } }],
      },
    ],
    tokens: new Map(),
  }
  const switches: GithubSwitches = {
    trouble: {},
    wrongApp: undefined,
    checkAnswer: {},
    nextLink: undefined,
    pageSize: 100,
    ignoreState: false,
    delayMillis: 0,
  }
  const requests: Record<string, number> = {}

  const createToken = (token: GithubToken): string => {
    const type = world.apps.find(({ clientId }) => clientId === token.app)?.type
    const text = `${type === 'github-app' ? 'ghu_' : 'gho_'}${randomBytes(18).toString('hex')}`
    world.tokens.set(text, token)
    return text
  }
  const findPerson = (login: string): GithubPerson => {
    const found = world.people.find((person) => person.login.toLowerCase() === login.toLowerCase())
    if (found === undefined) throw new TypeError(`there is nobody called ${login}`)
    return found
  }

  const login = createLogin({ world, createToken, findPerson })
  const routes = [
    ...login.routes,
    ...createRoutes({ world, switches, clock: options.clock ?? systemClock }),
  ]

  const server = await serve(async (request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    for (const route of routes) {
      const match = request.method === route.method ? route.path.exec(url.pathname) : null
      if (match === null) continue
      requests[route.name] = (requests[route.name] ?? 0) + 1
      if (switches.delayMillis > 0) await sleep(switches.delayMillis)
      const trouble = switches.trouble[route.name]
      if (trouble !== undefined) {
        if (trouble in limits) limits[trouble as keyof typeof limits](response)
        else misbehave(trouble as Misbehaviour, response)
        return
      }
      const body = parseBody(await readBody(request))
      route.handle({ request, response, url, body, names: match.groups ?? {} })
      return
    }
    requests['trap'] = (requests['trap'] ?? 0) + 1
    answerJson(response, 404, { message: 'Not Found' })
  }, options.port)

  return Object.freeze({
    apiUrl: `${server.url}/api/v3`,
    webUrl: server.url,
    world,
    switches,
    requests,
    mintToken: (
      login: string,
      more: { app?: string; scopes?: readonly string[]; expiresAt?: Date } = {},
    ) =>
      createToken({
        person: findPerson(login).id,
        app: more.app ?? (world.apps[0]?.clientId as string),
        scopes: more.scopes ?? ['read:org'],
        ...(more.expiresAt === undefined ? {} : { expiresAt: more.expiresAt }),
      }),
    approveDevice: login.approveDevice,
    close: server.close,
  })
}

/** JSON, or a form, as GitHub takes both. */
const parseBody = (text: string): Readonly<Record<string, unknown>> => {
  if (!text.startsWith('{')) return Object.fromEntries(new URLSearchParams(text))
  return JSON.parse(text) as Record<string, unknown>
}
