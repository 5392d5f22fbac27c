import type { Document, Node, Pair } from 'yaml'
import { isAlias, isMap, isNode, isScalar, isSeq } from 'yaml'

// From the parser's nodes to plain data, in one walk: what is refused is reported, and where everything
// stands is written down. The nodes themselves, many times larger than both, are then let go.

export type Path = readonly (string | number)[]

/** What stands in a document, and where: offsets into its text. */
export interface Read {
  readonly value: unknown
  /** Of a value; of the nearest enclosing one where there is none at that path. */
  findOffset(path: Path): number
  /** Of a key of a map; the map's where it has no such key. */
  findKeyOffset(path: Path): number
}

export type Report = (offset: number, message: string) => void

const maxNodes = 200_000
/** Levels of nesting that a file may have. */
export const maxDepth = 32

/** Also what an unquoted `*.example.com` is to YAML. */
export const aliasRefused =
  'aliases are not read; write the value out, and put text that starts with "*" in quotes'

export const tagRefused = 'tags are not read; leave it out'

/** Reads every node. What was reported makes the value worthless. */
export const readNodes = (document: Document, report: Report): Read => {
  const places = createPlaces()
  let nodes = 0
  const isTooMany = (): boolean => {
    nodes++
    if (nodes === maxNodes + 1) report(0, `the file has more than ${maxNodes} values; split it`)
    return nodes > maxNodes
  }

  /** `outer`: the offset of what holds it, for a value that is nowhere written. */
  const read = (node: unknown, outer: number, depth: number): unknown => {
    if (!isNode(node)) {
      places.close(places.open(outer))
      return null
    }
    const offset = offsetOf(node)
    const place = places.open(offset)
    if (isTooMany()) return null
    if (depth > maxDepth * 3) {
      report(0, `nested deeper than ${maxDepth} levels`)
      return null
    }
    checkNode(node, report)
    const value = isMap(node)
      ? readMap(node.items, offset, depth)
      : isSeq(node)
        ? node.items.map((item) => read(item, offset, depth + 1))
        : isScalar(node)
          ? node.value
          : null
    places.close(place)
    return value
  }

  const readMap = (items: readonly Pair[], outer: number, depth: number): unknown => {
    const map: Record<string, unknown> = {}
    for (const { key, value } of items) {
      if (isTooMany()) break
      const name = readKey(key, map, depth)
      places.close(places.open(isNode(key) ? offsetOf(key) : outer, name ?? ''))
      const member = read(value, outer, depth + 2)
      if (name !== undefined) map[name] = member
    }
    return map
  }

  /** Undefined, and reported, for a key that no map may have, or not here. */
  const readKey = (key: unknown, map: object, depth: number): string | undefined => {
    const offset = isNode(key) ? offsetOf(key) : 0
    if (!isScalar(key) || typeof key.value !== 'string') {
      report(offset, 'a key must be a string; put it in quotes')
      // For what else is wrong inside.
      if (isNode(key)) read(key, offset, depth + 2)
      return undefined
    }
    if (isTooMany()) return undefined
    checkNode(key, report)
    const name = key.value
    const fault = Object.hasOwn(map, name) ? 'the key stands here twice; keep one' : refused(name)
    if (fault !== undefined) report(offset, fault)
    return fault === undefined ? name : undefined
  }

  const value = read(document.contents, 0, 1)
  return { value, findOffset: places.find, findKeyOffset: places.findKey }
}

const offsetOf = (node: Node): number => node.range?.[0] ?? 0

const checkNode = (node: Node, report: Report): void => {
  const offset = offsetOf(node)
  if (isAlias(node)) report(offset, aliasRefused)
  else if ('anchor' in node && node.anchor !== undefined) {
    report(offset, 'anchors are not read; write the value out')
  }
  // The parser gives untagged nodes no tag, but explicit ones theirs, also the standard `!!str`.
  if (node.tag !== undefined) report(offset, tagRefused)
}

const refused = (name: string): string | undefined => {
  if (name === '<<') return 'merge keys are not read; write the values out'
  return ['__proto__', 'constructor', 'prototype'].includes(name)
    ? `"${name}" is no key of ours`
    : undefined
}

/**
 * Places in the order in which they are written: of a list its entries, of a map each key and then its
 * value; each with how many places it takes with all that it holds.
 */
const createPlaces = () => {
  const offsets: number[] = []
  const sizes: number[] = []
  /** Of keys alone. */
  const names: (string | undefined)[] = []
  const sizeOf = (place: number): number => sizes[place] ?? 1
  const offsetAt = (place: number): number => offsets[place] ?? 0

  /** Of lists that were asked about, where each entry stands: long ones are asked about often. */
  const known = new Map<number, readonly number[]>()
  const listEntries = (place: number): readonly number[] => {
    const entries: number[] = []
    const end = place + sizeOf(place)
    for (let at = place + 1; at < end; at += sizeOf(at)) entries.push(at)
    known.set(place, entries)
    return entries
  }

  /** The place of an entry of a list, or of a key of a map. */
  const findEntry = (place: number, step: string | number): number | undefined => {
    const isMapHere = names[place + 1] !== undefined
    if (!isMapHere) {
      return typeof step === 'number' ? (known.get(place) ?? listEntries(place))[step] : undefined
    }
    const end = place + sizeOf(place)
    for (let at = place + 1; at < end; at += 1 + sizeOf(at + 1)) if (names[at] === step) return at
    return undefined
  }
  const isKey = (place: number): boolean => names[place] !== undefined
  const findPlace = (path: Path): number => {
    let place = 0
    for (const step of path) {
      const found = findEntry(place, step)
      if (found === undefined) break
      place = isKey(found) ? found + 1 : found
    }
    return place
  }
  return {
    open(offset: number, name?: string): number {
      sizes.push(1)
      names.push(name)
      return offsets.push(offset) - 1
    },
    close(place: number): void {
      sizes[place] = offsets.length - place
    },
    find: (path: Path): number => offsetAt(findPlace(path)),
    findKey(path: Path): number {
      const parent = findPlace(path.slice(0, -1))
      const name = path.at(-1)
      const found = typeof name === 'string' ? findEntry(parent, name) : undefined
      return offsetAt(found ?? parent)
    },
  }
}
