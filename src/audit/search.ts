import type { Filter, Row, Store } from './store.ts'

export type Order = 'newest' | 'oldest'

/**
 * The rows that one of the filters finds, each once, page by page. Appends may go on meanwhile: newest
 * first they are left out, oldest first they come at the end.
 */
export async function* searchLog(given: {
  readonly store: Pick<Store, 'find' | 'findAfter'>
  readonly filters: readonly Filter[]
  readonly order: Order
  /** Rows in a page; only the last one has fewer. */
  readonly pageSize: number
}): AsyncGenerator<readonly Row[]> {
  const { store, filters, order, pageSize } = given
  const findPage = (filter: Filter, last: Row | undefined) =>
    order === 'newest'
      ? store.find(filter, pageSize, last?.seq)
      : store.findAfter(filter, pageSize, last?.seq ?? 0)
  let last: Row | undefined
  for (;;) {
    const found = await Promise.all(filters.map((filter) => findPage(filter, last)))
    const bySeq = new Map(found.flat().map((row) => [row.seq, row]))
    const rows = [...bySeq.values()]
      .sort((a, b) => (order === 'newest' ? b.seq - a.seq : a.seq - b.seq))
      .slice(0, pageSize)
    if (rows.length > 0) yield rows
    if (rows.length < pageSize) return
    last = rows.at(-1)
  }
}
