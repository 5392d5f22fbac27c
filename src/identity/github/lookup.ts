import type { Clock } from '../../lib/clock.ts'
import { createBoundedFetch, type Fetch } from '../fetch.ts'
import { providerUnavailable } from '../index.ts'
import { isRecord } from '../values.ts'
import { isRateLimited, parseId, unusable } from './answers.ts'

/** Looks up the ids of public names; undefined for a name that nobody has, or that may not be seen. */
export interface Lookup {
  findUser(login: string): Promise<string | undefined>
  findOrg(login: string): Promise<string | undefined>
  /** Needs the token of somebody who may see the team. */
  findTeam(org: string, slug: string): Promise<string | undefined>
}

const bounds = { maxBytes: 1024 * 1024, deadlineMilliseconds: 10_000 }

/**
 * A GitHub server's REST API, asked by whoever writes a policy: with a token of theirs, or without
 * one, as far as GitHub then answers. @throws AppError `idp_unavailable`
 */
export const createLookup = (deps: {
  readonly apiUrl: string
  readonly authorization?: string
  readonly fetch: Fetch
  readonly clock: Clock
}): Lookup => {
  const { apiUrl, authorization, clock } = deps
  const send = createBoundedFetch(deps.fetch, bounds)
  const find = async (path: string): Promise<string | undefined> => {
    const response = await send(`${apiUrl}${path}`, {
      headers: {
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
        ...(authorization === undefined ? {} : { authorization }),
      },
    })
    // Without a token, or with one that may not see it, GitHub answers as if there were nothing.
    const { status, headers } = response
    if ([401, 403, 404].includes(status) && !isRateLimited(status, headers)) return undefined
    if (status !== 200) throw unusable(path, status, headers, clock)
    const body: unknown = await response.json().catch(() => undefined)
    const id = isRecord(body) ? parseId(body) : undefined
    if (id === undefined) throw providerUnavailable(`GitHub answered ${path} without an id`)
    return id
  }
  return Object.freeze({
    findUser: (login: string) => find(`/users/${encodeURIComponent(login)}`),
    findOrg: (login: string) => find(`/orgs/${encodeURIComponent(login)}`),
    findTeam: (org: string, slug: string) =>
      find(`/orgs/${encodeURIComponent(org)}/teams/${encodeURIComponent(slug)}`),
  })
}
