import { hashBody, noHash } from '../../src/audit/entry.ts'
import type { Filter, Head, Row, Store } from '../../src/audit/store.ts'
import { storeError } from '../../src/store/failures.ts'

/** The ways in which the next append can go wrong. */
export type Fault =
  /** Fails, and nothing is stored. */
  | 'lose'
  /** Stored, but said to have failed. */
  | 'keep'
  /** Does not answer until `release`; then it goes on as if nothing had been. */
  | 'hang'
  /** Another writer gets in first. */
  | 'conflict'

export interface FakeStore extends Store {
  /** What is stored, in order. */
  readonly rows: readonly Row[]
  /** How many rows each append was given, whatever became of it. */
  readonly batches: readonly number[]
  breakNext(...faults: readonly Fault[]): void
  release(): void
}

const paths = {
  type: ['type'],
  issuer: ['identity', 'issuer'],
  subject: ['identity', 'subject'],
  name: ['identity', 'name'],
  host: ['ask', 'host'],
  login: ['ask', 'login'],
  rule: ['rule', 'name'],
  serial: ['certificate', 'serial'],
  requestId: ['request', 'id'],
  policy: ['policy'],
  since: ['time'],
  until: ['time'],
} as const satisfies Record<keyof Filter, readonly string[]>

const pick = (row: Row, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (value, name) => (value as Readonly<Record<string, unknown>> | undefined)?.[name],
    JSON.parse(row.body),
  )

const matches = (row: Row, filter: Filter): boolean =>
  (Object.entries(filter) as [keyof Filter, string][]).every(([name, wanted]) => {
    const found = pick(row, paths[name])
    if (typeof found !== 'string') return false
    if (name === 'since') return found >= wanted
    return name === 'until' ? found < wanted : found === wanted
  })

/** A store in memory that keeps the contract, checks what it is given, and breaks when told to. */
export const createFakeStore = (): FakeStore => {
  const rows: Row[] = []
  const batches: number[] = []
  const faults: Fault[] = []
  let isOpen = true
  let hanging: PromiseWithResolvers<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  const headOf = (): Head | undefined => {
    const row = rows.at(-1)
    return row && { seq: row.seq, hash: row.hash }
  }

  const store = (added: readonly Row[], expected: Head | undefined): void => {
    const head = headOf()
    if (head?.seq !== expected?.seq || head?.hash !== expected?.hash) {
      throw storeError('log_conflict', 'the head is another')
    }
    const serials = new Set(rows.map((row) => pick(row, paths.serial)))
    for (const [index, row] of added.entries()) {
      const serial = pick(row, paths.serial)
      if (row.seq !== (head?.seq ?? 0) + 1 + index) throw storeError('log_conflict', 'a gap')
      if (serial !== undefined && serials.has(serial)) throw storeError('log_conflict', 'a serial')
      serials.add(serial)
    }
    rows.push(...added)
  }

  const append = async (added: readonly Row[], expected: Head | undefined): Promise<void> => {
    batches.push(added.length)
    const fault = faults.shift()
    if (fault === 'hang') {
      hanging = Promise.withResolvers()
      await hanging.promise
    }
    if (fault === 'lose') throw storeError('audit_unavailable', 'the fake lost it')
    if (fault === 'conflict') rows.push(foreignRow(headOf()))
    store(added, expected)
    if (fault === 'keep') throw storeError('audit_unavailable', 'the fake kept it')
  }

  /** One after another, as the contract has it; a hanging append holds up all that come after. */
  const answer = <T>(work: () => Promise<T>): Promise<T> => {
    if (!isOpen) return Promise.reject(storeError('audit_unavailable', 'the store is closed'))
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    rows,
    batches,
    breakNext: (...next) => void faults.push(...next),
    release: () => {
      hanging?.resolve()
      hanging = undefined
    },
    append: (added, expected) => answer(() => append(added, expected)),
    head: () => answer(async () => headOf()),
    read: (from, limit) =>
      answer(async () => rows.filter(({ seq }) => seq >= from).slice(0, limit)),
    find: (filter, limit, before = Number.POSITIVE_INFINITY) =>
      answer(async () =>
        rows
          .filter((row) => row.seq < before && matches(row, filter))
          .reverse()
          .slice(0, limit),
      ),
    findAfter: (filter, limit, after) =>
      answer(async () =>
        rows.filter((row) => row.seq > after && matches(row, filter)).slice(0, limit),
      ),
    close: async () => {
      isOpen = false
    },
  }
}

const foreignRow = (head: Head | undefined): Row => {
  const seq = (head?.seq ?? 0) + 1
  const prev = head?.hash ?? noHash
  const body = `{"ca":"SHA256:other","prev":"${prev}","seq":${seq},"time":"2026-11-22T10:00:00Z","type":"start","v":1,"version":"0"}`
  return { seq, body, hash: hashBody(body) }
}
