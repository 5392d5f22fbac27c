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

/** Damerau's distance: letters to change, add, take away, or swap with their neighbour. */
const countEdits = (a: string, b: string): number => {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)]
  const cell = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          cell(i - 1, j - 1) + (isSame ? 0 : 1),
          cell(i - 1, j) + 1,
          cell(i, j - 1) + 1,
          isSwapped ? cell(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
  }
  return cell(a.length, b.length)
}
