import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { AppError, type Code } from '../errors.ts'
import { type Standing, standings } from '../hosts/index.ts'
import { toSeconds } from '../lib/clock.ts'
import { createId, type Random } from '../lib/ids.ts'
import { commonHeaders, formatProblem, formatProblemHeaders } from './errors.ts'

/** One answered request. Every label has a closed set of values, so no input adds a time series. */
export interface RequestFigures {
  /** The route's path, or `none`. */
  readonly route: string
  readonly status: number
  readonly code: Code | 'ok'
  readonly seconds: number
}

export type DecisionLabel = 'allow' | 'deny' | 'error'

export interface Metrics {
  countRequest(figures: RequestFigures): void
  countDecision(decision: DecisionLabel): void
  /** Counts a certificate by a rule that says `alert: true`. */
  countAlert(): void
  /** A policy has come into force. */
  setPolicy(sha256: string, at: Date): void
  /** Changed policy files were not taken: once for each distinct failure. */
  countReloadFailure(): void
  /** How the hosts stand whenever somebody asks for the figures. */
  watchHosts(listStandings: () => readonly Standing[]): void
  /** Counts a failure of the log's copy, when it begins. */
  countCopyFailure(): void
  /** The figures in Prometheus' text format. */
  format(): Promise<string>
  readonly contentType: string
}

/**
 * @param withProcess whether the process's own figures (CPU, memory, event loop) are watched too:
 * watching them costs a little, so only where somebody reads them.
 */
export const createMetrics = (withProcess: boolean): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  if (withProcess) collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'postern_http_requests_total',
    help: 'Requests answered, by route, status and code.',
    labelNames: ['route', 'status', 'code'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'postern_http_request_seconds',
    help: 'Time from the first line of a request to its answer, by route.',
    labelNames: ['route'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const decisions = new Counter({
    name: 'postern_decisions_total',
    help: 'Asks for a certificate, by how they ended.',
    labelNames: ['decision'] as const,
    registers,
  })
  const alerts = new Counter({
    name: 'postern_alerts_total',
    help: 'Certificates by rules that say alert: true.',
    registers,
  })
  const policy = new Gauge({
    name: 'postern_policy_loaded',
    help: 'When the policy in force was loaded, in seconds since 1970, by its SHA-256.',
    labelNames: ['sha256'] as const,
    registers,
  })
  const reloadFailures = new Counter({
    name: 'postern_policy_reload_failures_total',
    help: 'Changes of the policy files that were not taken, as they do not load.',
    registers,
  })
  const copyFailures = new Counter({
    name: 'postern_audit_copy_failures_total',
    help: 'Times that the copy of the log (audit.copy) fell behind.',
    registers,
  })
  return Object.freeze({
    countRequest(figures: RequestFigures) {
      requests.inc({ route: figures.route, status: figures.status, code: figures.code })
      seconds.observe({ route: figures.route }, figures.seconds)
    },
    countDecision(decision: DecisionLabel) {
      decisions.inc({ decision })
    },
    countAlert() {
      alerts.inc()
    },
    setPolicy(sha256: string, at: Date) {
      // One series alone: the one before is history.
      policy.reset()
      policy.set({ sha256 }, toSeconds(at))
    },
    countReloadFailure: () => reloadFailures.inc(),
    watchHosts(listStandings: () => readonly Standing[]) {
      new Gauge({
        name: 'postern_hosts',
        help: 'Hosts, by how they stand: with the newest trust bundle (current) or an older one (behind), unheard of for 15 minutes (silent) or ever (never seen).',
        labelNames: ['standing'] as const,
        registers,
        collect() {
          this.reset()
          const found = findCounts(listStandings)
          if (found === undefined) return
          for (const standing of standings) this.set({ standing }, found.get(standing)?.length ?? 0)
        },
      })
    },
    countCopyFailure() {
      copyFailures.inc()
    },
    format: () => registry.metrics(),
    contentType: registry.contentType,
  })
}

/** Undefined where nobody can tell now: all other figures are told nevertheless. */
const findCounts = (listStandings: () => readonly Standing[]) => {
  try {
    return Map.groupBy(listStandings(), (standing) => standing)
  } catch {
    return undefined
  }
}

/** What the figures' own listener serves: `GET /metrics`, and nothing else. */
export const createMetricsFetch = (deps: {
  readonly metrics: Metrics
  readonly random: Random
}): ((request: Request) => Promise<Response>) => {
  const { metrics, random } = deps
  return async (request) => {
    if (request.method === 'GET' && new URL(request.url).pathname === '/metrics') {
      const headers = { ...commonHeaders, 'content-type': metrics.contentType }
      return new Response(await metrics.format(), { headers })
    }
    const id = createId('req', random)
    const error = new AppError('not_found', 'There is only GET /metrics here.')
    return new Response(JSON.stringify(formatProblem(error, id)), {
      status: 404,
      headers: formatProblemHeaders(error, id),
    })
  }
}
