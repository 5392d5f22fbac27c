import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, openConnection } from './connection.ts'
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

/** Tokens signed ahead of the load; where a server is quicker than this, it is loaded for less time. */
const mostPerSecond = 6000

/**
 * Keeps `connections` requests in flight over as many keep-alive connections, each with a token
 * never used before. Tokens are made beforehand, so that the client's cost is the client's.
 */
export const measureLoad = (
  target: Target,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Load> => {
  const tokens = target.mintTokens(Math.ceil(seconds * mostPerSecond))
  return measure(target, connections, async (lines, send) => {
    const start = performance.now()
    const work = async (line: Connection) => {
      while (performance.now() - start < seconds * 1000) {
        const token = tokens.pop()
        if (token === undefined) return
        await send(line, token)
      }
    }
    await Promise.all(lines.map(work))
  })
}

/** Sends so many requests a second, evenly and however long each takes: what users feel. */
export const measureRate = (
  target: Target,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Load> => {
  const tokens = target.mintTokens(perSecond * seconds)
  return measure(target, perSecond, async (idle, send) => {
    const start = performance.now()
    await Promise.all(
      tokens.map(async (token, n) => {
        await sleep(Math.max(0, start + (n * 1000) / perSecond - performance.now()))
        // The one that was used last: the rest are there for a server that falls behind.
        const line = idle.pop() ?? (await openConnection(target))
        await send(line, token)
        idle.push(line)
      }),
    )
  })
}

const measure = async (
  target: Target,
  count: number,
  run: (
    lines: Connection[],
    send: (line: Connection, token: string) => Promise<void>,
  ) => Promise<void>,
): Promise<Load> => {
  const lines = await Promise.all(Array.from({ length: count }, () => openConnection(target)))
  const times: number[] = []
  let failed = 0
  const before = target.readUsage()
  const start = performance.now()
  await run(lines, async (line, token) => {
    const sent = performance.now()
    const status = await line.send(token)
    if (status === target.adapter.issued) times.push(performance.now() - sent)
    else failed++
  })
  const elapsed = (performance.now() - start) / 1000
  const after = target.readUsage()
  for (const line of lines) line.close()
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
