/**
 * The known word a misspelt one was most likely meant to be; undefined where none is close. Case,
 * hyphens and underscores count for nothing, so `max-ttl` finds `maxTtl`.
 */
export const findNearest = (word: string, known: Iterable<string>): string | undefined => {
  const plain = simplify(word).slice(0, maxLength)
  let nearest: string | undefined
  // A third of the letters may be wrong: two short words that share little are not near.
  let least = Math.max(1, Math.floor(plain.length / 3)) + 1
  for (const candidate of known) {
    const distance = countEdits(plain, simplify(candidate))
    if (distance < least) {
      least = distance
      nearest = candidate
    }
  }
  return nearest
}

const maxLength = 64

const simplify = (word: string): string => word.toLowerCase().replace(/[-_]/g, '')

/** Levenshtein's distance, one row at a time. */
const countEdits = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
