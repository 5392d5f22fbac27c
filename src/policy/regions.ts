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
  maxStates = 100_000,
): Regions => {
  const grammar = grammars[kind]
  const find = createFinder(patterns)
  const exact = new Set(patterns.flatMap(({ text }) => (isPattern(text) ? [] : [text])))
  const named = [...exact]
    .filter(grammar.isName)
    .map((witness): Region => ({ witness, matches: find(witness) }))
    .filter(({ matches }) => matches.some(isFocused))

  // A witness must be no exact name, or it would speak for that name alone: then the name joins in.
  const apart = new Set<string>()
  for (;;) {
    const followed = patterns.flatMap(({ text }, index) =>
      isPattern(text) || apart.has(text) ? [index] : [],
    )
    const search = followPatterns(patterns, followed, isFocused, grammar, maxStates)
    const met = search.regions.filter(({ witness }) => exact.has(witness) && !apart.has(witness))
    if (met.length === 0) {
      const wild = search.regions.filter(({ witness }) => !exact.has(witness))
      return { regions: [...named, ...wild], isWhole: search.isWhole }
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

const followPatterns = (
  patterns: readonly Pattern[],
  followed: readonly number[],
  isFocused: (index: number) => boolean,
  { isName, read }: Grammar,
  maxStates: number,
): Regions => {
  const machines = followed.map((index) => createMachine(patterns[index] as Pattern, index))
  const chars = listChars(followed.map((index) => (patterns[index] as Pattern).text))
  const regions = new Map<string, Region>()
  const known = new Set<string>()
  const queue: State[] = [
    { name: '', label: 'start', alive: machines.map((machine) => [machine, machine.start]) },
  ]
  // The queue grows behind the loop: the shortest names come first.
  for (const { name, label, alive } of queue) {
    if (known.size > maxStates) return { regions: [...regions.values()], isWhole: false }
    const matches = alive.flatMap(([{ index, end }, state]) =>
      (state & end) === 0n ? [] : [index],
    )
    const key = matches.join()
    if (matches.some(isFocused) && !regions.has(key) && isName(name)) {
      regions.set(key, { witness: name, matches })
    }
    for (const char of chars) {
      const next = read(label, char)
      if (next === undefined) continue
      const moved = alive.flatMap(([machine, state]) => {
        const after = machine.step(state, char)
        return after === 0n ? [] : [[machine, after] as const]
      })
      if (!moved.some(([{ index }]) => isFocused(index))) continue
      const place = `${next} ${moved.map(([{ index }, state]) => `${index}:${state.toString(36)}`)}`
      if (known.has(place)) continue
      known.add(place)
      queue.push({ name: name + char, label: next, alive: moved })
    }
  }
  return { regions: [...regions.values()], isWhole: true }
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
