/** What one run has to say. It has held where `violations` is empty. */
export interface Report {
  readonly name: string
  readonly figures: Readonly<Record<string, number | string>>
  /** Each in words that say what was lost, and where. */
  readonly violations: readonly string[]
}

/** Numbers that look random and can be had again: mulberry32, by a seed. */
export const createDice = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return Object.freeze({
    /** From 0 to below `end`. */
    below: (end: number): number => Math.floor(next() * end),
    isLikely: (share: number): boolean => next() < share,
    pick: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T,
  })
}

export type Dice = ReturnType<typeof createDice>

export const wait = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis))

/** The value below which a share of the numbers lies. */
export const percentile = (numbers: readonly number[], share: number): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
