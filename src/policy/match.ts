import { isHostName, isLogin } from '../lib/names.ts'

export type Matcher = (text: string) => boolean

const charsets = {
  host: { allowed: /^[a-z0-9.*?-]{1,253}$/, isName: isHostName },
  login: { allowed: /^[a-z0-9_.*?-]{1,32}$/, isName: isLogin },
} as const

/** What is wrong with a pattern for host names or logins, and what to write; undefined for nothing. */
export const explainPattern = (text: string, of: keyof typeof charsets): string | undefined => {
  const { allowed, isName } = charsets[of]
  if (text.startsWith('!')) return 'there is no "!": write a deny rule for what must stay out'
  if (!allowed.test(text)) {
    return `must be a ${of} or a pattern of one: its characters, "*" and "?", one to an entry`
  }
  if (text.includes('**')) return 'write one "*": two say no more'
  // A letter stands in for what a wildcard takes: what is no name even then could match no name.
  return isName(text.replace(/[*?]/g, 'a'))
    ? undefined
    : `can match no ${of}; look at its dots and hyphens`
}

/** What is wrong with a pattern that is to name some hosts, never all; undefined for nothing. */
export const findHostPatternFault = (text: string): string | undefined =>
  /^[*?.]*$/.test(text) ? 'names every host' : explainPattern(text, 'host')

/** Whether a text is a pattern, and not one name. */
export const isPattern = (text: string): boolean => /[*?]/.test(text)

/**
 * A pattern as a function: `*` is any run of characters, also none, `?` exactly one; anchored at both
 * ends. With `crossDots` false neither takes a dot, unless `*` is the whole pattern. It never
 * backtracks: each piece between two `*` is looked for once, from where the last one ended.
 */
export const createMatcher = (
  pattern: string,
  { crossDots }: { readonly crossDots: boolean },
): Matcher => {
  if (pattern === '*') return () => true
  if (!isPattern(pattern)) return (text) => text === pattern
  if (crossDots) return createGlob(pattern)
  const globs = pattern.split('.').map(createGlob)
  return (text) => {
    const labels = text.split('.')
    return labels.length === globs.length && globs.every((glob, at) => glob(labels[at] as string))
  }
}

const createGlob = (pattern: string): Matcher => {
  const pieces = pattern.split('*')
  const first = pieces[0] as string
  if (pieces.length === 1) return (text) => text.length === first.length && isAt(first, text, 0)
  const last = pieces.at(-1) as string
  const middle = pieces.slice(1, -1)
  return (text) => {
    const end = text.length - last.length
    if (end < first.length || !isAt(first, text, 0) || !isAt(last, text, end)) return false
    let at = first.length
    for (const piece of middle) {
      const found = findPiece(piece, text, at, end)
      if (found === undefined) return false
      at = found + piece.length
    }
    return true
  }
}

const isAt = (piece: string, text: string, at: number): boolean => {
  if (!piece.includes('?')) return text.startsWith(piece, at)
  for (let i = 0; i < piece.length; i++) {
    if (piece[i] !== '?' && piece[i] !== text[at + i]) return false
  }
  return true
}

const findPiece = (piece: string, text: string, from: number, end: number): number | undefined => {
  for (let at = from; at + piece.length <= end; at++) if (isAt(piece, text, at)) return at
  return undefined
}

/**
 * Which of many lists of patterns match a host, by their index, ascending. Names are looked up at
 * once, patterns by what stands before their first wildcard or behind their last, and each pattern is
 * tried once however many lists hold it, so that ten thousand stay quick.
 */
export const createHostIndex = (
  lists: readonly (readonly string[])[],
  options: { readonly crossDots: boolean },
): ((host: string) => readonly number[]) => {
  const holders = new Map<string, number[]>()
  for (const [index, patterns] of lists.entries()) {
    for (const pattern of new Set(patterns)) insert(holders, pattern, index)
  }
  const patterns = [...holders.keys()].filter(isPattern).map((pattern) => ({
    start: pattern.slice(0, pattern.search(/[*?]/)),
    end: /[^*?]*$/.exec(pattern)?.[0] ?? '',
    tried: { matches: createMatcher(pattern, options), holders: holders.get(pattern) ?? [] },
  }))
  const sharing = {
    start: Map.groupBy(patterns, ({ start }) => start),
    end: Map.groupBy(patterns, ({ end }) => end),
  }
  const ends = { start: new Map<string, Tried[]>(), end: new Map<string, Tried[]>() }
  for (const { start, end, tried } of patterns) {
    // By the one that fewer patterns share: a whole domain may end all of them.
    const [fromStart, fromEnd] = [
      sharing.start.get(start)?.length ?? 0,
      sharing.end.get(end)?.length ?? 0,
    ]
    if (fromStart <= fromEnd) insert(ends.start, start, tried)
    else insert(ends.end, end, tried)
  }
  const starts = listLengths(ends.start)
  const tails = listLengths(ends.end)
  return (host) => {
    const found: (readonly number[])[] = []
    const named = holders.get(host)
    if (named !== undefined) found.push(named)
    const tryAll = (patterns: readonly Tried[] = []) => {
      for (const tried of patterns) if (tried.matches(host)) found.push(tried.holders)
    }
    for (const length of starts) {
      if (length <= host.length) tryAll(ends.start.get(host.slice(0, length)))
    }
    for (const length of tails) {
      if (length <= host.length) tryAll(ends.end.get(host.slice(host.length - length)))
    }
    // One list is in order already, and without doubles.
    if (found.length <= 1) return found[0] ?? []
    return [...new Set(found.flat())].sort((a, b) => a - b)
  }
}

/** A pattern that is tried on the hosts that begin or end as it does, and the lists that hold it. */
interface Tried {
  readonly matches: Matcher
  readonly holders: readonly number[]
}

const listLengths = (map: ReadonlyMap<string, unknown>): readonly number[] => [
  ...new Set([...map.keys()].map((text) => text.length)),
]

const insert = <T>(map: Map<string, T[]>, key: string, value: T): void => {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
