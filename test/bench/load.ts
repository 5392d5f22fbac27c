import { Agent, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Target } from './target.ts'

export interface Load {
  readonly perSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  /** CPU time of the whole service process, all its threads, per certificate; NaN where it runs elsewhere. */
  readonly cpuMicros: number
  readonly rssBytes: number
  readonly failed: number
}

/**
 * Keeps `connections` requests in flight over as many keep-alive connections, each with a token
 * never used before. Tokens are made beforehand, so that the client's cost is the client's.
 */
export const measureLoad = (
  target: Target,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Load> => {
  const tokens = target.mintTokens(Math.ceil(seconds * 5000))
  return measure(target, connections, async (send) => {
    const start = performance.now()
    const worker = async () => {
      while (performance.now() - start < seconds * 1000) {
        const token = tokens.pop()
        if (token === undefined) return
        await send(token)
      }
    }
    await Promise.all(Array.from({ length: connections }, worker))
  })
}

/** Sends so many requests a second, evenly and however long each takes: what users feel. */
export const measureRate = (
  target: Target,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Load> => {
  const tokens = target.mintTokens(perSecond * seconds)
  return measure(target, perSecond, async (send) => {
    const start = performance.now()
    await Promise.all(
      tokens.map(async (token, n) => {
        await sleep(Math.max(0, start + (n * 1000) / perSecond - performance.now()))
        await send(token)
      }),
    )
  })
}

const measure = async (
  target: Target,
  maxSockets: number,
  run: (send: (token: string) => Promise<void>) => Promise<void>,
): Promise<Load> => {
  const isTls = target.url.startsWith('https:')
  const agent = new (isTls ? TlsAgent : Agent)({ keepAlive: true, maxSockets })
  const times: number[] = []
  let failed = 0
  const before = target.readUsage()
  const start = performance.now()
  await run(async (token) => {
    const sent = performance.now()
    const status = await post(agent, isTls ? tlsRequest : request, target, token)
    if (status === target.adapter.issued) times.push(performance.now() - sent)
    else failed++
  })
  const elapsed = (performance.now() - start) / 1000
  const after = target.readUsage()
  agent.destroy()
  times.sort((a, b) => a - b)
  const at = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return {
    perSecond: times.length / elapsed,
    p50Millis: at(0.5),
    p99Millis: at(0.99),
    cpuMicros: ((after?.cpuMicros ?? Number.NaN) - (before?.cpuMicros ?? 0)) / times.length,
    rssBytes: after?.rssBytes ?? Number.NaN,
    failed,
  }
}

const post = (
  agent: Agent,
  open: typeof request,
  { url, adapter, publicKey }: Target,
  token: string,
): Promise<number> =>
  new Promise((resolve, reject) => {
    const { path, headers, body } = adapter.formatRequest({ token, publicKey })
    const length = { 'content-length': Buffer.byteLength(body) }
    const call = open(
      `${url}${path}`,
      { method: 'POST', agent, headers: { ...headers, ...length } },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', reject)
      },
    )
    call.on('error', reject)
    call.end(body)
  })
