import { AppError, type Code, codes } from '../errors.ts'
import { isLoopbackHost } from '../lib/address.ts'
import type { Fetch } from '../lib/fetch.ts'

/** A request to a service's API. */
export interface ServiceRequest {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly bearer?: string
  readonly body?: unknown
  readonly timeoutMs: number
}

/** The API of one service, as the desk needs it. */
export interface Service {
  /** The members of its answer. Codes: what the service says, and `not_running`. */
  send(request: ServiceRequest): Promise<Readonly<Record<string, unknown>>>
  /** The same for an answer in text. */
  read(request: ServiceRequest): Promise<string>
}

const maxBytes = 8 * 1024 * 1024

/** The service at an origin (`parseServiceUrl`). No redirect is followed: it would take the token along. */
export const createService = (url: string, send: Fetch): Service => {
  const exchange = async (request: ServiceRequest) => {
    const { method = 'GET', path, bearer, body, timeoutMs } = request
    try {
      const response = await send(`${url}${path}`, {
        method,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { ok: response.ok, status: response.status, text: await readBounded(response) }
    } catch (cause) {
      throw new AppError('not_running', `No service answers at ${url}.`, {
        hint: 'check the address, and the network; a key of your own still works: ssh -i KEY',
        cause,
      })
    }
  }
  const read = async (request: ServiceRequest): Promise<string> => {
    const { ok, status, text } = await exchange(request)
    if (ok) return text
    const { code, detail } = parseMembers(text) ?? {}
    if (typeof code !== 'string' || !Object.hasOwn(codes, code) || typeof detail !== 'string') {
      throw noPostern(url, status)
    }
    const hint = hintFor(code as Code)
    throw new AppError(code as Code, detail, hint === undefined ? {} : { hint })
  }
  return Object.freeze({
    read,
    async send(request: ServiceRequest) {
      const members = parseMembers(await read(request))
      if (members === undefined) throw noPostern(url, 200)
      return members
    },
  })
}

/** The origin of a service; undefined for what a token may not be sent to. */
export const parseServiceUrl = (text: string): string | undefined => {
  const url = URL.parse(text)
  if (url === null || url.href !== `${url.origin}/`) return undefined
  const isSafe =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
  return isSafe ? url.origin : undefined
}

/** What to do at a desk about a refusal; undefined where nothing more is known here. */
export const hintFor = (code: Code): string | undefined => hints[code]

const hints: { readonly [code in Code]?: string } = {
  authentication_required: 'log in: postern login',
  invalid_token: 'log in again: postern login',
  token_expired: 'log in again: postern login',
  token_too_old: 'log in again: postern login',
  mfa_required: 'log in again with a second factor: postern login',
  reason_required: 'say why: postern ssh --reason "…" LOGIN@HOST',
  policy_denied: 'postern whoami says who you are; an admin sees why with: postern policy explain',
}

const noPostern = (url: string, status: number): AppError =>
  new AppError('not_running', `What answers at ${url} (${status}) is no postern.`, {
    hint: 'name the origin of the service itself, as in its publicUrl',
  })

const readBounded = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.byteLength
    if (length > maxBytes) throw new Error('the answer is larger than 8 MiB')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** The members of a JSON object; undefined for any other text. */
export const parseMembers = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
