import type { Log } from '../audit/index.ts'
import type { Authority } from '../ca/index.ts'
import type { Pool } from '../identity/index.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Policy } from '../policy/index.ts'

/** Whether certificates can be issued now, and which part says no. Why is in the service's log. */
export interface Readiness {
  readonly status: 'ok' | 'degraded' | 'unavailable'
  readonly checks: readonly { readonly name: string; readonly ok: boolean }[]
}

type Check = { readonly ok: true } | { readonly ok: false; readonly reason: string }

const deadlineMillis = 5_000
/** Anyone may ask, so an answer is kept this long: asking often asks no provider more often. */
const keptMillis = { own: 1_000, providers: 10_000 } as const

const withDeadline = async <T>(work: Promise<T>, late: T): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late), deadlineMillis)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

const describe = (error: unknown): Check => ({
  ok: false,
  reason: error instanceof Error ? error.message : 'failed',
})

const checkClock = (clock: Clock): Check => {
  try {
    clock()
    return { ok: true }
  } catch (error) {
    return describe(error)
  }
}

/** One call at a time, its result kept for `millis`. */
const keep = <T>(millis: number, monotonic: () => number, load: () => Promise<T>) => {
  let kept: { readonly at: number; readonly value: Promise<T> } | undefined
  return () => {
    if (kept === undefined || monotonic() - kept.at >= millis) {
      kept = { at: monotonic(), value: load() }
    }
    return kept.value
  }
}

/**
 * The answer of `/readyz`: `unavailable` where the signer, the log or the policy is missing
 * or the clock may be wrong,
 * `degraded` where only a provider is. Never rejects, and takes at most 5 s.
 */
export const createReadiness = (deps: {
  readonly authority: Authority
  readonly log: Log
  readonly currentPolicy: () => Policy | undefined
  readonly pool: Pool
  readonly logger: Logger
  readonly monotonic: () => number
  readonly trustedClock: Clock
}): (() => Promise<Readiness>) => {
  const { authority, log, pool, logger, monotonic } = deps
  const late: Check = { ok: false, reason: 'no answer within 5 s' }
  const run = (check: () => Promise<Check>) => withDeadline(check().catch(describe), late)

  const checkOwn = keep(keptMillis.own, monotonic, async () => {
    const [signer, written] = await Promise.all([
      run(() => authority.check()),
      run(() => log.check()),
    ])
    const policy: Check =
      deps.currentPolicy() === undefined ? { ok: false, reason: 'none is loaded' } : { ok: true }
    return [
      { name: 'signer', ...signer },
      { name: 'log', ...written },
      { name: 'policy', ...policy },
      { name: 'clock', ...checkClock(deps.trustedClock) },
    ]
  })
  const checkProviders = keep(keptMillis.providers, monotonic, () =>
    withDeadline(
      pool.check().catch((error) => [{ name: 'providers', ...describe(error) }]),
      [{ name: 'providers', ...late }],
    ),
  )

  return async () => {
    const [own, providers] = await Promise.all([checkOwn(), checkProviders()])
    const checks = [...own, ...providers]
    const failed = checks.filter(({ ok }) => !ok)
    if (failed.length > 0) logger.warn({ failed }, 'not ready')
    const isUnavailable = own.some(({ ok }) => !ok)
    return {
      status: isUnavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ok',
      checks: checks.map(({ name, ok }) => ({ name, ok })),
    }
  }
}
