import type { Copy, Evidence, Log } from '../audit/index.ts'
import type { Authority, KeyRing } from '../ca/index.ts'
import type { Freeze } from '../freeze.ts'
import type { Pool } from '../identity/index.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Problem } from '../lib/yaml.ts'

/**
 * Whether certificates can be issued now, and which part says no. Anyone may read it, so `reason` is
 * there only for what an admin has to mend or has decided; all else stays in the service's log.
 */
export interface Readiness {
  readonly status: 'ok' | 'degraded' | 'unavailable'
  readonly checks: readonly {
    readonly name: string
    readonly ok: boolean
    readonly reason?: string
  }[]
}

type Check = { readonly ok: true } | { readonly ok: false; readonly reason: string }

const deadlineMillis = 5_000
/** Anyone may ask, so an answer is kept this long: asking often asks no provider more often. */
const keptMillis = { own: 1_000, providers: 10_000 } as const

const notReloaded =
  'The policy files as they are now do not load, and the last good policy stays in force: run `postern policy check`.'

const closedKey =
  'A next CA key cannot be opened: put it back, then `postern ca activate`, or `postern ca retire` and `remove` it.'

const hideReason = ({ name, ok }: { readonly name: string; readonly ok: boolean }) => ({ name, ok })

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
 * The answer of `/readyz`: `unavailable` where the signer or the log is missing or the clock may be
 * wrong, `degraded` where a provider or a next CA key is missing or the newest checkpoint could not be kept or the log's copy is behind, where the policy files no longer load, and while
 * issuing is frozen: then the door must stay open, to say who froze it and to let them lift it. Never
 * rejects, and takes at most 5 s.
 */
export const createReadiness = (deps: {
  readonly authority: Authority
  readonly ring: KeyRing
  readonly log: Log
  readonly evidence: Evidence
  /** The log's copy, where one is configured. */
  readonly copy: Copy | undefined
  readonly listPolicyProblems: () => readonly Problem[]
  readonly freeze: Freeze
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
    return [
      { name: 'signer', ...signer },
      { name: 'log', ...written },
      { name: 'clock', ...checkClock(deps.trustedClock) },
    ]
  })
  const checkProviders = keep(keptMillis.providers, monotonic, () =>
    withDeadline(
      pool.check().catch((error) => [{ name: 'providers', ...describe(error) }]),
      [{ name: 'providers', ...late }],
    ),
  )

  /** Asked anew each time: it costs nothing, and an admin looks right after a change. */
  const listStates = () => {
    const problems = deps.listPolicyProblems()
    const since = deps.freeze.find()?.since
    const isOpen = deps.ring
      .list()
      .every(({ state, fingerprint }) => state !== 'next' || authority.has(fingerprint))
    return [
      ...(isOpen ? [] : [{ name: 'keys', ok: false, reason: closedKey }]),
      problems.length === 0
        ? { name: 'policy', ok: true }
        : { name: 'policy', ok: false, reason: notReloaded },
      since === undefined
        ? { name: 'issuing', ok: true }
        : { name: 'issuing', ok: false, reason: `All issuing is frozen since ${since}.` },
    ]
  }

  return async () => {
    const [own, providers] = await Promise.all([checkOwn(), checkProviders()])
    const states = listStates()
    const kept = [
      { name: 'checkpoints', ...deps.evidence.check() },
      ...(deps.copy === undefined ? [] : [{ name: 'copy', ...deps.copy.check() }]),
    ]
    const failed = [...own, ...states, ...kept, ...providers].filter(({ ok }) => !ok)
    if (failed.length > 0) logger.warn({ failed }, 'not ready')
    const isUnavailable = own.some(({ ok }) => !ok)
    return {
      status: isUnavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ok',
      checks: [...own.map(hideReason), ...states, ...[...kept, ...providers].map(hideReason)],
    }
  }
}
