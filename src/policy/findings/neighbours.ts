/**
 * Of many lists of patterns: which have a pattern that could match a name that one of these matches.
 * Only what stands before the first wildcard is compared, so that ten thousand rules stay quick.
 */
export const createNeighbours = (
  lists: readonly (readonly string[])[],
): ((patterns: readonly string[]) => readonly number[]) => {
  const byPrefix = new Map<string, Set<number>>()
  for (const [index, patterns] of lists.entries()) {
    for (const pattern of patterns) {
      const prefix = prefixOf(pattern)
      const known = byPrefix.get(prefix)
      if (known === undefined) byPrefix.set(prefix, new Set([index]))
      else known.add(index)
    }
  }
  const sorted = [...byPrefix.keys()].sort()
  return (patterns) => {
    const found = new Set<number>()
    const add = (prefix: string) => {
      for (const index of byPrefix.get(prefix) ?? []) found.add(index)
    }
    for (const pattern of patterns) {
      const prefix = prefixOf(pattern)
      for (let length = 0; length < prefix.length; length++) add(prefix.slice(0, length))
      // Those that go on where this one ends, and this one's own.
      for (let at = findFirst(sorted, prefix); sorted[at]?.startsWith(prefix); at++) {
        add(sorted[at] as string)
      }
    }
    return [...found].sort((a, b) => a - b)
  }
}

/** A name without wildcards is its own prefix, with a mark behind it: it goes no further. */
const prefixOf = (pattern: string): string => {
  const wild = pattern.search(/[*?]/)
  return wild < 0 ? `${pattern}$` : pattern.slice(0, wild)
}

const findFirst = (sorted: readonly string[], text: string): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as string) < text) low = middle + 1
    else high = middle
  }
  return low
}
