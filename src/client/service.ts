import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Fetch } from '../lib/fetch.ts'
import { formatProofMessage, proofNamespace } from '../lib/proof.ts'
import { formatSshsig } from '../ssh/sshsig.ts'
import { type Answer, checkAnswer } from './answer.ts'
import { createApi, findErrno, findJson, noPostern, parseServiceUrl } from './api.ts'
import { type Ask, checkAsk } from './ask.ts'
import { hintFor } from './errors.ts'
import type { MemoryKey } from './key.ts'

/** A token, or what answers a current one: it is called anew for each request, and what it throws is passed on. */
export type Credentials = string | (() => string | Promise<string>)

/** A Postern service, as far as certificates go. */
export interface Service {
  /**
   * Asks for a certificate for the key, with a proof that we have it. What surely issued nothing is
   * tried again within the signal's time: a refused connection, and an answer of 503 or 429 with
   * `Retry-After`. Codes: what the service says, `not_running`, `certificate_mismatch`, and those of
   * `checkAsk`.
   */
  issue(ask: Ask, credentials: Credentials, key: MemoryKey, signal: AbortSignal): Promise<Answer>
}

/** How often at most a request is sent, and how long is waited before the second time, in milliseconds. */
const retries = { tries: 4, firstDelay: 200, longestDelay: 30_000 } as const
const maxAnswerBytes = 256 * 1024

/** `url` is the origin of the service, its publicUrl. Code: `usage` for one that is none, or that would send tokens in the clear. */
export const createService = (deps: {
  readonly url: string
  readonly fetch: Fetch
  readonly clock: Clock
}): Service => {
  const api = createApi(checkUrl(deps.url), deps.fetch)

  const send = async (
    ask: Ask,
    credentials: Credentials,
    key: MemoryKey,
    signal: AbortSignal,
  ): Promise<Answer> => {
    const { host, login, ttl, command, reason } = ask
    const wanted = { publicKey: key.publicKey, host, login, ttl, command, reason }
    // Made anew each time: a proof is good for a minute, and once.
    const time = deps.clock().toISOString()
    const message = formatProofMessage({ wanted, time }, api.origin)
    const { sign, blob: publicKey } = key
    const signature = formatSshsig({ publicKey, namespace: proofNamespace, message, sign })
    const { status, text } = await api.send({
      method: 'POST',
      path: '/v1/certificates',
      bearer: await readCredentials(credentials),
      body: { ...wanted, proof: { time, signature } },
      maxBytes: maxAnswerBytes,
      signal,
    })
    const value = status === 201 ? findJson(text) : undefined
    if (value === undefined) throw noPostern(status)
    return checkAnswer(value)
  }

  const attempt = async (
    left: number,
    delay: number,
    ...given: Parameters<typeof send>
  ): Promise<Answer> => {
    const signal = given[3]
    try {
      return await send(...given)
    } catch (error) {
      signal.throwIfAborted()
      const millis = findDelay(error, delay)
      if (left <= 1 || millis === undefined || millis > retries.longestDelay) throw error
      await wait(millis, undefined, { signal })
      return attempt(left - 1, delay * 2, ...given)
    }
  }

  return Object.freeze({
    async issue(ask: Ask, credentials: Credentials, key: MemoryKey, signal: AbortSignal) {
      checkAsk(ask)
      try {
        return await attempt(retries.tries, retries.firstDelay, ask, credentials, key, signal)
      } catch (error) {
        // Whatever was under way says in words of its own that it was called off.
        signal.throwIfAborted()
        throw error
      }
    },
  })
}

/** A token is sent there: only what `parseServiceUrl` lets through. Code: `usage`. */
const checkUrl = (text: string): string => {
  const origin = parseServiceUrl(text)
  if (origin !== undefined) return origin
  throw new AppError('usage', 'The url is not the origin of a service.', {
    hint: 'write the service’s publicUrl, like https://postern.example.com; plain http only on loopback',
  })
}

/** How long to wait before it is sent again, in milliseconds; undefined where it may have issued something. */
const findDelay = (error: unknown, delay: number): number | undefined => {
  if (!(error instanceof AppError)) return undefined
  if (error.retryAfter !== undefined) return Math.max(error.retryAfter * 1000, delay)
  return findErrno(error.cause) === 'ECONNREFUSED' ? delay : undefined
}

const readCredentials = async (credentials: Credentials): Promise<string> => {
  const text = typeof credentials === 'function' ? await credentials() : credentials
  // Anything else would make a header that cannot be sent, and an error that holds the token.
  if (typeof text === 'string' && /^[\x21-\x7e]+$/.test(text)) return text
  throw new AppError('authentication_required', 'The token is empty, or is not one.', {
    ...hintFor('authentication_required'),
  })
}
