import { isPattern } from './match.ts'
import { listRegions, type Pattern, type Region } from './regions.ts'
import type { Places } from './situations.ts'

type Given = Pick<Places, 'regions' | 'patterns' | 'focus'>

/** Says of some regions which hosts those are, by the rules' own patterns. */
export const createHostWords = ({ regions, patterns, focus }: Given) => {
  const held = holdRegions(regions)
  const textOf = (index: number) => patterns[index]?.text as string
  const isWithin = createWithin(patterns)
  /** Of a pattern that may hold names outside of all regions, nobody knows what becomes of those. */
  const isInside = (index: number) =>
    focus.has(index) || [...focus].some((other) => isWithin(index, other))
  const widest = [...held.keys()].sort((a, b) => sizeOf(held, b) - sizeOf(held, a))

  /** Patterns that hold some regions, and none of those that are meant. */
  const coverAll = (others: readonly Region[], isMeant: ReadonlySet<Region>) => {
    const covers: number[] = []
    const left = new Set(others)
    for (const index of widest) {
      const list = held.get(index) ?? []
      if (![...list].some((region) => left.has(region))) continue
      if ([...list].some((region) => isMeant.has(region))) continue
      covers.push(index)
      for (const region of list) left.delete(region)
    }
    return left.size === 0 ? covers : undefined
  }

  const format = (all: readonly number[], without: readonly number[]): string => {
    const least = all.filter((one) => !all.some((other) => other !== one && isWithin(other, one)))
    const words = least.map(textOf).join(' and ')
    return without.length === 0 ? words : `${words} but not ${without.map(textOf).join(', ')}`
  }

  return (meant: readonly Region[]): readonly string[] => {
    const isMeant = new Set(meant)
    const left = new Set(meant)
    const words: string[] = []
    const say = (text: string, told: Iterable<Region>) => {
      words.push(text)
      for (const region of told) left.delete(region)
    }
    for (const index of widest) {
      const list = [...(held.get(index) ?? [])]
      if (!list.some((region) => left.has(region))) continue
      if (list.every((region) => isMeant.has(region)) && isInside(index)) say(textOf(index), list)
    }
    for (const region of meant) {
      if (!left.has(region)) continue
      const exact = region.matches.find((index) => !isPattern(textOf(index)))
      if (exact !== undefined) {
        say(textOf(exact), [region])
        continue
      }
      // The narrowest pattern that holds it, without those that hold what is not meant of that.
      const index = widest.findLast(
        (one) => focus.has(one) && held.get(one)?.has(region) === true,
      ) as number
      const list = [...(held.get(index) ?? [])]
      const without = coverAll(
        list.filter((one) => !isMeant.has(one)),
        isMeant,
      )
      if (without !== undefined) {
        say(
          format([index], without),
          list.filter((one) => isMeant.has(one)),
        )
        continue
      }
      // There are none: this region alone, by all the patterns that make it.
      const alike = regions.filter(
        (one) => one !== region && region.matches.every((at) => one.matches.includes(at)),
      )
      say(format(region.matches, coverAll(alike, new Set([region])) ?? []), [region])
    }
    return [...new Set(words)].sort()
  }
}

const holdRegions = (regions: readonly Region[]): ReadonlyMap<number, ReadonlySet<Region>> => {
  const held = new Map<number, Set<Region>>()
  for (const region of regions) {
    for (const index of region.matches) {
      const known = held.get(index) ?? new Set()
      held.set(index, known.add(region))
    }
  }
  return held
}

const sizeOf = (held: ReadonlyMap<number, ReadonlySet<Region>>, index: number): number =>
  held.get(index)?.size ?? 0

/** Whether every name that one pattern matches is matched by another too. */
const createWithin = (patterns: readonly Pattern[]) => {
  const known = new Map<string, boolean>()
  return (inner: number, outer: number): boolean => {
    const key = `${inner} ${outer}`
    const answer =
      known.get(key) ?? holdsAll(patterns[inner] as Pattern, patterns[outer] as Pattern)
    known.set(key, answer)
    return answer
  }
}

const holdsAll = (inner: Pattern, outer: Pattern): boolean => {
  const { regions, isWhole } = listRegions([inner, outer], (index) => index === 0, 'host')
  return isWhole && regions.every(({ matches }) => matches.includes(1))
}
