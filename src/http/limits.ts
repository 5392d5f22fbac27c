/** `600/m`: so many in a window of so many seconds. */
export interface Rate {
  readonly count: number
  readonly windowSeconds: number
}

/**
 * A limit on how often a key may do something: a token bucket of `count`, refilled evenly over the
 * window. `check` says how many seconds to wait (0: go on) and takes nothing; `take` takes one.
 */
export interface Limit {
  check(key: string): number
  take(key: string): void
}

interface Bucket {
  readonly level: number
  readonly at: number
}

/**
 * The oldest untouched keys are forgotten beyond this many. Whoever forgets a bucket of theirs in
 * this way has used that many other addresses or identities, each with a full bucket of its own:
 * nothing is gained. A key that is being refused is touched, and stays.
 */
const maxKeys = 50_000

const unlimited: Limit = Object.freeze({ check: () => 0, take: () => {} })

/** `monotonic` counts milliseconds and never steps back, so no clock change opens or shuts a door. */
export const createLimit = (rate: Rate | 'off', monotonic: () => number): Limit => {
  if (rate === 'off') return unlimited
  const { count } = rate
  const perMilli = count / (rate.windowSeconds * 1000)
  const buckets = new Map<string, Bucket>()

  const touch = (key: string, cost: number): number => {
    const now = monotonic()
    const { level, at } = buckets.get(key) ?? { level: count, at: now }
    const refilled = Math.min(count, level + (now - at) * perMilli)
    const left = Math.max(0, refilled - cost)
    buckets.delete(key)
    if (left < count) buckets.set(key, { level: left, at: now })
    if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value as string)
    return left
  }

  return Object.freeze({
    check(key: string) {
      const left = touch(key, 0)
      return left >= 1 ? 0 : Math.ceil((1 - left) / perMilli / 1000)
    },
    take(key: string) {
      touch(key, 1)
    },
  })
}
