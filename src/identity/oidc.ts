import { JOSEError } from 'jose/errors'
import { jwtVerify } from 'jose/jwt/verify'
import { AppError } from '../errors.ts'
import { type Clock, toSeconds } from '../lib/clock.ts'
import { type Fetch, parseProviderUrl } from './fetch.ts'
import { type Caller, noMemberships, type Provider, tokenRefused } from './index.ts'
import {
  type ClaimRules,
  checkClaims,
  createIdentity,
  leewaySeconds,
  type MfaEvidence,
} from './oidc/claims.ts'
import { type Algorithm, isAlgorithm } from './oidc/jwks.ts'
import { findIssuer, type Jwt, parseJwt } from './oidc/jwt.ts'
import { createKeySet } from './oidc/key-set.ts'

/** One OIDC issuer, as configured. */
export interface OidcOptions {
  /** Exactly as its tokens say it, trailing slash and all. */
  readonly issuer: string
  /** A token made for any of these is ours. */
  readonly audience: readonly string[]
  /** Of RS256/384/512, PS256/384/512, ES256/384/512, EdDSA and Ed25519. */
  readonly algorithms: readonly string[]
  /** Default `groups`. */
  readonly groupsClaim?: string
  /** Default `preferred_username`, else the verified address, else the subject. */
  readonly nameClaim?: string
  /** Without it nobody has shown a second factor. */
  readonly mfa?: MfaEvidence
  readonly maxTokenAgeSeconds: number
}

/**
 * An OIDC issuer as a Provider. It verifies JWTs: ID tokens, and access tokens that are JWTs. No
 * network until the first token that names exactly this issuer, or `check()`.
 *
 * Cheap checks come first, then the signature, and nothing is believed before it. An issuer that
 * cannot be asked is `idp_unavailable` only where its keys would have decided.
 * @throws AppError `invalid_config`
 */
export const createOidcProvider = (
  options: OidcOptions & { readonly fetch: Fetch; readonly clock: Clock },
): Provider => {
  const { issuer, audience, maxTokenAgeSeconds, clock } = options
  checkIssuer(issuer)
  const algorithms = checkAlgorithms(options)
  checkNotEmpty(issuer, 'audience', audience)
  if (options.mfa !== undefined && options.mfa !== 'enforced') {
    for (const [name, values] of Object.entries(options.mfa)) {
      checkNotEmpty(issuer, `mfa.${name}`, values)
    }
  }
  const rules: ClaimRules = { ...options, groupsClaim: options.groupsClaim ?? 'groups' }
  const keys = createKeySet({ issuer, algorithms, fetch: options.fetch, clock })

  /** What jose is to find, whatever the token. */
  const expected = {
    issuer,
    audience: [...audience],
    requiredClaims: ['exp', 'iat', 'sub'],
    maxTokenAge: maxTokenAgeSeconds,
    clockTolerance: leewaySeconds,
  }

  const authenticateJwt = async ({ text, header, payload }: Jwt): Promise<Caller> => {
    const alg = algorithms.find((name) => name === header.alg)
    if (alg === undefined) throw tokenRefused('alg is not in the list of the issuer')
    checkClaims(payload, rules, toSeconds(clock()))
    const key = await keys.find(alg, header.kid)
    try {
      // The keys may have taken seconds to come, and the token may have ended.
      await jwtVerify(text, key, { ...expected, algorithms: [alg], currentDate: clock() })
    } catch (error) {
      // Not its cause: jose's claim errors carry the whole payload.
      if (error instanceof JOSEError) throw tokenRefused(`jose: ${error.code}`)
      throw error
    }
    const identity = createIdentity(payload, rules)
    return Object.freeze({ identity, findMemberships: async () => noMemberships })
  }

  return Object.freeze({
    name: `oidc ${issuer}`,
    issuer,
    claims: (token: string) => findIssuer(token) === issuer,
    authenticate: async (token: string) => authenticateJwt(parseJwt(token)),
    authenticateJwt,
    async check() {
      try {
        await keys.check()
        return { ok: true as const }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return { ok: false as const, reason: error.detail ?? error.message }
      }
    },
  })
}

const refuse = (message: string): AppError => new AppError('invalid_config', message)

const checkIssuer = (issuer: string): void => {
  const url = parseProviderUrl(issuer)
  if (url === undefined || issuer.includes('?')) {
    throw refuse(
      `The OIDC issuer ${JSON.stringify(issuer)} is not usable: write its https URL without user, query or fragment (plain http on loopback only).`,
    )
  }
  // Everybody with a Microsoft account is in one of these (the "nOAuth" class of takeovers).
  const tenant = url.pathname.split('/')[1]?.toLowerCase() ?? ''
  const isShared = /^(?:common|organizations|consumers|%7b.*|)$/.test(tenant)
  if (isShared && /^(?:login\.microsoftonline\.|sts\.windows\.net$)/.test(url.hostname)) {
    throw refuse(
      `The OIDC issuer ${JSON.stringify(issuer)} is every Microsoft tenant at once: write the tenant's own issuer, with its id in the path.`,
    )
  }
}

const checkAlgorithms = ({ issuer, algorithms }: OidcOptions): readonly Algorithm[] => {
  checkNotEmpty(issuer, 'algorithms', algorithms)
  return algorithms.map((name) => {
    if (isAlgorithm(name)) return name
    throw refuse(
      `The algorithm ${JSON.stringify(name)} of the OIDC issuer ${issuer} is not accepted: list those it signs with, of RS256/384/512, PS256/384/512, ES256/384/512, EdDSA and Ed25519.`,
    )
  })
}

const checkNotEmpty = (issuer: string, name: string, values: readonly string[]): void => {
  if (values.length === 0 || values.some((value) => value.trim() === '')) {
    throw refuse(`The OIDC issuer ${issuer} has an empty ${name}: name at least one.`)
  }
}
