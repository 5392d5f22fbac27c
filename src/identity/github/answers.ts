import type { AppError } from '../../errors.ts'
import { type Clock, toSeconds } from '../../lib/clock.ts'
import { providerUnavailable } from '../index.ts'
import { isName, isRecord, isStringList, type Unchecked } from '../values.ts'

/** What a checked token says: whose it is, and what it may read. */
export interface CheckedToken {
  /** The numeric id in decimal: logins change hands. */
  readonly subject: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly expiresAt?: Date
}

/** The answer of check-token. @throws AppError `idp_unavailable` where it is none, or names another app */
export const parseCheckedToken = (data: unknown, clientId: string): CheckedToken => {
  if (!isRecord(data)) throw garbled('check-token')
  const { app, user, scopes, expires_at: end } = data
  if (!isRecord(app) || app['client_id'] !== clientId) throw garbled('check-token, for another app')
  if (!isRecord(user)) throw garbled('check-token, for nobody')
  const subject = parseId(user)
  const name = user['login']
  if (subject === undefined || !isName(name)) throw garbled('check-token, for nobody')
  const expiresAt = typeof end === 'string' ? new Date(end) : undefined
  if ((end ?? null) !== null && !(expiresAt && Number.isFinite(expiresAt.getTime()))) {
    throw garbled('check-token, with an end that is no time')
  }
  return {
    subject,
    name,
    scopes: isStringList(scopes) ? scopes : [],
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}

/** One of `GET /user/memberships/orgs`, with the names in the lower case GitHub compares them in. */
export const parseOrg = (item: unknown) => {
  const organization = isRecord(item) ? item['organization'] : undefined
  const login = isRecord(organization) ? organization['login'] : undefined
  const id = isRecord(organization) ? parseId(organization) : undefined
  if (!isRecord(item) || !isName(login) || id === undefined) throw garbled('memberships')
  return { login: login.toLowerCase(), id, isActive: item['state'] === 'active' }
}

/** One of `GET /user/teams`. A team is named by its slug, never by the name it shows. */
export const parseTeam = (item: unknown) => {
  const organization = isRecord(item) ? item['organization'] : undefined
  const org = isRecord(organization) ? organization['login'] : undefined
  const orgId = isRecord(organization) ? parseId(organization) : undefined
  const slug = isRecord(item) ? item['slug'] : undefined
  const id = isRecord(item) ? parseId(item) : undefined
  if (!isName(org) || orgId === undefined || !isName(slug) || id === undefined) {
    throw garbled('teams')
  }
  return { org: org.toLowerCase(), orgId, slug: slug.toLowerCase(), id }
}

/** Octokit reads a number past 2^53 as a bigint, `JSON.parse` rounds it: only exact ones are ids. */
export const parseId = ({ id }: Unchecked): string | undefined => {
  if (typeof id === 'bigint') return id > 0n ? id.toString() : undefined
  return Number.isSafeInteger(id) && (id as number) > 0 ? String(id) : undefined
}

const garbled = (what: string): AppError =>
  providerUnavailable(`GitHub answered something else than ${what}`)

/** Whether GitHub refuses because we asked too often; it uses 403 for that too. */
export const isRateLimited = (status: number, headers: Headers): boolean =>
  status === 429 ||
  (status === 403 && (headers.has('retry-after') || headers.get('x-ratelimit-remaining') === '0'))

/** An answer that settles nothing, with the pause GitHub asks for (up to an hour). */
export const unusable = (
  what: string,
  status: number,
  headers: Headers,
  clock: Clock,
): AppError => {
  const limited = isRateLimited(status, headers)
  const pause = Number(headers.get('retry-after') ?? Number.NaN)
  // Every answer names the reset; it matters to who has nothing left until then.
  const isSpent = headers.get('x-ratelimit-remaining') === '0'
  const end = isSpent ? (headers.get('x-ratelimit-reset') ?? Number.NaN) : Number.NaN
  const reset = Number(end) - toSeconds(clock())
  const wanted = [pause, reset].find(Number.isFinite) ?? (limited ? 60 : 5)
  const seconds = Math.min(Math.max(Math.ceil(wanted), 1), 3600)
  const why = limited ? `${status}: rate limit` : `${status}`
  return providerUnavailable(`GitHub answered ${what} with ${why}`, seconds)
}
