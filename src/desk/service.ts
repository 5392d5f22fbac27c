import { createApi, noPostern } from '../client/api.ts'
import { AppError, type Code } from '../errors.ts'
import type { Fetch } from '../lib/fetch.ts'

/** A request to a service's API. */
export interface ServiceRequest {
  readonly path: string
  readonly bearer?: string
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

/** The service at an origin (`parseServiceUrl`), asked by the SDK's own way, and spoken of as at a desk. */
export const createService = (url: string, fetch: Fetch): Service => {
  const api = createApi(url, fetch)
  const read = async ({ timeoutMs, ...request }: ServiceRequest): Promise<string> => {
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      return (await api.send({ ...request, maxBytes, signal })).text
    } catch (cause) {
      if (!(cause instanceof AppError)) {
        const hint = hints.not_running
        throw new AppError('not_running', `No service answers at ${url}.`, { hint, cause })
      }
      const hint = hintFor(cause.code) ?? cause.hint
      throw new AppError(cause.code, cause.message, hint === undefined ? {} : { hint, cause })
    }
  }
  return Object.freeze({
    read,
    async send(request: ServiceRequest) {
      const members = parseMembers(await read(request))
      if (members === undefined) throw noPostern(200)
      return members
    },
  })
}

/** What to do at a desk about a refusal; undefined where nothing more is known here. */
export const hintFor = (code: Code): string | undefined =>
  Object.hasOwn(hints, code) ? hints[code as keyof typeof hints] : undefined

const hints = {
  not_running: 'check the address, and the network; a key of your own still works: ssh -i KEY',
  authentication_required: 'log in: postern login',
  invalid_token: 'log in again: postern login',
  token_expired: 'log in again: postern login',
  token_too_old: 'log in again: postern login',
  mfa_required: 'log in again with a second factor: postern login',
  reason_required: 'say why: postern ssh --reason "…" LOGIN@HOST',
  policy_denied: 'postern whoami says who you are; an admin sees why with: postern policy explain',
} as const satisfies { readonly [code in Code]?: string }

/** The members of a JSON object; undefined for any other text. */
export const parseMembers = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
