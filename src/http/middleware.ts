import { AppError } from '../errors.ts'
import {
  type Cidr,
  createAddressMatcher,
  formatAddressBlock,
  isLoopbackHost,
  parseAddress,
} from '../lib/address.ts'
import { createId, type Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import { findClientAddress } from './address.ts'
import { checkDeclaredLength } from './body.ts'
import type { Bindings, HttpContext, Middleware, Step } from './context.ts'
import type { Gate } from './gate.ts'
import type { Limit } from './limits.ts'
import type { Metrics } from './metrics.ts'
import type { Route } from './routes/index.ts'

/** Where the service listens, as far as the door must know it. */
export interface Listening {
  readonly kind: 'tcp' | 'unix'
  /** The host name or address; empty for a unix socket. */
  readonly host: string
  readonly isTls: boolean
}

/** Routes that must answer whoever asks, however busy the service is. */
const probes: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

/** The target as it was sent. Hono's own reading decodes it, and a proxy before us may not have. */
export const readTarget = (request: Request, bindings: Bindings | undefined): string =>
  bindings?.incoming?.url ?? request.url.replace(/^[a-z]+:\/\/[^/?#]*/, '')

/** The path of a target: everything before the query or fragment, with nothing decoded or tidied; `/` where it has none. */
export const readPath = (target: string): string =>
  target.startsWith('/') ? (target.split(/[?#]/, 1)[0] as string) : '/'

/**
 * The steps as one middleware, the first listed outermost: each lets the request pass or throws, and those
 * it has passed see the answer on its way out, a refusal's too. (As a chain of middlewares each of them
 * would cost every certificate a closure and two promises.)
 */
export const takeSteps =
  (
    steps: readonly Step[],
    answerError: (thrown: unknown, c: HttpContext) => Response,
  ): Middleware =>
  async (c, next) => {
    let passed = 0
    try {
      for (; passed < steps.length; passed++) steps[passed]?.before?.(c)
      // What a handler throws is an answer when this resolves.
      await next()
    } catch (thrown) {
      c.res = answerError(thrown, c)
    }
    for (; passed > 0; passed--) steps[passed - 1]?.after?.(c)
  }

/** Gives the request its id, its address and its route: all that later steps and lines name it by. */
export const identifyRequest = (deps: {
  readonly random: Random
  readonly monotonic: () => number
  readonly listening: Listening
  readonly trustedProxies: readonly Cidr[]
  /** The path of the route a request is for, as the route declares it. */
  readonly findPath: (path: string) => string | undefined
}): Step => {
  const isTrusted = createAddressMatcher(deps.trustedProxies)
  return {
    before(c) {
      const startedAt = deps.monotonic()
      const address = findClientAddress({
        peer: c.env.incoming?.socket.remoteAddress,
        isUnix: deps.listening.kind === 'unix' || c.env.isLocal,
        forwardedFor: c.env.isLocal ? undefined : c.req.header('x-forwarded-for'),
        isTrusted,
      })
      const route = deps.findPath(c.req.path) ?? 'none'
      c.set('facts', { id: createId('req', deps.random), address, route, startedAt })
    },
  }
}

/** One line a request, and its figures. Never the query, a header or a body. */
export const recordRequest = (deps: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly monotonic: () => number
}): Step => ({
  after(c) {
    const { id, address, route, code, startedAt } = c.get('facts')
    const status = c.res.status
    const millis = deps.monotonic() - startedAt
    deps.metrics.countRequest({ route, status, code: code ?? 'ok', seconds: millis / 1000 })
    const level = status >= 500 ? 'warn' : probes.has(route) ? 'debug' : 'info'
    const line = { id, method: c.req.method, route, status, code, ms: Math.round(millis), address }
    deps.logger[level](line, 'request')
  },
})

/**
 * Whether a request is held to no limit: probes, which tell nothing but health, and the admin socket,
 * through which a service is stopped that others keep busy.
 */
const isExempt = (c: HttpContext): boolean => probes.has(c.req.path) || c.env.isLocal

/**
 * Refuses while the service stops, and where more requests are being worked on than it may hold. One
 * whose body is on its way is not: else a thousand who send theirs slowly would shut out everybody.
 */
export const holdGate = (gate: Gate): Step => {
  const away = new WeakSet<HttpContext>()
  return {
    before(c) {
      if (isExempt(c)) return
      gate.enter()
      c.set('outside', async (work) => {
        gate.leave()
        away.add(c)
        try {
          return await work()
        } finally {
          gate.enterAgain()
          away.delete(c)
        }
      })
    },
    after(c) {
      if (isExempt(c)) return
      if (!away.has(c)) gate.leave()
      if (gate.isClosed()) c.res.headers.set('connection', 'close')
    },
  }
}

/** Over plain HTTP beyond this machine only a trusted proxy is served: it has ended TLS before us. */
export const checkPeer = (listening: Listening, trustedProxies: readonly Cidr[]): Step => {
  const isTrusted = createAddressMatcher(trustedProxies)
  const isExposed = listening.kind === 'tcp' && !listening.isTls && !isLoopbackHost(listening.host)
  return {
    before(c) {
      if (!isExposed || isExempt(c)) return
      const peer = parseAddress(c.env.incoming?.socket.remoteAddress ?? '')
      if (peer !== undefined && isTrusted(peer)) return
      throw new AppError(
        'untrusted_peer',
        'This address speaks plain HTTP to its trusted proxies only: connect through the proxy, over HTTPS.',
      )
    },
  }
}

/**
 * DNS rebinding: a page of an attacker's own name that resolves to us still sends that name as
 * Host. Ours are publicUrl's and, where only this machine can connect, the loopback names.
 */
export const checkHost = (listening: Listening, publicUrl: string): Step => {
  const { host, hostname, port, protocol } = new URL(publicUrl)
  const own = new Set([
    host,
    port === '' ? `${hostname}:${protocol === 'https:' ? 443 : 80}` : host,
  ])
  const isLocal = listening.kind === 'unix' || isLoopbackHost(listening.host)
  return {
    before(c) {
      const named = (c.req.header('host') ?? new URL(c.req.url).host).toLowerCase()
      if (isExempt(c) || own.has(named) || (isLocal && isLoopbackName(named, c))) return
      throw new AppError(
        'misdirected_request',
        "The Host header does not name this service: send the request to the address in the service's publicUrl.",
      )
    },
  }
}

const isLoopbackName = (named: string, c: HttpContext): boolean => {
  const match = /^(localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?$/.exec(named)
  const localPort = c.env.incoming?.socket.localPort
  return match !== null && (localPort === undefined || match[2] === String(localPort))
}

const tokenNames: ReadonlySet<string> = new Set([
  'access_token',
  'authorization',
  'bearer',
  'client_secret',
  'code',
  'id_token',
  'refresh_token',
  'token',
])

/** What a query may hide a token in: a name that says so, or a value that looks like one. */
const hasToken = (query: string): boolean =>
  [...new URLSearchParams(query)].some(
    ([name, value]) =>
      tokenNames.has(name.toLowerCase()) || /^(?:eyJ|gh[a-z]_|github_pat_)/.test(value),
  )

/**
 * A URL ends up in proxies' logs and browsers' histories, so a token in one is refused aloud, even
 * for a path we do not have. Of all else a query holds only what its route names, once.
 */
export const checkTarget = (table: readonly Pick<Route, 'method' | 'path' | 'query'>[]): Step => ({
  before(c) {
    const target = readTarget(c.req.raw, c.env)
    if (!target.startsWith('/')) {
      throw new AppError('invalid_request', 'Send the request target as a path, like /v1/whoami.')
    }
    const query = target.slice(readPath(target).length + 1)
    if (query === '') return
    if (hasToken(query)) {
      throw new AppError(
        'token_in_url',
        'A token was sent in the URL, where logs keep it: revoke it, and send a new one in the Authorization header.',
      )
    }
    // RFC 9112 section 3.2 has none in a target; our URL parser would drop it, and the query checked here with it.
    if (target.includes('#')) {
      throw new AppError('invalid_request', 'Leave out the "#" and all after it.')
    }
    const here = table.filter(({ path }) => path === c.get('facts').route)
    const name = c.req.method === 'HEAD' ? 'get' : c.req.method.toLowerCase()
    checkQuery(query, here.find(({ method }) => method === name) ?? here[0])
  },
})

const checkQuery = (query: string, route: Pick<Route, 'query'> | undefined): void => {
  if (route === undefined) return
  if (route.query === undefined) {
    throw new AppError(
      'invalid_request',
      'This route takes no query: leave out the "?" and all after it.',
    )
  }
  const known = Object.keys(route.query)
  const names = [...new URLSearchParams(query).keys()]
  if (new Set(names).size < names.length || !names.every((name) => known.includes(name))) {
    throw new AppError(
      'invalid_request',
      `The query of this route holds ${known.join(', ')}, each at most once, and nothing else.`,
    )
  }
}

/** Refuses a declared length beyond the limit before anything is read, whatever the route. */
export const checkLength: Step = {
  before(c) {
    checkDeclaredLength(c)
  },
}

export const rateLimited = (retryAfter: number): AppError =>
  new AppError('rate_limited', `Too many requests: wait ${retryAfter} s, then try again.`, {
    retryAfter,
  })

/**
 * Counts what was refused (any 4xx but 429), by address, and then refuses before any work is done:
 * what is answered with a success costs nothing here, whoever asked and however often.
 */
export const limitAddress = (limit: Limit): Step => ({
  before(c) {
    if (isExempt(c)) return
    const wait = limit.check(formatAddressBlock(c.get('facts').address))
    if (wait > 0) throw rateLimited(wait)
  },
  after(c) {
    const { status } = c.res
    if (isExempt(c) || status < 400 || status >= 500 || status === 429) return
    limit.take(formatAddressBlock(c.get('facts').address))
  },
})
