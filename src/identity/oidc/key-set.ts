import type { KeyObject } from 'node:crypto'
import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { parseJson } from '../../lib/json.ts'
import { createBoundedFetch, type Fetch, parseProviderUrl } from '../fetch.ts'
import { providerUnavailable, tokenRefused } from '../index.ts'
import { isRecord, type Unchecked } from '../values.ts'
import { type Algorithm, parseKeySet, type VerificationKey } from './jwks.ts'

/** How long keys are used without asking again: a key the issuer withdrew verifies no longer. */
const maxAgeSeconds = 600
/** How long keys are used while the issuer does not answer. */
const maxStaleSeconds = 3600
/** How long after an attempt an unknown key id does not cause another one. */
const coolDownSeconds = 30
/** The same where there is nothing to go on with, so that a recovered issuer is soon noticed. */
const retrySeconds = 5

const bounds = { maxBytes: 512 * 1024, deadlineMilliseconds: 5_000 }

/** An issuer's keys, fetched when first needed. */
export interface KeySet {
  /**
   * The one key that fits. Codes: `invalid_token` where the issuer has none, or several;
   * `idp_unavailable` where it could not be asked.
   */
  find(alg: Algorithm, kid: string | undefined): Promise<KeyObject>
  /** Resolves where there are keys to verify with. @throws AppError `idp_unavailable` */
  check(): Promise<void>
}

/**
 * Discovery (OpenID Connect Discovery 1.0 section 4), then the key set it names. Requests that need
 * keys at the same time share one fetch. When the issuer fails, the last keys serve for an hour.
 */
export const createKeySet = (deps: {
  readonly issuer: string
  readonly algorithms: readonly Algorithm[]
  readonly fetch: Fetch
  readonly clock: Clock
}): KeySet => {
  const { issuer, algorithms, clock } = deps
  const ask = createBoundedFetch(deps.fetch, bounds)
  let held: { readonly keys: readonly VerificationKey[]; readonly at: Date } | undefined
  let attempt: { readonly at: Date; readonly failure?: string } | undefined
  let running: Promise<void> | undefined

  /** A clock set back makes everything old: then it is asked again. */
  const isWithin = (at: Date | undefined, seconds: number): boolean => {
    if (at === undefined) return false
    const age = clock().getTime() - at.getTime()
    return age >= 0 && age < seconds * 1000
  }

  /** Never rejects: what failed is told by the next who needs to know. */
  const refresh = async (): Promise<void> => {
    const at = clock()
    try {
      const keys = parseKeySet(await fetchJson(ask, await findKeysUrl(ask, issuer)), algorithms)
      if (keys === undefined) throw providerUnavailable('the key set is no key set')
      held = { keys, at }
      attempt = { at: clock() }
    } catch (error) {
      const detail = error instanceof AppError ? error.detail : String(error)
      attempt = { at: clock(), failure: `${issuer}: ${detail}` }
    }
  }

  const refreshUnlessTried = async (): Promise<void> => {
    const pause = isWithin(held?.at, maxStaleSeconds) ? coolDownSeconds : retrySeconds
    if (running === undefined) {
      if (isWithin(attempt?.at, pause)) return
      running = refresh().finally(() => {
        running = undefined
      })
    }
    await running
  }

  const load = async (): Promise<readonly VerificationKey[]> => {
    if (!isWithin(held?.at, maxAgeSeconds)) {
      const refreshed = refreshUnlessTried()
      // Once the issuer has failed, nobody waits for it while the last keys serve.
      if (attempt?.failure === undefined || !isWithin(held?.at, maxStaleSeconds)) await refreshed
    }
    if (held === undefined || !isWithin(held.at, maxStaleSeconds)) {
      throw providerUnavailable(attempt?.failure ?? `${issuer}: its keys are too old`, retrySeconds)
    }
    return held.keys
  }

  return Object.freeze({
    async find(alg: Algorithm, kid: string | undefined) {
      const known = pick(await load(), alg, kid)
      if (known !== undefined) return known
      await refreshUnlessTried()
      const fresh = pick(await load(), alg, kid)
      if (fresh !== undefined) return fresh
      // The issuer may have a new key that it could not tell us about: that is no refusal.
      if (attempt?.failure !== undefined) {
        throw providerUnavailable(attempt.failure, coolDownSeconds)
      }
      throw tokenRefused('the issuer has no one key of this key id for this algorithm')
    },
    async check() {
      await load()
    },
  })
}

/** Only where exactly one fits: a key id that two keys share names neither. */
const pick = (
  keys: readonly VerificationKey[],
  alg: Algorithm,
  kid: string | undefined,
): KeyObject | undefined => {
  const fitting = keys.filter(
    (key) => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid),
  )
  return fitting.length === 1 ? fitting[0]?.key : undefined
}

const findKeysUrl = async (ask: Fetch, issuer: string): Promise<string> => {
  const document = await fetchJson(
    ask,
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
  )
  // Section 4.3: anything but the very same issuer is an impersonation.
  if (document['issuer'] !== issuer) throw providerUnavailable('its discovery names another issuer')
  const address = document['jwks_uri']
  const url = typeof address === 'string' ? parseProviderUrl(address) : undefined
  // An issuer on the network may not point us at our own loopback.
  if (url === undefined || (url.protocol === 'http:' && issuer.startsWith('https:'))) {
    throw providerUnavailable('its discovery names no usable jwks_uri')
  }
  return url.href
}

const fetchJson = async (ask: Fetch, url: string): Promise<Unchecked> => {
  const response = await ask(url, { headers: { accept: 'application/json' } })
  if (response.status !== 200) throw providerUnavailable(`${url} answered ${response.status}`)
  let document: unknown
  try {
    document = parseJson(await response.text())
  } catch {
    throw providerUnavailable(`${url} did not answer JSON`)
  }
  if (!isRecord(document)) throw providerUnavailable(`${url} did not answer a JSON object`)
  return document
}
