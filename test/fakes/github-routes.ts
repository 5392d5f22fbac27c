import type { Clock } from '../../src/lib/clock.ts'
import type {
  GithubCall,
  GithubOrg,
  GithubPerson,
  GithubSwitches,
  GithubTeam,
  GithubToken,
  GithubWorld,
} from './github.ts'
import { answerJson } from './http.ts'

export interface Route {
  readonly name:
    | 'authorize'
    | 'device'
    | 'accessToken'
    | 'checkToken'
    | 'user'
    | 'orgs'
    | 'org'
    | 'teams'
    | 'team'
    | 'publicUser'
    | 'publicOrg'
    | 'publicTeam'
    | 'orgOfId'
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  readonly handle: (call: GithubCall) => void
}

/** The API's routes, with the answers' members that matter to a client. */
export const createRoutes = (deps: {
  readonly world: GithubWorld
  readonly switches: GithubSwitches
  readonly clock: Clock
}): readonly Route[] => {
  const { world, switches, clock } = deps

  const isAlive = ({ expiresAt }: GithubToken) => expiresAt === undefined || expiresAt > clock()

  const findToken = (text: unknown): GithubToken | undefined => {
    const token = typeof text === 'string' ? world.tokens.get(text) : undefined
    return token !== undefined && isAlive(token) ? token : undefined
  }

  const checkToken = ({ request, response, body, names }: GithubCall) => {
    const app = world.apps.find(({ clientId }) => clientId === names['client'])
    const basic = Buffer.from(`${app?.clientId}:${app?.clientSecret}`).toString('base64')
    if (app === undefined || request.headers.authorization !== `basic ${basic}`) {
      answerJson(response, 401, { message: 'Bad credentials' })
      return
    }
    if (typeof body['access_token'] !== 'string') {
      answerJson(response, 422, { message: 'Validation Failed' })
      return
    }
    const token = findToken(body['access_token'])
    const person = world.people.find(({ id }) => id === token?.person)
    if (token === undefined || token.app !== app.clientId || person === undefined) {
      answerJson(response, 404, { message: 'Not Found' })
      return
    }
    answerJson(response, 200, {
      id: 1,
      app: { client_id: switches.wrongApp ?? app.clientId, name: 'an app', url: 'http://app' },
      token: body['access_token'],
      scopes: app.type === 'oauth-app' ? token.scopes : null,
      user: { id: person.id, login: person.login, type: 'User' },
      expires_at: token.expiresAt?.toISOString() ?? null,
      ...switches.checkAnswer,
    })
  }

  /** Runs a route as the token's person, or answers 401 or, without the scope, 403. */
  const asPerson =
    (needsOrgs: boolean, handle: (call: GithubCall, person: GithubPerson, app: string) => void) =>
    (call: GithubCall) => {
      const token = findToken(/^Bearer (.+)$/i.exec(call.request.headers.authorization ?? '')?.[1])
      const person = world.people.find(({ id }) => id === token?.person)
      if (token === undefined || person === undefined) {
        answerJson(call.response, 401, { message: 'Bad credentials' })
        return
      }
      const isOauth = world.apps.some(
        ({ clientId, type }) => clientId === token.app && type === 'oauth-app',
      )
      if (needsOrgs && isOauth && !token.scopes.some((scope) => scope.endsWith(':org'))) {
        answerJson(call.response, 403, { message: 'You need at least read:org scope' })
        return
      }
      handle(call, person, token.app)
    }

  const answerPage = ({ response, url }: GithubCall, items: readonly unknown[]) => {
    const page = Number(url.searchParams.get('page') ?? '1')
    const size = Math.min(Number(url.searchParams.get('per_page') ?? '30'), switches.pageSize)
    const next = new URL(url)
    next.searchParams.set('page', String(page + 1))
    const hasMore = page * size < items.length
    const target = switches.nextLink ?? next.href
    const link = `<${url.href}>; rel="first", <${target}>; rel="next"`
    answerJson(
      response,
      200,
      items.slice((page - 1) * size, page * size),
      hasMore || switches.nextLink !== undefined ? { link } : {},
    )
  }

  const formatOrg = ({ id, login }: GithubOrg) => ({ id, login })
  const visibleOrgs = () => world.orgs.filter(({ restricted }) => restricted !== true)
  const formatMembership = (org: GithubOrg, person: GithubPerson) => ({
    state: org.members[person.id],
    role: 'member',
    organization: formatOrg(org),
    user: person,
  })
  const formatTeam = (org: GithubOrg, { id, slug, name }: GithubTeam) => ({
    id,
    slug,
    name,
    organization: formatOrg(org),
  })

  const listOrgs = asPerson(true, (call, person) => {
    const wanted = switches.ignoreState ? null : call.url.searchParams.get('state')
    const found = visibleOrgs()
      .filter(({ members }) => person.id in members)
      .filter(({ members }) => wanted === null || members[person.id] === wanted)
    answerPage(
      call,
      found.map((org) => formatMembership(org, person)),
    )
  })

  const showOrg = asPerson(true, (call, person) => {
    const org = world.orgs.find(({ login }) => login.toLowerCase() === call.names['org'])
    if (org?.restricted === true) {
      answerJson(call.response, 403, { message: 'OAuth App access restrictions' })
    } else if (org === undefined || !(person.id in org.members)) {
      answerJson(call.response, 404, { message: 'Not Found' })
    } else answerJson(call.response, 200, formatMembership(org, person))
  })

  const listTeams = asPerson(true, (call, person) => {
    const found = visibleOrgs().flatMap((org) =>
      org.teams
        .filter(({ members }) => members[person.id] === 'active')
        .map((team) => formatTeam(org, team)),
    )
    answerPage(call, found)
  })

  /** As the real one: a pending membership answers 200 too. */
  const showTeam = asPerson(true, ({ response, names }) => {
    const org = visibleOrgs().find(({ login }) => login.toLowerCase() === names['org'])
    const team = org?.teams.find(({ slug }) => slug === names['team'])
    const person = world.people.find(({ login }) => login === names['user'])
    const state = person === undefined ? undefined : team?.members[person.id]
    if (state === undefined) answerJson(response, 404, { message: 'Not Found' })
    else answerJson(response, 200, { state, role: 'member' })
  })

  const showUser = asPerson(false, ({ response }, person) => answerJson(response, 200, person))

  /** What anybody may ask, with or without a token. */
  const showPublic =
    (find: (name: string) => GithubPerson | GithubOrg | undefined) =>
    ({ response, names }: GithubCall) => {
      const found = find(decodeURIComponent(names['name'] ?? '').toLowerCase())
      if (found === undefined) answerJson(response, 404, { message: 'Not Found' })
      else answerJson(response, 200, { id: found.id, login: found.login })
    }
  const showPublicUser = showPublic((name) =>
    world.people.find(({ login }) => login.toLowerCase() === name),
  )
  const showPublicOrg = showPublic((name) =>
    world.orgs.find(({ login }) => login.toLowerCase() === name),
  )

  /** Not in GitHub's reference, but where the links of its own answers lead. */
  const showOrgOfId = showPublic((name) => world.orgs.find(({ id }) => String(id) === name))

  /** A team shows itself to the members of its organisation alone. */
  const showPublicTeam = asPerson(true, ({ response, names }, person) => {
    const org = visibleOrgs().find(({ login }) => login.toLowerCase() === names['org'])
    const team = org?.teams.find(({ slug }) => slug === names['team'])
    if (org === undefined || team === undefined || !(person.id in org.members)) {
      answerJson(response, 404, { message: 'Not Found' })
    } else answerJson(response, 200, formatTeam(org, team))
  })

  const api = '^/api/v3'
  return [
    {
      name: 'checkToken',
      method: 'POST',
      path: new RegExp(`${api}/applications/(?<client>[^/]+)/token$`),
      handle: checkToken,
    },
    { name: 'user', method: 'GET', path: new RegExp(`${api}/user$`), handle: showUser },
    {
      name: 'publicUser',
      method: 'GET',
      path: new RegExp(`${api}/users/(?<name>[^/]+)$`),
      handle: showPublicUser,
    },
    {
      name: 'publicOrg',
      method: 'GET',
      path: new RegExp(`${api}/orgs/(?<name>[^/]+)$`),
      handle: showPublicOrg,
    },
    {
      name: 'orgOfId',
      method: 'GET',
      path: new RegExp(`${api}/organizations/(?<name>[^/]+)$`),
      handle: showOrgOfId,
    },
    {
      name: 'publicTeam',
      method: 'GET',
      path: new RegExp(`${api}/orgs/(?<org>[^/]+)/teams/(?<team>[^/]+)$`),
      handle: showPublicTeam,
    },
    {
      name: 'orgs',
      method: 'GET',
      path: new RegExp(`${api}/user/memberships/orgs$`),
      handle: listOrgs,
    },
    {
      name: 'org',
      method: 'GET',
      path: new RegExp(`${api}/user/memberships/orgs/(?<org>[^/]+)$`),
      handle: showOrg,
    },
    { name: 'teams', method: 'GET', path: new RegExp(`${api}/user/teams$`), handle: listTeams },
    {
      name: 'team',
      method: 'GET',
      path: new RegExp(
        `${api}/orgs/(?<org>[^/]+)/teams/(?<team>[^/]+)/memberships/(?<user>[^/]+)$`,
      ),
      handle: showTeam,
    },
  ]
}
