import { AppError } from '../errors.ts'
import { formatTime } from '../lib/clock.ts'
import { findIssuer, type Jwt, readJwt } from './oidc/jwt.ts'

/**
 * Who asks, as proven. Made only by a provider, from verified claims, and frozen: after
 * authentication nothing else of the token travels.
 */
export interface Identity {
  readonly kind: 'github' | 'oidc' | 'enrolment'
  /**
   * The OIDC issuer, exactly as configured; for GitHub the origin of its server; for a host that
   * enrols our own, of which nobody else's identities are.
   */
  readonly issuer: string
  /** The stable id: the token's `sub`, or GitHub's numeric user id in decimal. */
  readonly subject: string
  /** For display and key ids only, never to decide by: GitHub's login, or the configured name claim. */
  readonly name: string
  /** Which client obtained the token: `azp` or `client_id`, or the OAuth app's client id. */
  readonly client?: string
  /** The address, only where the issuer says `email_verified` is true (the boolean). */
  readonly email?: string
  /** The groups claim; empty for GitHub. */
  readonly groups: readonly string[]
  /** Why `groups` is empty though the token speaks of groups; for the log, nothing is decided by it. */
  readonly groupsProblem?: 'not_a_list_of_strings' | 'held_elsewhere'
  /** OIDC: the verified payload's scalar and string-list claims, for rules to match whole. */
  readonly claims: Readonly<Record<string, ClaimValue>>
  /** Whether the issuer's configured evidence of a second factor was in the token. */
  readonly mfa: boolean
  readonly issuedAt?: Date
  readonly authenticatedAt?: Date
  /** The token's own end, where it has one: a certificate ends no later, unless a rule says so. */
  readonly expiresAt?: Date
}

export type ClaimValue = string | number | boolean | readonly string[]

/**
 * A GitHub organisation or team that a rule that could match asks about: by the name it has today,
 * or by the id it keeps. A team's id goes with its organisation's, as in GitHub's own routes.
 */
export type MembershipQuestion =
  | { readonly kind: 'org'; readonly org: string }
  | { readonly kind: 'team'; readonly org: string; readonly team: string }
  | { readonly kind: 'orgId'; readonly orgId: string }
  | { readonly kind: 'teamId'; readonly orgId: string; readonly teamId: string }

/** What GitHub answered: only active memberships are here, each with the ids it was answered with. */
export interface Memberships {
  readonly orgs: readonly { readonly login: string; readonly id: string }[]
  readonly teams: readonly {
    readonly org: string
    readonly orgId: string
    readonly slug: string
    readonly id: string
  }[]
}

/** A caller whose token has been verified. The token itself stays behind `findMemberships`. */
export interface Caller {
  readonly identity: Identity
  /**
   * Asks the provider, now, for what the questions need; nothing is asked for an empty list, and
   * nothing is cached. Codes: `idp_unavailable` where the provider does not answer or limits us,
   * `insufficient_scope` where the token may not read it.
   */
  findMemberships(questions: readonly MembershipQuestion[]): Promise<Memberships>
}

/**
 * A source of identities. What every implementation promises (test/contracts/provider.ts):
 *
 * - `claims(token)` says, without any network call, whether this provider is the one to ask.
 *   It never throws, whatever the text.
 * - `authenticate(token)` resolves only for a token that is genuine, ours, and alive at `clock()`.
 *   `authenticateJwt` is the same for a token that has been read, so that it is not read again.
 * - A token that is not accepted is `invalid_token`, always with the same message; the reason
 *   is in `detail`, for the log alone. The token's text is in neither.
 * - A provider that cannot answer (down, slow past its deadline, rate-limited, nonsense) is
 *   `idp_unavailable`: never an identity, never `invalid_token`.
 * - Calls may run side by side without affecting one another.
 * - `check()` resolves where the provider could authenticate now, and says why where it could not.
 */
export interface Provider {
  readonly name: string
  /** There where it claims exactly the JWTs that name this issuer: it is found by that, and not asked. */
  readonly issuer?: string
  claims(token: string): boolean
  authenticate(token: string): Promise<Caller>
  /** There only where `issuer` is. */
  authenticateJwt?(jwt: Jwt): Promise<Caller>
  check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>
}

type Time = 'issuedAt' | 'authenticatedAt' | 'expiresAt'

export type FormattedIdentity = Omit<Identity, Time> & { readonly [name in Time]?: string }

/** An identity as plain JSON data with RFC 3339 times, for log entries and `GET /v1/whoami`. */
export const formatIdentity = (identity: Identity): FormattedIdentity => {
  const { issuedAt, authenticatedAt, expiresAt } = identity
  return {
    ...identity,
    ...(issuedAt === undefined ? {} : { issuedAt: formatTime(issuedAt) }),
    ...(authenticatedAt === undefined ? {} : { authenticatedAt: formatTime(authenticatedAt) }),
    ...(expiresAt === undefined ? {} : { expiresAt: formatTime(expiresAt) }),
  } as FormattedIdentity
}

/** A question and what GitHub answered as plain JSON data, for log entries. */
export const formatLookUp = (asked: MembershipQuestion, memberships: Memberships) => {
  const question = formatQuestion(asked)
  const found = findMembership(asked, memberships)
  return found === undefined
    ? { question, answer: 'none' }
    : { question, answer: 'active', ...found }
}

/** As replay.ts of the policy reads it again; no name on GitHub holds a space. */
const formatQuestion = (asked: MembershipQuestion): string => {
  switch (asked.kind) {
    case 'org':
      return `org ${asked.org}`
    case 'team':
      return `team ${asked.org}/${asked.team}`
    case 'orgId':
      return `org id ${asked.orgId}`
    case 'teamId':
      return `team id ${asked.orgId}/${asked.teamId}`
  }
}

const findMembership = (
  asked: MembershipQuestion,
  { orgs, teams }: Memberships,
): { readonly orgId: string; readonly teamId?: string } | undefined => {
  if (asked.kind === 'org' || asked.kind === 'orgId') {
    const found = orgs.find(({ login, id }) =>
      asked.kind === 'org' ? login === asked.org : id === asked.orgId,
    )
    return found && { orgId: found.id }
  }
  const found = teams.find(({ org, orgId, slug, id }) =>
    asked.kind === 'team'
      ? org === asked.org && slug === asked.team
      : orgId === asked.orgId && id === asked.teamId,
  )
  return found && { orgId: found.orgId, teamId: found.id }
}

/** No membership was asked for, or the identity has none. */
export const noMemberships: Memberships = Object.freeze({ orgs: [], teams: [] })

/** The one text for every token that is not accepted: which check failed is for the log alone. */
export const tokenRefused = (detail: string, cause?: unknown): AppError =>
  new AppError(
    'invalid_token',
    'The token is not accepted: send a current token of a configured identity provider, made for this service.',
    { detail, ...(cause === undefined ? {} : { cause }) },
  )

/** The one text for a provider that cannot answer: what it did instead is for the log alone. */
export const providerUnavailable = (detail: string, retryAfter = 5): AppError =>
  new AppError(
    'idp_unavailable',
    'The identity provider does not answer, so the token could not be checked: try again in a moment.',
    { detail, retryAfter },
  )

/**
 * The providers as one. At most one OIDC provider claims a token, by its issuer; a GitHub token
 * names no server, so each configured server that could have minted it is asked in turn.
 */
export interface Pool {
  authenticate(token: string): Promise<Caller>
  check(): Promise<
    readonly { readonly name: string; readonly ok: boolean; readonly reason?: string }[]
  >
}

/** Characters; headers end at 16 KiB, so a longer token never came through the door. */
export const maxTokenLength = 16 * 1024

const checkMilliseconds = 1_000

/**
 * @throws TypeError where two providers have one name.
 */
export const createPool = (providers: readonly Provider[]): Pool => {
  if (new Set(providers.map(({ name }) => name)).size !== providers.length) {
    throw new TypeError('two identity providers have one name')
  }
  // Of a thousand issuers each would read the token anew.
  const byIssuer = new Map<unknown, Provider>(
    providers.map((provider) => [provider.issuer, provider]),
  )
  byIssuer.delete(undefined)
  const others = providers.filter(({ issuer }) => issuer === undefined)

  return Object.freeze({
    async authenticate(token: string) {
      if (token.length > maxTokenLength) throw tokenRefused('longer than 16 KiB')
      const reasons: string[] = []
      let unavailable: AppError | undefined
      const jwt = readJwt(token)
      // One that reads badly is refused in the name of the issuer it would be of.
      const named = byIssuer.get(typeof jwt === 'string' ? findIssuer(token) : jwt.payload['iss'])
      for (const provider of named === undefined ? others : [named, ...others]) {
        if (provider !== named && !provider.claims(token)) continue
        try {
          return provider.authenticateJwt === undefined || typeof jwt === 'string'
            ? await provider.authenticate(token)
            : await provider.authenticateJwt(jwt)
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          if (error.code === 'idp_unavailable') unavailable ??= error
          else if (error.code === 'invalid_token') reasons.push(`${provider.name}: ${error.detail}`)
          else throw error
        }
      }
      // One that did not answer might have known the token: that is no refusal.
      if (unavailable !== undefined) throw unavailable
      throw tokenRefused(reasons.join('; ') || 'no configured provider claims it')
    },
    check: () =>
      Promise.all(
        providers.map(async (provider) => ({
          name: provider.name,
          ...(await Promise.race([provider.check(), answerLate()])),
        })),
      ),
  })
}

/** Whoever asks how we are is not kept waiting for a provider's own deadline. */
const answerLate = () =>
  new Promise<{ readonly ok: false; readonly reason: string }>((resolve) => {
    const late = { ok: false, reason: 'has not answered yet' } as const
    setTimeout(resolve, checkMilliseconds, late).unref()
  })
