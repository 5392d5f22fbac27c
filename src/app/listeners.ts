import type { Config } from '../config.ts'
import type { Http } from '../http/index.ts'
import { createMetricsFetch, type Metrics } from '../http/metrics.ts'
import type { Place } from '../http/place.ts'
import { type Deadlines, type Listener, type ListenOptions, listen } from '../http/server.ts'
import type { Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import { findAdminSocket } from './admin.ts'

/** Where a service is reached. */
export interface Reached {
  readonly url: string
  readonly metricsUrl?: string
}

/** The listeners of the configuration, and the admin socket. */
export interface Listeners {
  /** Resolves once connections are taken. Code: `invalid_config` for a place that cannot be had. */
  open(): Promise<Reached>
  /** Takes no more connections; resolves once requests in flight have ended. */
  close(): Promise<void>
}

export const createListeners = (deps: {
  readonly config: Config
  readonly http: Pick<Http, 'fetch' | 'fetchLocal'>
  readonly metrics: Metrics
  readonly tls: ListenOptions['tls'] | undefined
  readonly random: Random
  readonly logger: Logger
  readonly deadlines: Deadlines
}): Listeners => {
  const { config, http, metrics, tls, random, logger, deadlines } = deps
  const listeners: Listener[] = []
  const add = async (place: Place, given: Pick<ListenOptions, 'fetch' | 'tls'>) => {
    const listener = await listen({ place, random, logger, deadlines, ...given })
    listeners.push(listener)
    return listener.url
  }
  return Object.freeze({
    async open() {
      const { listen: metricsPlace } = config.metrics
      const figures = createMetricsFetch({ metrics, random })
      const metricsUrl = metricsPlace && (await add(metricsPlace, { fetch: figures }))
      const admin = { kind: 'unix', path: findAdminSocket(config.dataDir), mode: 0o600 } as const
      await add(admin, { fetch: http.fetchLocal })
      // Last: where one of them cannot be opened, no request has come in.
      const secured = tls === undefined ? {} : { tls }
      const url = await add(config.listen, { fetch: http.fetch, ...secured })
      return { url, ...(metricsUrl === undefined ? {} : { metricsUrl }) }
    },
    async close() {
      await Promise.all(listeners.map((listener) => listener.close()))
    },
  })
}
