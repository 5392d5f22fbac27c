import { Agent, request } from 'node:http'
import type { Service } from './service.ts'

export interface Load {
  readonly perSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  /** CPU time of the whole service process, all its threads, per certificate. */
  readonly cpuMicros: number
  readonly rssBytes: number
  readonly failed: number
}

/**
 * Keeps `connections` requests in flight over as many keep-alive connections, each with a token
 * never used before. Tokens are made beforehand, so that the client's cost is the client's.
 */
export const measureLoad = async (
  service: Service,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Load> => {
  const tokens = service.mintTokens(Math.ceil(seconds * 5000))
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const times: number[] = []
  let failed = 0
  const before = service.readUsage()
  const start = performance.now()
  const worker = async () => {
    while (performance.now() - start < seconds * 1000) {
      const token = tokens.pop()
      if (token === undefined) return
      const sent = performance.now()
      const status = await post(agent, service, token)
      if (status === 201) times.push(performance.now() - sent)
      else failed++
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const elapsed = (performance.now() - start) / 1000
  const after = service.readUsage()
  agent.destroy()
  times.sort((a, b) => a - b)
  const at = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return {
    perSecond: times.length / elapsed,
    p50Millis: at(0.5),
    p99Millis: at(0.99),
    cpuMicros: (after.cpuMicros - before.cpuMicros) / times.length,
    rssBytes: after.rssBytes,
    failed,
  }
}

const post = (agent: Agent, service: Service, token: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const call = request(
      `${service.url}/v1/certificates`,
      {
        method: 'POST',
        agent,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(service.body),
        },
      },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', reject)
      },
    )
    call.on('error', reject)
    call.end(service.body)
  })
