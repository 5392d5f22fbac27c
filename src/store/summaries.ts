import { setImmediate } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { Filter, Row } from '../audit/store.ts'
import { createCells, createFindPlaces, setCell } from './places.ts'
import { addTerms, createTerms, encodeTerms, listWanted, mayHold, type Terms } from './terms.ts'

/** So many entries share one summary. */
const segmentSize = 256
/** Entries that are made up for with each append, in a log from before there were summaries. */
const mostBehind = 4096
/** So many summaries are read at once: about a quarter of a megabyte. */
const blockSize = 256

/** A stretch of the log, by its first and its last entry. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** A stretch in which some entries may match: all of them, or those of the numbers alone. */
export interface Part extends Range {
  readonly seqs?: readonly number[]
}

/**
 * What makes a search quick without an index, each of which would cost every certificate more than
 * all of this: for every 256 entries one Bloom filter and the span of their times, and whose each of
 * them is (places.ts), made while they are appended. A cache of the entries: one that is missing costs
 * time, and nothing else.
 */
export interface Summaries {
  /** Inside the transaction of an append, after its rows: takes them in, and writes what is complete. */
  add(rows: readonly Row[]): void
  /** After a transaction that failed: what is known is read from the table again. */
  forget(): void
  /**
   * Where entries that match may stand, newest first or oldest first, from within the range. Lets
   * other work in between.
   */
  listParts(filter: Filter, range: Range, order: 'newest' | 'oldest'): AsyncGenerator<Part>
}

/** The segment whose entries are being appended. */
interface State {
  next: number
  terms: Terms
  cells: Uint8Array
  since: string
  until: string
  /** Whether an entry is not readable: such a segment has no summary. */
  isBroken: boolean
}

interface Summary {
  readonly segment: number
  readonly since: string
  readonly until: string
  readonly terms: Uint8Array
}

interface People {
  readonly segment: number
  readonly cells: Uint8Array
}

export const createSummaries = (connection: Database): Summaries => {
  const table = openTable(connection)
  const people = openPeople(connection)
  const selectRows = connection.prepare(
    'SELECT seq, body FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq',
  )
  let state: State | undefined

  /** Takes in the next entry, and answers the state after it. */
  const take = (into: State, { seq, body }: Pick<Row, 'seq' | 'body'>): State => {
    into.next = seq + 1
    try {
      const { time, subject } = addTerms(body, into.terms)
      if (typeof subject === 'string') setCell(into.cells, (seq - 1) % segmentSize, subject)
      if (typeof time !== 'string') throw new TypeError('it has no time')
      if (into.since === '' || time < into.since) into.since = time
      if (time > into.until) into.until = time
    } catch {
      into.isBroken = true
    }
    if (seq % segmentSize !== 0) return into
    const { since, until, terms, cells, isBroken } = into
    const segment = segmentOf(seq)
    if (!isBroken) {
      table?.insert({ segment, since, until, terms: encodeTerms(terms.all) })
      people?.insert({ segment, cells })
    }
    return createState(seq + 1)
  }

  /** What stands in the log and was not taken in: after a start at most a segment. */
  const readBehind = ({ next }: State, first: number): readonly Row[] =>
    next < first ? (selectRows.all(next, Math.min(first, next + mostBehind) - 1) as Row[]) : []

  /** Rows about a block of segments, by their number. */
  const readBlock = <T extends { readonly segment: number }>(
    from: { read(first: number, last: number): readonly T[] } | undefined,
    block: number,
  ): ReadonlyMap<number, T> => {
    const first = block * blockSize
    const rows = from?.read(first, first + blockSize - 1) ?? []
    return new Map(rows.map((row) => [row.segment, row]))
  }

  return Object.freeze({
    add(rows: readonly Row[]) {
      const first = rows[0]?.seq
      if (table === undefined || first === undefined) return
      state ??= createState((table.findLast() + 1) * segmentSize + 1)
      for (const row of readBehind(state, first)) state = take(state, row)
      if (state.next === first) for (const row of rows) state = take(state, row)
    },
    forget() {
      state = undefined
    },
    async *listParts(filter: Filter, { from, to }: Range, order: 'newest' | 'oldest') {
      const wanted = listWanted(filter)
      const findPlaces = filter.subject === undefined ? undefined : createFindPlaces(filter.subject)
      const [low, high] = [segmentOf(from), segmentOf(to)]
      const step = order === 'newest' ? -1 : 1
      let block: Block | undefined
      for (let at = step < 0 ? high : low; at >= low && at <= high; at += step) {
        const blockAt = Math.floor(at / blockSize)
        if (block?.at !== blockAt) {
          await setImmediate()
          block =
            findPlaces === undefined
              ? { at: blockAt, summaries: readBlock(table, blockAt) }
              : { at: blockAt, people: readBlock(people, blockAt) }
        }
        const cells = block.people?.get(at)?.cells
        const places = cells && findPlaces?.(cells)
        if (places?.length === 0) continue
        // Of a person's segments few are left: their summaries are read one by one.
        const summary = block.summaries === undefined ? table?.find(at) : block.summaries.get(at)
        if (!mayMatch(summary, filter, wanted)) continue
        const first = at * segmentSize + 1
        const range = { from: Math.max(from, first), to: Math.min(to, first + segmentSize - 1) }
        const seqs = places
          ?.map((place) => first + place)
          .filter((seq) => seq >= range.from && seq <= range.to)
        if (seqs?.length === 0) continue
        yield { ...range, ...(seqs === undefined ? {} : { seqs }) }
        await setImmediate()
      }
    },
  })
}

/** What is known of some segments: of all of them in summary, or whose entries they hold. */
interface Block {
  readonly at: number
  readonly summaries?: ReadonlyMap<number, Summary>
  readonly people?: ReadonlyMap<number, People>
}

/** Undefined in a log that no service has brought to this version yet, and only a reader meets. */
const openTable = (connection: Database) => {
  if (!isThere(connection, 'summaries')) return undefined
  const insert = connection.prepare('INSERT OR IGNORE INTO summaries VALUES (?, ?, ?, ?)')
  const selectLast = connection.prepare('SELECT coalesce(max(segment), -1) AS last FROM summaries')
  const selectOne = connection.prepare('SELECT * FROM summaries WHERE segment = ?')
  const selectBlock = connection.prepare('SELECT * FROM summaries WHERE segment BETWEEN ? AND ?')
  return {
    insert({ segment, since, until, terms }: Summary) {
      insert.run(segment, since, until, terms)
    },
    find: (segment: number) => selectOne.get(segment) as Summary | undefined,
    findLast: () => (selectLast.get() as { readonly last: number }).last,
    read: (first: number, last: number) => selectBlock.all(first, last) as readonly Summary[],
  }
}

/** The same for whose the entries are. */
const openPeople = (connection: Database) => {
  if (!isThere(connection, 'people')) return undefined
  const insert = connection.prepare('INSERT OR IGNORE INTO people VALUES (?, ?)')
  const selectBlock = connection.prepare('SELECT * FROM people WHERE segment BETWEEN ? AND ?')
  return {
    insert({ segment, cells }: People) {
      insert.run(segment, cells)
    },
    read: (first: number, last: number) => selectBlock.all(first, last) as readonly People[],
  }
}

/** Whether the database has a table or an index of that name. */
export const isThere = (connection: Database, name: string): boolean =>
  connection.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(name) !== undefined

const createState = (next: number): State => ({
  next,
  terms: createTerms(),
  cells: createCells(segmentSize),
  since: '',
  until: '',
  isBroken: false,
})

const segmentOf = (seq: number): number => Math.floor((seq - 1) / segmentSize)

/** Without a summary nothing is known, and everything possible. */
const mayMatch = (
  summary: Summary | undefined,
  { since, until }: Filter,
  wanted: readonly string[],
): boolean =>
  summary === undefined ||
  ((since === undefined || summary.until >= since) &&
    (until === undefined || summary.since < until) &&
    wanted.every((term) => mayHold(summary.terms, term)))
