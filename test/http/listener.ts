/**
 * A listener as a process of its own, to be started with few file descriptors: it prints its address,
 * and ends with its standard input.
 */
import { createMetrics, createMetricsFetch } from '../../src/http/metrics.ts'
import { defaultDeadlines, listen } from '../../src/http/server.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { createLogger } from '../../src/lib/log.ts'

const random = systemRandom
const { url } = await listen({
  fetch: createMetricsFetch({ metrics: createMetrics(false), random }),
  place: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  random,
  logger: createLogger('warn'),
  deadlines: { ...defaultDeadlines, headers: 1_500, request: 1_500, interval: 100 },
})
process.stdout.write(`${url}\n`)
process.stdin.resume().once('end', () => process.exit(0))
