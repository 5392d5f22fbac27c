import {
  createServer,
  type RequestListener,
  type Server,
  type ServerOptions,
  STATUS_CODES,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { AppError, type Code, statusOf } from '../errors.ts'
import { createId, type Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import type { Bindings } from './context.ts'
import { formatProblem, formatProblemHeaders, toAppError } from './errors.ts'
import { formatUrl, openPlace, type Place } from './place.ts'
import { createStrangers } from './strangers.ts'

/** How long a peer may take; all in milliseconds. */
export interface Deadlines {
  /** For the request line and the headers. */
  readonly headers: number
  /** For the whole request, with its body. */
  readonly request: number
  /** How often the two are looked at: they are late by at most this. */
  readonly interval: number
  /** How long a connection may be kept open without a request, or with an answer that its peer takes nothing of. */
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
/** One more is closed as soon as it is made, and so are all that are idle: no number of them takes all memory, or all places. */
const usualConnections = 16_384
/** How many requests a connection may send ahead, behind the one that is being answered. */
const maxAhead = 32

export interface ListenOptions {
  readonly fetch: (request: Request, bindings: Bindings) => Promise<Response>
  readonly place: Place
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly random: Random
  readonly logger: Logger
  readonly deadlines: Deadlines
  /** How many connections there may be. */
  readonly maxConnections?: number
  /** How many of them may not have asked for anything yet. */
  readonly maxStrangers?: number
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
 * One answer at a time on a connection: however many requests are sent ahead, no more than one answer
 * waits in memory for whoever asks and reads nothing. Who sends too many ahead is cut.
 */
const takeTurns = (answer: RequestListener): RequestListener => {
  /** Of each connection with a request being answered, those behind it. */
  const behind = new WeakMap<Socket, (() => void)[]>()
  return (request, response) => {
    const { socket } = request
    const serve = () => {
      response.once('close', () => {
        const next = socket.destroyed ? undefined : behind.get(socket)?.shift()
        if (next === undefined) behind.delete(socket)
        else next()
      })
      answer(request, response)
    }
    const waiting = behind.get(socket)
    if (waiting === undefined) {
      behind.set(socket, [])
      serve()
    } else if (waiting.length < maxAhead) waiting.push(serve)
    else socket.destroy()
  }
}

/**
 * Listens. Every request is answered by `fetch`; what never becomes a request (malformed HTTP,
 * oversize headers, a peer too slow) is answered here, by hand and in the same form. Resolves once
 * connections are taken. Codes: `invalid_config` where the place cannot be listened on.
 */
export const listen = async (options: ListenOptions): Promise<Listener> => {
  const { place, random, logger, deadlines } = options

  const problem = (error: AppError, address?: string) => {
    const id = createId('req', random)
    const status = statusOf(error.code)
    logger.info({ id, route: 'none', status, code: error.code, address }, 'request')
    const headers = { ...formatProblemHeaders(error, id), connection: 'close' }
    return { status, headers, body: JSON.stringify(formatProblem(error, id)) }
  }

  /** Answers on a socket that has no request of Node's, and ends it. */
  const answerByHand = (socket: Socket, code: Code, message: string) => {
    const error = new AppError(code, message)
    const { status, headers, body } = problem(error, socket.remoteAddress)
    const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)) })
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    // A socket whose request was CONNECT has lost Node's own listener, and an error that nobody hears ends the process.
    socket.on('error', () => socket.destroy())
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`, () =>
      socket.destroy(),
    )
  }

  const listener = takeTurns(
    getRequestListener(options.fetch, {
      errorHandler: (thrown) => {
        const error =
          thrown instanceof RequestError ? new AppError(...malformed) : toAppError(thrown)
        const { status, headers, body } = problem(error)
        return new Response(body, { status, headers })
      },
    }),
  )
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
      : createTlsServer(
          {
            ...settings,
            ...options.tls,
            minVersion: 'TLSv1.2',
            handshakeTimeout: deadlines.headers,
          },
          listener,
        )
  server.maxConnections = options.maxConnections ?? usualConnections
  // Whoever asked once and is silent since keeps nobody out.
  server.on('drop', () => server.closeIdleConnections())
  // Of a connection on which nothing moves. No work of ours takes as long.
  server.timeout = deadlines.idle
  // Node's own list leaves out who has not yet finished a TLS handshake.
  const sockets = new Set<Socket>()
  const strangers = createStrangers(options.maxStrangers)
  server.on('connection', (socket) => {
    sockets.add(socket)
    const forget = strangers.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      forget()
    })
  })
  server.prependListener('request', (request) => {
    strangers.remove(request.socket)
    const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers
    // Until its body is whole it has not asked yet.
    if (length !== '0' || coding !== undefined) {
      const forget = strangers.add(request.socket)
      request.once('end', forget).once('close', forget)
    }
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Who has said nothing is told nothing: thousands may have to be let go in one moment.
    const isSilent = socket.bytesRead === 0
    if (isSilent || error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else answerByHand(socket, ...(parserErrors[error.code ?? ''] ?? malformed))
  })
  server.on('connect', (_request, socket: Socket) => {
    answerByHand(socket, 'method_not_allowed', 'This is no proxy: CONNECT is not taken.')
  })
  server.on('checkExpectation', (_request, response) => {
    const error = new AppError('invalid_request', 'Leave the Expect header out.')
    const { status, headers, body } = problem(error)
    response.writeHead(status, headers).end(body)
  })

  await openPlace(server, place)
  // An error event nobody listens to ends the process; a failure to accept is the peer's loss alone.
  server.on('error', (error: NodeJS.ErrnoException) => logger.warn({ code: error.code }, 'accept'))

  return Object.freeze({
    url: formatUrl(server, place, options.tls !== undefined),
    async close() {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()))
      // A connection becomes idle when its last request is answered, and Node looks only when told to.
      const sweep = setInterval(() => server.closeIdleConnections(), 50)
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, deadlines.drain)
      await ended
      clearInterval(sweep)
      clearTimeout(cut)
    },
  })
}
