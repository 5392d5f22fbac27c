/** `600/m`: so many in a window of so many seconds. */
export interface Rate {
  readonly count: number
  readonly windowSeconds: number
}

/**
 * A limit on how often a key may do something: `count` at once, given back evenly over the window.
 * `check` says how many seconds to wait (0: go on) and takes nothing; `take` takes one.
 */
export interface Limit {
  check(key: string): number
  take(key: string): void
}

/**
 * Keys are kept in two generations of this many; when the young one is full the old one is
 * forgotten. Whoever gets a key of theirs forgotten in this way has used as many others meanwhile,
 * each with a full allowance of its own: nothing is gained. A key in use moves to the young.
 */
const maxYoung = 50_000

const unlimited: Limit = Object.freeze({ check: () => 0, take: () => {} })

/** `monotonic` counts milliseconds and never steps back, so no clock change opens or shuts a door. */
export const createLimit = (rate: Rate | 'off', monotonic: () => number): Limit => {
  if (rate === 'off') return unlimited
  const windowMillis = rate.windowSeconds * 1000
  const oneMillis = windowMillis / rate.count
  /** For each key, when all it has taken will have been given back. */
  let young = new Map<string, number>()
  let old = new Map<string, number>()

  const keep = (key: string, restoredAt: number) => {
    if (young.size >= maxYoung) {
      old = young
      young = new Map()
    }
    young.set(key, restoredAt)
  }

  return Object.freeze({
    check(key: string) {
      const restoredAt = young.get(key) ?? old.get(key)
      if (restoredAt === undefined) return 0
      keep(key, restoredAt)
      const millis = Math.round(restoredAt + oneMillis - windowMillis - monotonic())
      return Math.max(0, Math.ceil(millis / 1000))
    },
    take(key: string) {
      const now = monotonic()
      const restoredAt = young.get(key) ?? old.get(key) ?? 0
      keep(key, Math.min(Math.max(restoredAt, now) + oneMillis, now + windowMillis))
    },
  })
}
