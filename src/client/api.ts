import { AppError, type Code, codes } from '../errors.ts'
import { isLoopbackHost } from '../lib/address.ts'
import type { Fetch } from '../lib/fetch.ts'
import { JsonError, parseJson } from '../lib/json.ts'
import { hintFor } from './errors.ts'

/** A request to a service's API. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly bearer?: string | undefined
  readonly body?: unknown
  /** How much of an answer is read. */
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/** The API of one service: the one way in which it is asked. */
export interface Api {
  readonly origin: string
  /**
   * Its answer, where it is none of a failure; no redirect is followed, which would take the token along.
   * Codes: what the service says, with `retryAfter` where asking again is safe; `unknown_problem`,
   * `not_running`; and the signal's reason.
   */
  send(request: ApiRequest): Promise<{ readonly status: number; readonly text: string }>
}

/** The service at an origin (`parseServiceUrl`). */
export const createApi = (origin: string, send: Fetch): Api =>
  Object.freeze({
    origin,
    async send({ method = 'GET', path, bearer, body, maxBytes, signal }: ApiRequest) {
      let response: Response
      try {
        response = await send(`${origin}${path}`, {
          method,
          headers: {
            accept: 'application/json, */*;q=0.5',
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          redirect: 'manual',
          signal,
        })
      } catch (error) {
        signal.throwIfAborted()
        throw describeFailure(error, origin)
      }
      const text = await readText(response, maxBytes).catch((error) => {
        signal.throwIfAborted()
        throw error instanceof AppError ? error : cut(error)
      })
      if (response.ok) return { status: response.status, text }
      throw readProblem(response, text)
    },
  })

/** The origin of a service; undefined for what a token may not be sent to: it goes over TLS, or within this machine. */
export const parseServiceUrl = (text: string): string | undefined => {
  if (!URL.canParse(text)) return undefined
  const { origin, href, protocol, hostname } = new URL(text)
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))
  return isSafe && href === `${origin}/` ? origin : undefined
}

/** Why a request came to nothing, where the system says: undici puts it into the cause. */
export const findErrno = (error: unknown): string | undefined => {
  const cause = error instanceof Error ? error.cause : undefined
  return typeof cause === 'object' && cause !== null && 'code' in cause
    ? String(cause.code)
    : undefined
}

/** The value of a JSON text without doubled members; undefined for any other. */
export const findJson = (text: string): unknown => {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}

const readProblem = ({ status, headers }: Response, text: string): AppError => {
  const value = findJson(text)
  const { code, detail, requestId } = toRecord(value)
  if (typeof code !== 'string' || typeof detail !== 'string') return noPostern(status)
  const seconds = /^[0-9]{1,6}$/.exec(headers.get('retry-after') ?? '')?.[0]
  const isOver = status !== 503 && status !== 429
  const known = isCode(code) ? code : 'unknown_problem'
  return new AppError(known, detail, {
    detail: `request ${typeof requestId === 'string' ? requestId : 'unknown'}, ${code}`,
    ...(seconds === undefined || isOver ? {} : { retryAfter: Number(seconds) }),
    ...hintFor(known),
  })
}

const isCode = (text: string): text is Code => Object.hasOwn(codes, text)

const toRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const readText = async (response: Response, maxBytes: number): Promise<string> => {
  const decoder = new TextDecoder()
  let text = ''
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true })
    if (text.length > maxBytes) throw noPostern(response.status)
  }
  return text
}

const describeFailure = (error: unknown, origin: string): AppError =>
  new AppError('not_running', `No service answers at ${origin}.`, {
    detail: findErrno(error) ?? 'no reason was given',
    hint: 'check the address, and that the service is up; certificates that were issued still work',
    cause: error,
  })

const cut = (cause: unknown): AppError =>
  new AppError('not_running', 'The service hung up before the end of its answer.', {
    hint: 'try again; a certificate that may have been issued is of no use to anybody',
    cause,
  })

export const noPostern = (status: number): AppError =>
  new AppError('not_running', `What answers there (${status}) is no postern.`, {
    hint: 'set `url` to the origin of the service itself, its publicUrl',
  })
