import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Fetch } from '../fetch.ts'
import {
  type MembershipQuestion,
  type Memberships,
  noMemberships,
  providerUnavailable,
  tokenRefused,
} from '../index.ts'
import { isName, isRecord } from '../values.ts'
import { isRateLimited, parseId, parseOrg, parseTeam, unusable } from './answers.ts'

/** Any of these lets an OAuth app's token read organisations and teams. */
const readingScopes = ['read:org', 'write:org', 'admin:org'] as const

const maxPages = 20
const pageSize = 100
/** For everything one caller's questions need. */
const deadlineMilliseconds = 10_000

/** Asks for the memberships of whoever the token is. `scopes` is absent for a GitHub App's token. */
export type FindMemberships = (
  token: string,
  scopes: readonly string[] | undefined,
  questions: readonly MembershipQuestion[],
) => Promise<Memberships>

/**
 * Reads organisations and teams, all pages, on every call. Only what was asked about is answered,
 * and only active memberships: a pending one answers 200 like any other. A team counts only where
 * the membership of its organisation does.
 *
 * An organisation that hides itself from the app must not look like one the person is not in: for
 * each that was asked about and not listed, GitHub is asked whether it would tell us. It is asked by
 * the login, so of an id that first: `GET /organizations/{id}`, where GitHub's own links lead.
 *
 * Codes: `insufficient_scope`, `idp_unavailable`, and `invalid_token` for a token revoked meanwhile.
 */
export const createFindMemberships = (deps: {
  readonly apiUrl: string
  readonly send: Fetch
  readonly clock: Clock
}): FindMemberships => {
  const { apiUrl, send, clock } = deps

  return async (token, scopes, questions) => {
    if (questions.length === 0) return noMemberships
    if (scopes !== undefined && !readingScopes.some((scope) => scopes.includes(scope))) {
      throw new AppError(
        'insufficient_scope',
        'The token lacks the scope read:org, which the policy needs to see organisations and teams: log in again and grant it.',
        { detail: `its scopes are ${scopes.join(' ') || 'none'}` },
      )
    }
    const init = {
      signal: AbortSignal.timeout(deadlineMilliseconds),
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
      },
    }
    const ask = async (url: string): Promise<Response> => {
      const response = await send(url, init)
      if (response.status === 401) throw tokenRefused('GitHub no longer accepts it')
      return response
    }
    const list = async (path: string): Promise<readonly unknown[]> => {
      const items: unknown[] = []
      let url: string | undefined = `${apiUrl}${path}`
      for (let page = 0; url !== undefined; page++) {
        if (page === maxPages) throw providerUnavailable(`GitHub answers over ${maxPages} pages`)
        const response = await ask(url)
        if (response.status !== 200) {
          throw unusable(path, response.status, response.headers, clock)
        }
        items.push(...(await readList(response)))
        url = findNext(response.headers.get('link'), url)
      }
      return items
    }
    const findLogin = async (orgId: string): Promise<string> => {
      const path = `/organizations/${orgId}`
      const response = await ask(`${apiUrl}${path}`)
      const { status, headers } = response
      if (status === 404) throw hidden(`there is no organisation with the id ${orgId}, or it hides`)
      if (status !== 200) throw unusable(path, status, headers, clock)
      const body: unknown = await response.json().catch(() => undefined)
      const login = isRecord(body) && parseId(body) === orgId ? body['login'] : undefined
      if (!isName(login)) throw providerUnavailable(`GitHub answered ${path} with something else`)
      return login.toLowerCase()
    }
    const checkVisible = async (org: string): Promise<void> => {
      const response = await ask(`${apiUrl}/user/memberships/orgs/${encodeURIComponent(org)}`)
      const { status, headers } = response
      if (status === 404) return
      if (status === 200) {
        const { isActive } = parseOrg(await response.json().catch(() => undefined))
        if (!isActive) return
        // Where somebody leaves an organisation while pages are read, another falls between two of them.
        throw providerUnavailable(
          `GitHub answers that ${org} has this member, and does not list it`,
        )
      }
      if (status !== 403 || isRateLimited(status, headers)) {
        throw unusable('a membership', status, headers, clock)
      }
      throw hidden(`the organisation ${org} hides its members from the app`)
    }

    const { orgNames, orgIds, teamNames, teamIds } = sortQuestions(questions)
    const [orgItems, teamItems] = await Promise.all([
      list(`/user/memberships/orgs?state=active&per_page=${pageSize}`),
      teamNames.size + teamIds.size === 0 ? [] : list(`/user/teams?per_page=${pageSize}`),
    ])
    const orgs = orgItems
      .map(parseOrg)
      .filter(({ login, id, isActive }) => isActive && (orgNames.has(login) || orgIds.has(id)))
      .map(({ login, id }) => ({ login, id }))
    const teams = teamItems
      .map(parseTeam)
      .filter(
        ({ org, orgId, slug, id }) =>
          teamNames.has(`${org}/${slug}`) || teamIds.has(`${orgId}/${id}`),
      )
      .filter(({ orgId }) => orgs.some(({ id }) => id === orgId))
    for (const org of orgNames) {
      if (!orgs.some(({ login }) => login === org)) await checkVisible(org)
    }
    for (const orgId of orgIds) {
      if (!orgs.some(({ id }) => id === orgId)) await checkVisible(await findLogin(orgId))
    }
    return Object.freeze({ orgs: Object.freeze(orgs), teams: Object.freeze(teams) })
  }
}

const hidden = (detail: string): AppError =>
  new AppError(
    'insufficient_scope',
    'GitHub does not show this app your membership of an organisation that the policy asks about: have an owner approve the app there, or authorise it for single sign-on.',
    { detail },
  )

/** What is asked about, each by what it is asked by: the names in lower case, the organisations of teams too. */
const sortQuestions = (questions: readonly MembershipQuestion[]) => {
  const sorted = {
    orgNames: new Set<string>(),
    orgIds: new Set<string>(),
    teamNames: new Set<string>(),
    teamIds: new Set<string>(),
  }
  for (const question of questions) {
    if ('org' in question) sorted.orgNames.add(question.org.toLowerCase())
    else sorted.orgIds.add(question.orgId)
    if ('team' in question) sorted.teamNames.add(`${question.org}/${question.team}`.toLowerCase())
    if ('teamId' in question) sorted.teamIds.add(`${question.orgId}/${question.teamId}`)
  }
  return sorted
}

const readList = async (response: Response): Promise<readonly unknown[]> => {
  try {
    const value: unknown = JSON.parse(await response.text())
    if (Array.isArray(value)) return value
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw providerUnavailable('GitHub did not answer a list')
}

/** The next page (RFC 8288), which may only be another page of the same list: the token goes with it. */
const findNext = (link: string | null, current: string): string | undefined => {
  const target = /<([^<>]*)>\s*;[^<]*\brel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  const here = new URL(current)
  const next = URL.parse(target)
  if (next === null || next.origin !== here.origin || next.pathname !== here.pathname) {
    throw providerUnavailable('GitHub names a next page that is another place')
  }
  return next.href
}
