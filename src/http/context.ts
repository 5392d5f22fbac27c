import type { Context, MiddlewareHandler } from 'hono'
import type { Code } from '../errors.ts'
import type { Caller } from '../identity/index.ts'

/**
 * What the listener knows of a connection beside the request itself. Node's own objects fit; a test
 * that calls `fetch` in process may give a record of its own, or nothing.
 */
export interface Bindings {
  readonly incoming?: {
    /** The request target as it came over the wire, before any URL parser has tidied it. */
    readonly url?: string | undefined
    readonly socket: {
      readonly remoteAddress?: string | undefined
      readonly localPort?: number | undefined
    }
  }
}

/** What is known of one request, from its first line to its log line. */
export interface Facts {
  /** Always our own: a client's X-Request-Id is not read. */
  readonly id: string
  /** The client: the rightmost hop that is no trusted proxy. */
  readonly address: string
  /** The path of the route, or `none`: a label with as many values as there are routes. */
  readonly route: string
  /** When it began, in milliseconds that never step back. */
  readonly startedAt: number
  /** The code of the problem it was answered with. */
  code?: Code
  caller?: Caller
}

export interface HttpEnv {
  /** `isLocal`: the request came through the admin socket. No request can say so of itself. */
  readonly Bindings: Bindings & { readonly isLocal: boolean }
  readonly Variables: {
    facts: Facts
    /** Waits for the client, and takes no place among the requests being worked on meanwhile. Code: `overloaded` */
    outside?: (work: () => Promise<Uint8Array>) => Promise<Uint8Array>
  }
}

export type HttpContext = Context<HttpEnv>
export type Middleware = MiddlewareHandler<HttpEnv>

/** One thought of the door: what it refuses, by throwing, and what it makes of the answer. */
export interface Step {
  before?(c: HttpContext): void
  after?(c: HttpContext): void
}
