import { isHostName, isLogin } from '../lib/names.ts'
import { createMatcher } from './match.ts'

// Patterns as the sets of names they match: whether one set lies within others, and a name to show it.

/** Patterns of one rule, and whether their wildcards take dots: in a deny rule they do. */
export interface GlobSet {
  readonly patterns: readonly string[]
  readonly crossDots: boolean
}

type Kind = 'host' | 'login'

/** One step of a pattern: a character, any one of them, or any run of them. */
interface Step {
  readonly char?: string
  readonly isRun: boolean
  readonly takesDots: boolean
}

const parseSteps = (pattern: string, crossDots: boolean): readonly Step[] => {
  const takesDots = crossDots || pattern === '*'
  return [...pattern].map((char) =>
    char === '*' || char === '?'
      ? { isRun: char === '*', takesDots }
      : { char, isRun: false, takesDots: false },
  )
}

/** Where in the patterns of a set a word may have got to, each place as one number. */
type Places = readonly number[]

interface Automaton {
  readonly start: Places
  readonly move: (places: Places, char: string) => Places
  readonly isEnd: (places: Places) => boolean
  readonly chars: ReadonlySet<string>
}

const createAutomaton = (sets: readonly GlobSet[]): Automaton => {
  const lists = sets.flatMap(({ patterns, crossDots }) =>
    patterns.map((pattern) => parseSteps(pattern, crossDots)),
  )
  // Each pattern's steps, one after the other, with an end of its own behind them.
  const steps: (Step | undefined)[] = []
  const starts: number[] = []
  for (const list of lists) {
    starts.push(steps.length)
    steps.push(...list, undefined)
  }
  /** A run may also be empty. */
  const open = (places: Iterable<number>): Places => {
    const found = new Set<number>()
    for (const place of places) {
      for (let at = place; ; at++) {
        found.add(at)
        if (steps[at]?.isRun !== true) break
      }
    }
    return [...found].sort((a, b) => a - b)
  }
  return {
    start: open(starts),
    move: (places, char) =>
      open(
        places.flatMap((place) => {
          const step = steps[place]
          if (step === undefined) return []
          if (step.char !== undefined) return step.char === char ? [place + 1] : []
          if (char === '.' && !step.takesDots) return []
          return [step.isRun ? place : place + 1]
        }),
      ),
    isEnd: (places) => places.some((place) => steps[place] === undefined),
    chars: new Set(lists.flatMap((list) => list.flatMap(({ char }) => char ?? []))),
  }
}

/** Whether a character may follow another in a name; what comes first follows a dot. */
const follows = {
  // RFC 1123 section 2.1: labels begin and end with a letter or digit.
  host: (last: string, char: string) =>
    char === '.' || char === '-' ? last !== '.' && !(char === '.' && last === '-') : true,
  login: (last: string, char: string) => last !== '' || /[a-z_]/.test(char),
} as const satisfies Record<Kind, (last: string, char: string) => boolean>

const isName = { host: isHostName, login: isLogin } as const satisfies Record<
  Kind,
  (text: string) => boolean
>

/** More than this many steps are taken by no patterns that people write. */
const maxSteps = 20_000

/**
 * A short name that a set has and none of the others, or only with `isShared` that all of them have;
 * undefined where there is none, and also where looking took too long.
 */
const search = (
  kind: Kind,
  sets: readonly GlobSet[],
  accepts: (ends: readonly boolean[]) => boolean,
  isAlive: (places: readonly Places[]) => boolean,
): { readonly word?: string; readonly isSure: boolean } => {
  const automata = sets.map((set) => createAutomaton([set]))
  const used = new Set(automata.flatMap(({ chars }) => [...chars]))
  // Two stand for all the characters that no pattern names, so that the name found reads like one.
  const fresh = ['0123456789', 'abcdefghijklmnopqrstuvwxyz'].flatMap(
    (chars) => [...chars].find((char) => !used.has(char) && char !== '0') ?? [],
  )
  const alphabet = [
    ...fresh,
    ...[...used].sort(),
    ...(used.has('.') || kind === 'login' ? [] : ['.']),
  ]
  const first = kind === 'host' ? '.' : ''
  const queue = [{ word: '', last: first, places: automata.map(({ start }) => start) }]
  const seen = new Set<string>()
  for (let at = 0; at < queue.length; at++) {
    if (at > maxSteps) return { isSure: false }
    const { word, last, places } = queue[at] as (typeof queue)[number]
    const ends = places.map((place, index) => automata[index]?.isEnd(place) === true)
    if (accepts(ends) && isName[kind](word)) return { word, isSure: true }
    for (const char of alphabet) {
      // A name that begins with a letter is no number, and no address.
      if (char === fresh[0] && (last === first || last === '.')) continue
      if (!follows[kind](last, char)) continue
      const next = places.map((place, index) => automata[index]?.move(place, char) ?? [])
      if (!isAlive(next)) continue
      // A last label that is a number makes the name none.
      const shape = /[.-]/.test(char) ? char : /(?:^|\.)[0-9]*$/.test(word) && /[0-9]/.test(char)
      const key = `${shape} ${next.map((place) => place.join()).join('|')}`
      if (seen.has(key)) continue
      seen.add(key)
      queue.push({ word: word + char, last: char, places: next })
    }
  }
  return { isSure: true }
}

/** A name that a set matches and none of the others do; undefined where they have all of its names. */
export const findUncovered = (
  kind: Kind,
  set: GlobSet,
  others: readonly GlobSet[],
): string | undefined => {
  if (set.patterns.every((pattern) => !/[*?]/.test(pattern))) {
    const matchers = others.flatMap(({ patterns, crossDots }) =>
      patterns.map((pattern) => createMatcher(pattern, { crossDots })),
    )
    return set.patterns.find((name) => !matchers.some((matches) => matches(name)))
  }
  const { word, isSure } = search(
    kind,
    [set, ...others],
    ([first, ...rest]) => first === true && !rest.includes(true),
    ([first]) => first !== undefined && first.length > 0,
  )
  // What is not known is not claimed to be covered.
  return isSure ? word : set.patterns[0]
}

/** A name that all sets match; undefined where there is none. */
export const findShared = (kind: Kind, sets: readonly GlobSet[]): string | undefined =>
  search(
    kind,
    sets,
    (ends) => !ends.includes(false),
    (places) => places.every((place) => place.length > 0),
  ).word
