import { type Clock, formatTime } from '../lib/clock.ts'
import type { DenyEntry, ErrorEntry, Log, RefusalsEntry } from './index.ts'

/** How many refusals stand in the log one by one, before the rest of the minute is only counted. */
export interface Allowance {
  /** Of one person, or of one address where nobody is named. */
  readonly each: number
  readonly all: number
}

/** 300 a minute of about 1 KB: under half a gigabyte a day, whoever asks and however often. */
const usual: Allowance = { each: 60, all: 300 }
/** How many people and addresses a summary names; the rest of them are one figure. */
const maxNamed = 16
const others = 'others'

type Refusal = DenyEntry | ErrorEntry

/**
 * A log that a flood of refusals cannot fill: within a minute the first ones are entries of their
 * own, those beyond them are counted, and the count is one entry at the end of the minute. A kill
 * loses the count of that minute at most. Certificates and everything else go through as they are.
 *
 * A counted refusal resolves with `seq` 0, and only while the log can be written: otherwise it is
 * refused with `audit_unavailable`, as if it were written.
 */
export const createThrottledLog = (deps: {
  readonly log: Log
  readonly clock: Clock
  readonly allowance?: Allowance
  readonly windowMillis?: number
}): Log => {
  const { log, clock, allowance = usual, windowMillis = 60_000 } = deps
  const written = new Map<string, number>()
  let total = 0
  let counted: Summary | undefined
  let timer: NodeJS.Timeout | undefined

  const endWindow = async (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    written.clear()
    total = 0
    if (counted === undefined) return
    const summary = counted
    counted = undefined
    try {
      await log.append({ type: 'refusals', time: formatTime(clock()), ...summary })
    } catch {
      // Whoever is refused meanwhile hears that the log cannot be written; the count is kept for it.
      counted = counted === undefined ? summary : mergeSummaries(summary, counted)
      startWindow()
    }
  }
  const startWindow = () => {
    timer ??= setTimeout(() => void endWindow(), windowMillis).unref()
  }

  const append: Log['append'] = async (entry) => {
    if (entry.type !== 'deny' && entry.type !== 'error') return log.append(entry)
    startWindow()
    const key = nameOf(entry)
    const own = written.get(key) ?? 0
    if (own < allowance.each && total < allowance.all) {
      written.set(key, own + 1)
      total++
      return log.append(entry)
    }
    // One empty commit a second answers for all that are counted.
    const { ok } = await log.check()
    if (!ok) return log.append(entry)
    counted = mergeSummaries(counted ?? noRefusals(entry.time), summarise(entry))
    startWindow()
    return { seq: 0 }
  }

  return Object.freeze({
    append,
    check: log.check,
    async close() {
      await endWindow()
      clearTimeout(timer)
      await log.close()
    },
  })
}

type Summary = Omit<RefusalsEntry, 'type' | 'time'>

const nameOf = ({ identity, request }: Refusal): string =>
  identity === undefined ? request.address : `${identity.issuer} ${identity.subject}`

const noRefusals = (since: string): Summary => ({
  since,
  count: 0,
  codes: {},
  people: {},
  addresses: {},
})

const summarise = (entry: Refusal): Summary => ({
  since: entry.time,
  count: 1,
  codes: { [entry.code]: 1 },
  people: entry.identity === undefined ? {} : { [nameOf(entry)]: 1 },
  addresses: { [entry.request.address]: 1 },
})

const mergeSummaries = (a: Summary, b: Summary): Summary => ({
  since: a.since,
  count: a.count + b.count,
  codes: addCounts(a.codes, b.codes),
  people: addCounts(a.people, b.people),
  addresses: addCounts(a.addresses, b.addresses),
})

type Counts = Readonly<Record<string, number>>

const addCounts = (a: Counts, b: Counts): Counts => {
  const sum = new Map(Object.entries(a))
  for (const [name, count] of Object.entries(b)) {
    const known = sum.has(name) || sum.size < maxNamed ? name : others
    sum.set(known, (sum.get(known) ?? 0) + count)
  }
  return Object.fromEntries(sum)
}
