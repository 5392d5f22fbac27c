import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Target } from './target.ts'

/** One keep-alive connection that has at most one request under way. */
export interface Connection {
  /** The status of the answer, once its last byte is here. Rejects where the connection ends before. */
  send(token: string): Promise<number>
  close(): void
}

/**
 * HTTP/1.1 by hand (RFC 9112): whatever the client costs, on the same two cores, is taken from the server it
 * measures, and `node:http` costs as much as half a certificate. It understands answers with a Content-Length,
 * chunked ones and those without a body, one after another.
 */
export const openConnection = (target: Target): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const { protocol, hostname, port, host } = new URL(target.url)
    const isTls = protocol === 'https:'
    const where = { host: hostname, port: Number(port) || (isTls ? 443 : 80) }
    const socket: Socket = isTls
      ? connectTls({ ...where, ...(target.ca === undefined ? {} : { ca: target.ca }) })
      : connect(where)
    socket.setNoDelay(true)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      let waiting: PromiseWithResolvers<number> | undefined
      let received = ''
      const fail = (error?: Error) => {
        waiting?.reject(error ?? new Error('the server has closed the connection'))
        waiting = undefined
      }
      socket.on('error', fail)
      socket.on('close', () => fail())
      // One character a byte: only lengths matter.
      socket.setEncoding('latin1')
      socket.on('data', (text: string) => {
        received += text
        const end = findEnd(received)
        if (end === undefined) return
        const status = Number(received.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length))
        received = received.slice(end)
        const { resolve: answer } = waiting ?? {}
        waiting = undefined
        answer?.(status)
      })
      resolve({
        send(token) {
          const { path, headers, body } = target.adapter.formatRequest({
            token,
            publicKey: target.publicKey,
          })
          const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
          const length = Buffer.byteLength(body)
          waiting = Promise.withResolvers()
          socket.write(
            `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n${lines.join('')}\r\n${body}`,
          )
          return waiting.promise
        },
        close: () => socket.destroy(),
      })
    })
    socket.once('error', reject)
  })

/** Where the first answer ends; undefined while it is not all there. */
const findEnd = (text: string): number | undefined => {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const start = head + 4
  const headers = text.slice(0, start)
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(headers)?.[1]
  if (length !== undefined) {
    return text.length >= start + Number(length) ? start + Number(length) : undefined
  }
  return /\r\ntransfer-encoding: *chunked\r\n/i.test(headers) ? findLastChunk(text, start) : start
}

/** Chunks say their lengths (RFC 9112 section 7.1); the last has none, and no trailers are looked for. */
const findLastChunk = (text: string, start: number): number | undefined => {
  for (let at = start; ; ) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(text.slice(at, line), 16)
    at = line + 2 + size + 2
    if (at > text.length) return undefined
    if (size === 0) return at
  }
}
