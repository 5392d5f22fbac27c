import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { loginFailed } from './index.ts'

/** A login's answer, awaited on a loopback port. */
export interface LoopbackAnswer {
  readonly redirectUri: string
  /** The URL the browser was sent to. Rejects with `login_failed` once it is given up. */
  readonly arrived: Promise<URL>
  close(): void
}

const path = '/callback'

const page = (text: string) =>
  `<!doctype html><meta charset="utf-8"><title>Postern</title><p>${text}</p>\n`

/**
 * Listens on 127.0.0.1 for the one answer that carries our state. What carries another is somebody
 * else's, a page that guesses our port perhaps: it is told so, and waited on.
 */
export const listenForAnswer = async ({
  state,
  signal,
}: {
  readonly state: string
  readonly signal: AbortSignal
}): Promise<LoopbackAnswer> => {
  const { promise: arrived, resolve, reject } = Promise.withResolvers<URL>()
  arrived.catch(() => {})
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '', redirectUri())
    const isOurs = url?.pathname === path && url.searchParams.get('state') === state
    response.writeHead(isOurs ? 200 : 400, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'close',
    })
    response.end(page(isOurs ? 'You may close this page.' : 'This is no answer to a login here.'))
    if (isOurs) resolve(url)
  })
  const redirectUri = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  await new Promise<void>((opened, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', opened)
  })
  const giveUp = () => reject(loginFailed('Nobody logged in within five minutes.'))
  signal.addEventListener('abort', giveUp, { once: true })
  return Object.freeze({
    redirectUri: redirectUri(),
    arrived,
    close() {
      signal.removeEventListener('abort', giveUp)
      server.close()
    },
  })
}
