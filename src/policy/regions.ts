import { isHostName, isLogin } from '../lib/names.ts'
import { createHostIndex, isPattern } from './match.ts'

/** A pattern, and whether its wildcards take dots (match.ts). */
export interface Pattern {
  readonly text: string
  readonly crossDots: boolean
}

/** Names that the same patterns match, with the shortest of them found. */
export interface Region {
  readonly witness: string
  /** The patterns that match, by their index, ascending. */
  readonly matches: readonly number[]
}

/** Every region; or as many as were found before there were too many to look at. */
export interface Regions {
  readonly regions: readonly Region[]
  readonly isWhole: boolean
}

/** What is a name, and what may follow on what in one. */
interface Grammar {
  readonly isName: (text: string) => boolean
  readonly read: (label: Label, char: string) => Label | undefined
}

/**
 * Divides the names that some focused pattern matches by which of all the patterns match them. Not
 * by trying names: by following all the patterns at once, letter by letter, through every state
 * they can be in together. Two names that lead to one state are alike for ever after.
 */
export const listRegions = (
  patterns: readonly Pattern[],
  isFocused: (index: number) => boolean,
  kind: keyof typeof grammars,
  maxSteps = 20_000_000,
): Regions => {
  const grammar = grammars[kind]
  const find = createFinder(patterns)
  const exact = new Set(patterns.flatMap(({ text }) => (isPattern(text) ? [] : [text])))
  const regions = new Map<string, Region>()
  for (const witness of exact) {
    if (!grammar.isName(witness)) continue
    const matches = find(witness)
    if (matches.some(isFocused)) regions.set(matches.join(), { witness, matches })
  }
  const wild = [...patterns.keys()].filter((index) => isPattern((patterns[index] as Pattern).text))
  const outlines = patterns.map(outlineOf)
  let left = maxSteps
  for (const index of wild.filter(isFocused)) {
    const pattern = patterns[index] as Pattern
    const outline = outlineOf(pattern)
    const near = wild.filter((other) => canMeet(outline, outlines[other] as Outline))
    const search = { patterns, index, near, exact, grammar, maxSteps: left }
    const found = followApart(search)
    for (const region of found.regions) {
      const key = region.matches.join()
      if (!regions.has(key)) regions.set(key, region)
    }
    left -= found.steps
    if (left <= 0) return { regions: [...regions.values()], isWhole: false }
  }
  return { regions: [...regions.values()], isWhole: true }
}

/** How the names of a pattern begin and end, and how many dots they have. */
export interface Outline {
  readonly head: string
  readonly tail: string
  readonly minDots: number
  /** Infinite where a wildcard takes dots. */
  readonly maxDots: number
}

export const outlineOf = ({ text, crossDots }: Pattern): Outline => {
  const dots = text.split('.').length - 1
  const isOpen = isPattern(text) && (crossDots || text === '*')
  return {
    head: /^[^*?]*/.exec(text)?.[0] ?? '',
    tail: /[^*?]*$/.exec(text)?.[0] ?? '',
    minDots: dots,
    maxDots: isOpen ? Number.POSITIVE_INFINITY : dots,
  }
}

/**
 * Whether two patterns could match the same name, as far as their outlines tell. It may say so of two
 * that cannot, and never the reverse.
 */
export const canMeet = (a: Outline, b: Outline): boolean =>
  a.minDots <= b.maxDots &&
  b.minDots <= a.maxDots &&
  (a.head.startsWith(b.head) || b.head.startsWith(a.head)) &&
  (a.tail.endsWith(b.tail) || b.tail.endsWith(a.tail))

interface Search {
  readonly patterns: readonly Pattern[]
  /** The pattern whose names are divided, and those that may match some of them. */
  readonly index: number
  readonly near: readonly number[]
  readonly exact: ReadonlySet<string>
  readonly grammar: Grammar
  readonly maxSteps: number
}

interface Found {
  readonly regions: readonly Region[]
  /** How much work it was. More than was allowed where there was too much. */
  readonly steps: number
}

/** A witness must be no exact name, or it would speak for that name alone: then the name joins in. */
const followApart = (search: Search): Found => {
  const { patterns, exact, near, maxSteps } = search
  const apart = new Set<string>()
  let steps = 0
  for (;;) {
    const names = [...patterns.keys()].filter((index) =>
      apart.has((patterns[index] as Pattern).text),
    )
    const given = { ...search, near: [...near, ...names].sort((a, b) => a - b) }
    const found = followPatterns({ ...given, maxSteps: maxSteps - steps })
    steps += found.steps
    const met = found.regions.filter(({ witness }) => exact.has(witness) && !apart.has(witness))
    if (met.length === 0 || steps > maxSteps) {
      return { regions: found.regions.filter(({ witness }) => !exact.has(witness)), steps }
    }
    for (const { witness } of met) apart.add(witness)
  }
}

/** Which patterns match a name, by their index. */
const createFinder = (patterns: readonly Pattern[]): ((name: string) => readonly number[]) => {
  const finders = [true, false].map((crossDots) =>
    createHostIndex(
      patterns.map((pattern) => (pattern.crossDots === crossDots ? [pattern.text] : [])),
      { crossDots },
    ),
  )
  return (name) => finders.flatMap((find) => find(name)).sort((a, b) => a - b)
}

/** A pattern as a machine: bit n of a state says that its first n characters are matched. */
interface Machine {
  readonly index: number
  readonly start: bigint
  readonly end: bigint
  step(state: bigint, char: string): bigint
}

const createMachine = ({ text, crossDots }: Pattern, index: number): Machine => {
  const dots = crossDots || text === '*'
  let stars = 0n
  let ones = 0n
  const letters = new Map<string, bigint>()
  for (const [at, char] of [...text].entries()) {
    const bit = 1n << BigInt(at)
    if (char === '*') stars |= bit
    else if (char === '?') ones |= bit
    else letters.set(char, (letters.get(char) ?? 0n) | bit)
  }
  // "**" is refused when a policy loads, so one step past a star is enough.
  const close = (state: bigint) => state | ((state & stars) << 1n)
  return {
    index,
    start: close(1n),
    end: 1n << BigInt(text.length),
    step(state, char) {
      const isTaken = dots || char !== '.'
      const moved = (letters.get(char) ?? 0n) | (isTaken ? ones : 0n)
      return close(((state & moved) << 1n) | (isTaken ? state & stars : 0n))
    },
  }
}

interface State {
  readonly name: string
  readonly label: Label
  readonly alive: readonly (readonly [Machine, bigint])[]
}

const followPatterns = ({ patterns, index: focused, near, grammar, maxSteps }: Search): Found => {
  const { isName, read } = grammar
  const machines = near.map((index) => createMachine(patterns[index] as Pattern, index))
  const chars = listChars(near.map((index) => (patterns[index] as Pattern).text))
  const regions = new Map<string, Region>()
  const known = new Set<string>()
  let steps = 0
  const queue: State[] = [
    { name: '', label: 'start', alive: machines.map((machine) => [machine, machine.start]) },
  ]
  // The queue grows behind the loop: the shortest names come first.
  for (const { name, label, alive } of queue) {
    const matches = alive.flatMap(([{ index, end }, state]) =>
      (state & end) === 0n ? [] : [index],
    )
    const key = matches.join()
    if (matches.includes(focused) && !regions.has(key) && isName(name)) {
      regions.set(key, { witness: name, matches })
    }
    for (const char of chars) {
      const next = read(label, char)
      if (next === undefined) continue
      steps += alive.length
      if (steps > maxSteps) return { regions: [...regions.values()], steps }
      const moved = alive.flatMap(([machine, state]) => {
        const after = machine.step(state, char)
        return after === 0n ? [] : [[machine, after] as const]
      })
      if (!moved.some(([{ index }]) => index === focused)) continue
      const place = `${next} ${moved.map(([{ index }, state]) => `${index}:${state.toString(36)}`)}`
      if (known.has(place)) continue
      known.add(place)
      queue.push({ name: name + char, label: next, alive: moved })
    }
  }
  return { regions: [...regions.values()], steps }
}

/** The characters that some pattern names, a dot, and one letter for all that none does. */
const listChars = (texts: readonly string[]): readonly string[] => {
  const used = new Set(texts.join('').replace(/[*?]/g, ''))
  const other = [...'xyzwvutsrqponmlkjihgfedcba'].find((letter) => !used.has(letter))
  return [...new Set([...(other === undefined ? [] : [other]), ...used, '.'])]
}

/**
 * What a name's last label is so far: names may not have an empty one, end it in a hyphen, or have
 * a number for the last (lib/names.ts), which is what a name's rest may still mend.
 */
type Label = 'start' | 'zero' | 'digits' | 'hex' | 'text' | 'hyphen'

const readHost = (label: Label, char: string): Label | undefined => {
  if (char === '.') return label === 'start' || label === 'hyphen' ? undefined : 'start'
  if (char === '-') return label === 'start' ? undefined : 'hyphen'
  if (label === 'zero' && char === 'x') return 'hex'
  if (label === 'hex') return /[0-9a-f]/.test(char) ? 'hex' : 'text'
  if (!/[0-9]/.test(char) || label === 'text' || label === 'hyphen') return 'text'
  return label === 'start' && char === '0' ? 'zero' : 'digits'
}

const readLogin = (label: Label, char: string): Label | undefined =>
  label === 'start' && !/[a-z_]/.test(char) ? undefined : 'text'

const grammars = {
  host: { isName: isHostName, read: readHost },
  login: { isName: isLogin, read: readLogin },
} as const satisfies Record<string, Grammar>
