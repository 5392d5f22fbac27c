import { setTimeout as wait } from 'node:timers/promises'
import { AppError, type Code, codes } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Fetch } from '../lib/fetch.ts'
import { JsonError, parseJson } from '../lib/json.ts'
import { formatProofMessage, proofNamespace } from '../lib/proof.ts'
import { formatSshsig } from '../ssh/sshsig.ts'
import { type Answer, checkAnswer } from './answer.ts'
import { type Ask, checkAsk } from './ask.ts'
import { hintFor } from './errors.ts'
import type { MemoryKey } from './key.ts'

/** A token, or what answers a current one: it is called anew for each request. */
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
  const origin = checkUrl(deps.url)

  const send = async (ask: Ask, credentials: Credentials, key: MemoryKey, signal: AbortSignal) => {
    const { host, login, ttl, command, reason } = ask
    const wanted = { publicKey: key.publicKey, host, login, ttl, command, reason }
    // Made anew each time: a proof is good for a minute, and once.
    const time = deps.clock().toISOString()
    const message = formatProofMessage({ wanted, time }, origin)
    const { sign, blob: publicKey } = key
    const signature = formatSshsig({ publicKey, namespace: proofNamespace, message, sign })
    return deps.fetch(`${origin}/v1/certificates`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await readCredentials(credentials)}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({ ...wanted, proof: { time, signature } }),
      // A redirect would take the token along.
      redirect: 'manual',
      signal,
    })
  }

  const attempt = async (
    left: number,
    delay: number,
    ...given: Parameters<typeof send>
  ): Promise<Answer> => {
    const signal = given[3]
    const retry = async (millis: number) => {
      await wait(millis, undefined, { signal })
      return attempt(left - 1, delay * 2, ...given)
    }
    let response: Response
    try {
      response = await send(...given)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof AppError) throw error
      if (left > 1 && findErrno(error) === 'ECONNREFUSED') return retry(delay)
      throw describeFailure(error, origin)
    }
    const answer = await readAnswer(response, signal)
    if ('issued' in answer) return checkAnswer(answer.issued)
    const { error } = answer
    const { retryAfter } = error
    const millis = (retryAfter ?? 0) * 1000
    if (left > 1 && retryAfter !== undefined && millis <= retries.longestDelay) {
      return retry(Math.max(millis, delay))
    }
    throw error
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

/** A token is sent there, so only over TLS, or within this machine. */
const checkUrl = (text: string): string => {
  if (URL.canParse(text)) {
    const { origin, href, protocol, hostname } = new URL(text)
    const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
    const isSafe = protocol === 'https:' || (protocol === 'http:' && isLocal)
    if (isSafe && href === `${origin}/`) return origin
  }
  throw new AppError('usage', 'The url is not the origin of a service.', {
    hint: 'write the service’s publicUrl, like https://postern.example.com; plain http only on loopback',
  })
}

const readCredentials = async (credentials: Credentials): Promise<string> => {
  const text = typeof credentials === 'function' ? await credentials() : credentials
  // Anything else would make a header that cannot be sent, and an error that holds the token.
  if (typeof text === 'string' && /^[\x21-\x7e]+$/.test(text)) return text
  throw new AppError('authentication_required', 'The token is empty, or is not one.', {
    ...hintFor('authentication_required'),
  })
}

type Read = { readonly issued: unknown } | { readonly error: AppError }

const readAnswer = async (response: Response, signal: AbortSignal): Promise<Read> => {
  const { status, headers } = response
  let value: unknown
  try {
    value = parseJson(await readText(response))
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof JsonError)) throw cut(error)
  }
  if (status === 201 && value !== undefined) return { issued: value }
  const { code, detail, requestId } = toRecord(value)
  if (typeof code !== 'string' || typeof detail !== 'string') throw foreign(status)
  const seconds = /^[0-9]{1,6}$/.exec(headers.get('retry-after') ?? '')?.[0]
  const isOver = status !== 503 && status !== 429
  const more = {
    detail: `request ${typeof requestId === 'string' ? requestId : 'unknown'}, ${code}`,
    ...(seconds === undefined || isOver ? {} : { retryAfter: Number(seconds) }),
  }
  const known = isCode(code) ? code : 'unknown_problem'
  return { error: new AppError(known, detail, { ...more, ...hintFor(known) }) }
}

const isCode = (text: string): text is Code => Object.hasOwn(codes, text)

const toRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const readText = async (response: Response): Promise<string> => {
  const decoder = new TextDecoder()
  let text = ''
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true })
    if (text.length > maxAnswerBytes) throw foreign(response.status)
  }
  return text
}

/** Why a request came to nothing, where the system says: undici puts it into the cause. */
const findErrno = (error: unknown): string | undefined => {
  const cause = error instanceof Error ? error.cause : undefined
  return typeof cause === 'object' && cause !== null && 'code' in cause
    ? String(cause.code)
    : undefined
}

const describeFailure = (error: unknown, origin: string): AppError =>
  new AppError('not_running', `No service answers at ${origin}.`, {
    detail: findErrno(error) ?? 'no reason was given',
    hint: 'check the address, and that the service is up; certificates that were issued still work',
    cause: error,
  })

const cut = (cause: unknown): AppError =>
  cause instanceof AppError
    ? cause
    : new AppError('not_running', 'The service hung up before the end of its answer.', {
        hint: 'try again; a certificate that may have been issued is of no use to anybody',
        cause,
      })

const foreign = (status: number): AppError =>
  new AppError('not_running', `What answers there (${status}) is no postern.`, {
    hint: 'set `url` to the origin of the service itself, its publicUrl',
  })
