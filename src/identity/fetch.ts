import { AppError } from '../errors.ts'
import { isLoopbackHost } from '../lib/address.ts'
import { providerUnavailable } from './index.ts'

/** The fetch a provider is given. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>

/** What one answer may cost. */
export interface FetchBounds {
  /** Of the body, after decompression. */
  readonly maxBytes: number
  /** For headers and body together. */
  readonly deadlineMilliseconds: number
}

/**
 * A fetch that cannot be held or led astray: bounded in time and size, redirects handed back as
 * they are. The answer is already read. @throws AppError `idp_unavailable`
 */
export const createBoundedFetch = (send: Fetch, bounds: FetchBounds): Fetch => {
  const { maxBytes, deadlineMilliseconds } = bounds
  return async (url, init = {}) => {
    const deadline = AbortSignal.timeout(deadlineMilliseconds)
    const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline
    const headers = new Headers(init.headers)
    headers.set('user-agent', 'postern')
    headers.set('accept-encoding', 'identity')
    try {
      const response = await send(url, { ...init, headers, signal, redirect: 'manual' })
      const body = await readBounded(response, maxBytes)
      if (body === undefined) {
        throw providerUnavailable(`${whereOf(url)} answered more than ${maxBytes} bytes`)
      }
      const { status, statusText } = response
      const content = body.byteLength === 0 ? null : body
      return new Response(content, { status, statusText, headers: response.headers })
    } catch (error) {
      if (!(error instanceof Error) || error instanceof AppError) throw error
      throw providerUnavailable(`${whereOf(url)} ${describe(error)}`)
    }
  }
}

/** Undefined where the body is longer; it is then given up at once, so a gzip bomb stays small. */
const readBounded = async (response: Response, maxBytes: number) => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/** Origin and path: a query may hold what no log should. */
const whereOf = (url: string): string => url.replace(/[?#].*$/, '')

const describe = (error: Error): string => {
  if (error.name === 'TimeoutError') return 'did not answer in time'
  const cause = error.cause as { readonly code?: unknown } | undefined
  return `could not be reached${typeof cause?.code === 'string' ? ` (${cause.code})` : ''}`
}

/**
 * A URL that may be asked: https, or plain http on loopback, without user or fragment.
 * Undefined for anything else.
 */
export const parseProviderUrl = (text: string): URL | undefined => {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (text.includes('#') || !/^https?:\/\/[^\s\\]+$/.test(text)) return undefined
  if (url.protocol === 'https:') return url
  return url.protocol === 'http:' && isLoopbackHost(url.hostname) ? url : undefined
}
