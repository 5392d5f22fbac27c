import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

/** A server on loopback; `close` also cuts what is still open. */
export interface LoopbackServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Serves on 127.0.0.1; port 0 takes a free one. A handler that throws answers 500. */
export const serve = async (
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void,
  port = 0,
): Promise<LoopbackServer> => {
  const server = createServer((request, response) => {
    Promise.resolve()
      .then(() => handle(request, response))
      .catch(() => {
        if (!response.headersSent) response.writeHead(500)
        response.end()
      })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
  return Object.freeze({
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

export const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

export const answerJson = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
  response.end(JSON.stringify(body))
}

const answer = (response: ServerResponse, status: number, type: string, body: string | Buffer) => {
  response.writeHead(status, { 'content-type': type })
  response.end(body)
}

/** Packed when first needed. */
let bomb: Buffer | undefined

/** Every way in which a server on the network answers wrongly. */
const misbehaviours = {
  /** The connection is cut before an answer. */
  down: (response) => {
    response.destroy()
  },
  error: (response) => answer(response, 500, 'application/json', '{"message":"upstream-secret"}'),
  /** Headers, then nothing. */
  stall: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{')
  },
  /** One byte now and then, for ever. */
  drip: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  },
  redirect: (response) => {
    response.writeHead(302, { location: '/trap' })
    response.end()
  },
  huge: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const chunk = Buffer.alloc(64 * 1024, ' ')
    const push = (left: number): void => {
      if (left === 0 || response.destroyed) response.end()
      else response.write(chunk, () => push(left - 1))
    }
    push(160)
  },
  'gzip-bomb': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    bomb ??= gzipSync(Buffer.alloc(16 * 1024 * 1024, ' '))
    response.end(bomb)
  },
  html: (response) => answer(response, 200, 'text/html', '<!doctype html><title>Log in</title>'),
  'not-json': (response) => answer(response, 200, 'application/json', '{"issuer":'),
  empty: (response) => answer(response, 200, 'application/json', ''),
  array: (response) => answer(response, 200, 'application/json', '[]'),
  null: (response) => answer(response, 200, 'application/json', 'null'),
} as const satisfies Record<string, (response: ServerResponse) => void>

export type Misbehaviour = keyof typeof misbehaviours

export const listMisbehaviours = (): readonly Misbehaviour[] =>
  Object.keys(misbehaviours) as Misbehaviour[]

export const misbehave = (how: Misbehaviour, response: ServerResponse): void =>
  misbehaviours[how](response)
