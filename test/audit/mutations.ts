import { hashBody } from '../../src/audit/entry.ts'
import type { Entry } from '../../src/audit/index.ts'
import type { Row } from '../../src/audit/store.ts'
import { chainRows, denyEntry, headOf } from '../fakes/entries.ts'

/** A small generator of its own (xorshift), so that a failure comes again. */
const createDice = (seed: number) => {
  let state = seed | 1
  return (sides: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % sides
  }
}

/**
 * Random ways to change a log's first `size` entries, by somebody who may write all of it. Each call
 * answers another changed copy; every one differs from the original among those entries.
 */
export const createMutations = (given: {
  readonly original: readonly Row[]
  readonly entries: readonly Entry[]
  readonly size: number
  readonly seed: number
}) => {
  const { original, entries, size, seed } = given
  const dice = createDice(seed)
  const pick = () => dice(size)
  const flipAt = (text: string): string => {
    const at = dice(text.length)
    const to = String.fromCharCode(32 + ((text.charCodeAt(at) - 32 + 1 + dice(90)) % 94))
    return to === text[at] ? flipAt(text) : text.slice(0, at) + to + text.slice(at + 1)
  }
  const number = (rows: readonly Row[]) => rows.map((row, at) => ({ ...row, seq: at + 1 }))
  const rechain = (kept: readonly Row[], list: readonly Entry[]) => [
    ...kept,
    ...chainRows(list, headOf(kept)),
  ]
  const change = (entry: Entry): Entry => ({
    ...entry,
    time: `2026-11-22T11:${String(10 + dice(50))}:00Z`,
  })

  const kinds = {
    flip() {
      const at = pick()
      const row = original[at] as Row
      const body = flipAt(row.body)
      const ways: readonly Row[] = [
        { ...row, body },
        { ...row, body, hash: hashBody(body) },
        { ...row, hash: flipAt(row.hash) },
      ]
      return original.with(at, ways[dice(ways.length)] as Row)
    },
    delete() {
      const at = pick()
      const rest = original.toSpliced(at, 1 + dice(3))
      const ways = [
        () => rest,
        () => number(rest),
        () => rechain(original.slice(0, at), entries.slice(at + 1)),
      ]
      return (ways[dice(ways.length)] as () => readonly Row[])()
    },
    swap() {
      const [a, b] = [pick(), pick()]
      if (a === b) return original
      const [one, two] = [original[a] as Row, original[b] as Row]
      const ways = [
        () => original.with(a, { ...two, seq: one.seq }).with(b, { ...one, seq: two.seq }),
        () => original.with(a, { ...one, hash: two.hash }).with(b, { ...two, hash: one.hash }),
        () => rechain([], entries.with(a, entries[b] as Entry).with(b, entries[a] as Entry)),
      ]
      return (ways[dice(ways.length)] as () => readonly Row[])()
    },
    insert() {
      const at = pick()
      const added = denyEntry(1_000 + dice(1_000))
      const ways = [
        () => number(original.toSpliced(at, 0, original[pick()] as Row)),
        () =>
          number(original.toSpliced(at, 0, ...chainRows([added], headOf(original.slice(0, at))))),
        () => rechain(original.slice(0, at), [added, ...entries.slice(at)]),
      ]
      return (ways[dice(ways.length)] as () => readonly Row[])()
    },
    truncate: () => original.slice(0, pick()),
    rebuild() {
      const at = pick()
      const anew = [change(entries[at] as Entry), ...entries.slice(at + 1)]
      const rows = rechain(original.slice(0, at), anew)
      // Up to the end, or up to some entry after which the old ones stand again.
      const until = dice(2) === 0 ? rows.length : at + 1 + dice(rows.length - at)
      return [...rows.slice(0, until), ...original.slice(until)]
    },
  }
  const names = Object.keys(kinds) as (keyof typeof kinds)[]
  const isSame = (rows: readonly Row[]) =>
    JSON.stringify(rows.slice(0, size)) === JSON.stringify(original.slice(0, size))

  return (): { readonly kind: keyof typeof kinds; readonly rows: readonly Row[] } => {
    const kind = names[dice(names.length)] as keyof typeof kinds
    for (;;) {
      const rows = kinds[kind]()
      if (!isSame(rows)) return { kind, rows }
    }
  }
}
