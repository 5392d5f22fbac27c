import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import {
  createServer,
  type RequestListener,
  type Server,
  type ServerOptions,
  STATUS_CODES,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import { AppError, type Code, statusOf } from '../errors.ts'
import { createId, type Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import type { Bindings } from './context.ts'
import { formatProblem, formatProblemHeaders } from './errors.ts'

/** How long a peer may take; all in milliseconds. */
export interface Deadlines {
  /** For the request line and the headers. */
  readonly headers: number
  /** For the whole request, with its body. */
  readonly request: number
  /** How often the two are looked at: they are late by at most this. */
  readonly interval: number
  /** How long a connection may be kept open without a request. */
  readonly idle: number
  /** How long requests in flight may take to finish at a stop, before they are cut. */
  readonly drain: number
}

/** 9 s and a half at the latest, so that nothing slow lives past 10 s. */
export const defaultDeadlines: Deadlines = Object.freeze({
  headers: 9_000,
  request: 9_000,
  interval: 500,
  // Longer than proxies keep theirs (nginx: 60 s), or a request of theirs may meet our closing.
  idle: 65_000,
  drain: 9_000,
})

const maxHeaderBytes = 16 * 1024
/** Idle ones are cut within 10 s: whoever holds this many open has to open them all anew by then. */
const maxConnections = 16_384

export type Place =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface ListenOptions {
  readonly fetch: (request: Request, bindings: Bindings) => Promise<Response>
  readonly place: Place
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly random: Random
  readonly logger: Logger
  readonly deadlines: Deadlines
}

export interface Listener {
  /** Where it can be reached: `http://127.0.0.1:8422`, or `unix:/run/postern.sock`. */
  readonly url: string
  /** Takes no more connections, lets requests in flight finish, cuts the rest at the deadline. */
  close(): Promise<void>
}

/** What Node's parser refuses, before there is a request: as a code, and in words. */
const parserErrors: Readonly<Record<string, readonly [Code, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers are larger than 16 KiB: send fewer.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [
    'body_too_large',
    'The chunk extensions are too large: send none.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    'request_timeout',
    'The request did not arrive in time: send it again.',
  ],
}
const malformed = [
  'invalid_request',
  'This is not HTTP as RFC 9112 has it: send a valid request.',
] as const

/**
 * Listens. Every request is answered by `fetch`; what never becomes a request (malformed HTTP,
 * oversize headers, a peer too slow) is answered here, by hand and in the same form. Resolves once
 * connections are taken. Codes: `invalid_config` where the place cannot be listened on.
 */
export const listen = async (options: ListenOptions): Promise<Listener> => {
  const { place, random, logger, deadlines } = options

  const problem = (code: Code, message: string) => {
    const id = createId('req', random)
    const error = new AppError(code, message)
    logger.info({ id, route: 'none', status: statusOf(code), code }, 'request')
    const headers = { ...formatProblemHeaders(error, id), connection: 'close' }
    return {
      status: statusOf(code),
      headers,
      body: JSON.stringify(formatProblem(error, id)),
    }
  }

  /** Answers on a socket that has no request of Node's, and ends it. */
  const answerByHand = (socket: Duplex, code: Code, message: string) => {
    const { status, headers, body } = problem(code, message)
    const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)) })
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`, () =>
      socket.destroy(),
    )
  }

  const listener: RequestListener = getRequestListener(options.fetch, {
    errorHandler: () => {
      const { status, headers, body } = problem(...malformed)
      return new Response(body, { status, headers })
    },
  })
  const settings: ServerOptions = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: deadlines.headers,
    requestTimeout: deadlines.request,
    connectionsCheckingInterval: deadlines.interval,
    keepAliveTimeout: deadlines.idle,
    // Ours says what is missing, in the form of every other problem.
    requireHostHeader: false,
    noDelay: true,
  }
  const server: Server =
    options.tls === undefined
      ? createServer(settings, listener)
      : createTlsServer({ ...settings, ...options.tls, minVersion: 'TLSv1.2' }, listener)
  server.maxConnections = maxConnections
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else answerByHand(socket, ...(parserErrors[error.code ?? ''] ?? malformed))
  })
  server.on('connect', (_request, socket) => {
    answerByHand(socket, 'method_not_allowed', 'This is no proxy: CONNECT is not taken.')
  })
  server.on('checkExpectation', (_request, response) => {
    const { status, headers, body } = problem('invalid_request', 'Leave the Expect header out.')
    response.writeHead(status, headers).end(body)
  })

  if (place.kind === 'unix') await removeStaleSocket(place.path)
  await open(server, place)
  // A failure to accept (no file descriptors left) is the peer's loss, and never the process's.
  server.on('error', (error: NodeJS.ErrnoException) => logger.warn({ code: error.code }, 'accept'))

  return Object.freeze({
    url: formatUrl(server, place, options.tls !== undefined),
    close: () => closeGracefully(server, deadlines.drain),
  })
}

const open = async (server: Server, place: Place): Promise<void> => {
  const where = place.kind === 'tcp' ? { host: place.host, port: place.port } : { path: place.path }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((cause: NodeJS.ErrnoException) => {
    const text = place.kind === 'tcp' ? `${place.host}:${place.port}` : `unix:${place.path}`
    throw new AppError('invalid_config', `listen: ${text} cannot be listened on (${cause.code}).`, {
      hint: 'Change listen in postern.yaml, or end what listens there.',
      cause,
    })
  })
  // The file mode is the socket's access control: the owner and the group, which is the proxy's.
  if (place.kind === 'unix') chmodSync(place.path, 0o660)
}

/** Removes a socket nobody listens on any more, as a kill leaves it; never anything but a socket. */
const removeStaleSocket = async (path: string): Promise<void> => {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  const isLive = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('error', () => resolve(false))
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
  })
  if (!isLive) unlinkSync(path)
}

const formatUrl = (server: Server, place: Place, isTls: boolean): string => {
  if (place.kind === 'unix') return `unix:${place.path}`
  const { port } = server.address() as AddressInfo
  const host = place.host.includes(':') ? `[${place.host.replace(/[[\]]/g, '')}]` : place.host
  return `${isTls ? 'https' : 'http'}://${host}:${port}`
}

const closeGracefully = async (server: Server, drainMillis: number): Promise<void> => {
  const ended = new Promise<void>((resolve) => server.close(() => resolve()))
  // A connection becomes idle when its last request is answered, and Node looks only when told to.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  const cut = setTimeout(() => server.closeAllConnections(), drainMillis)
  try {
    await ended
  } finally {
    clearInterval(sweep)
    clearTimeout(cut)
  }
}
