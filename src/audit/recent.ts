import { AppError } from '../errors.ts'
import { toSeconds } from '../lib/clock.ts'
import type { Store } from './store.ts'

/** A certificate that counts against a rule's ceiling. */
export interface Place {
  /** How many a rule with a ceiling has issued in the hour before, with this one. */
  readonly used: number
  /** Gives the place back: the certificate was not issued after all. */
  release(): void
}

/**
 * What the newest entries of the log say that a new ask is weighed against. It outlives a restart,
 * since it is read from the log, and holds for one process, as the log itself does.
 */
export interface Recent {
  /**
   * Resolves once it is known which proofs were used before this process began; no other is asked
   * about before. A start does not wait for it: a busy service has written very many entries in the
   * minutes that are read. Code: `audit_unavailable` where the log cannot be read, and the next call reads again.
   */
  settle(): Promise<void>
  /** Marks a proof as used; false where it has been used before. At most `proofSeconds` are remembered. */
  useProof(hash: string, at: Date): boolean
  /**
   * Counts one more certificate by a rule. Undefined, and nothing counted, where that would be more
   * than `most` in an hour. Code: `audit_unavailable` where the log cannot be read.
   */
  takePlace(rule: string, most: number | undefined, at: Date): Promise<Place | undefined>
}

/** The refusal of a certificate that would be one more than a rule may issue in an hour. */
export const quotaExceeded = (rule: string, most = 0): AppError =>
  new AppError(
    'quota_exceeded',
    `All ${most} certificates that may be issued for this in an hour have been: try again later.`,
    { detail: `rule ${rule} has maxPerHour: ${most}` },
  )

/** A proof is good for a minute before and after its own time: past two minutes its time refuses it. */
const proofSeconds = 120
const hourSeconds = 3600
/** As many as the highest ceiling: of older ones nothing needs to be known. */
const keptPlaces = 1000
const pageSize = 1000
/** Entries stand in the order of their appends, which is nearly that of their times. */
const slackSeconds = 300

/** Of the log's last minutes reads what must be remembered once somebody asks, and of its last hour once a rule has a ceiling. */
export const openRecent = async (deps: {
  readonly store: Pick<Store, 'head' | 'read'>
  readonly now: Date
}): Promise<Recent> => {
  const { store } = deps
  const last = (await store.head())?.seq ?? 0
  const proofs = new Map<string, number>()
  const settle = createOnce(() => {
    const since = toSeconds(deps.now) - proofSeconds
    return walkBack(store, last, since, '"proof":', ({ proof, time }) => {
      if (proof !== undefined) proofs.set(proof, time)
    })
  })

  const places = new Map<string, number[]>()
  /** A rule without a ceiling pays only for the push: the list is cut back once it is twice too long. */
  const addPlace = (rule: string, time: number) => {
    const times = places.get(rule)
    if (times === undefined) places.set(rule, [time])
    else if (times.push(time) >= 2 * keptPlaces) times.splice(0, times.length - keptPlaces)
  }
  /** Certificates from before this process began. */
  const readEarlier = createOnce(async (now: number): Promise<void> => {
    const found = new Map<string, number[]>()
    await walkBack(store, last, now - hourSeconds, '"type":"allow"', ({ rule, time }) => {
      if (rule === undefined) return
      const times = found.get(rule)
      if (times === undefined) found.set(rule, [time])
      else if (times.length < keptPlaces) times.push(time)
    })
    for (const [rule, times] of found) {
      places.set(rule, [...times.reverse(), ...(places.get(rule) ?? [])])
    }
  })

  return Object.freeze({
    settle,
    useProof(hash: string, at: Date) {
      const now = toSeconds(at)
      for (const [old, time] of proofs) {
        if (time + proofSeconds >= now) break
        proofs.delete(old)
      }
      if (proofs.has(hash)) return false
      proofs.set(hash, now)
      return true
    },
    async takePlace(rule: string, most: number | undefined, at: Date) {
      const now = toSeconds(at)
      if (most !== undefined) await readEarlier(now)
      const used = most === undefined ? 0 : countSince(places.get(rule) ?? [], now - hourSeconds)
      if (most !== undefined && used >= most) return undefined
      addPlace(rule, now)
      return {
        used: used + 1,
        release() {
          const times = places.get(rule) ?? []
          const index = times.lastIndexOf(now)
          if (index >= 0) times.splice(index, 1)
        },
      }
    },
  })
}

/** The same work for all who ask; after a failure the next one begins it again. */
const createOnce = <Args extends readonly unknown[]>(work: (...args: Args) => Promise<void>) => {
  let running: Promise<void> | undefined
  return (...args: Args): Promise<void> => {
    running ??= work(...args).catch((error: unknown) => {
      running = undefined
      throw error
    })
    return running
  }
}

const countSince = (times: readonly number[], since: number): number =>
  times.reduce((count, time) => (time > since ? count + 1 : count), 0)

interface Remembered {
  readonly time: number
  /** Of a certificate, the rule that allowed it. */
  readonly rule?: string
  readonly proof?: string
}

/** Visits the entries that have such a text in them, from `seq` back to a time in seconds, newest first. */
const walkBack = async (
  store: Pick<Store, 'read'>,
  seq: number,
  since: number,
  wanted: string,
  visit: (entry: Remembered) => void,
): Promise<void> => {
  for (let end = seq; end > 0; end -= pageSize) {
    const from = Math.max(1, end - pageSize + 1)
    const rows = await store.read(from, end - from + 1)
    for (const { body } of rows.toReversed()) {
      // To look into all of a hundred thousand entries would take most of the time.
      const entry = body.includes(wanted) ? readEntry(body) : undefined
      if (entry !== undefined && entry.time >= since) visit(entry)
    }
    const [oldest] = rows
    if (oldest !== undefined && readEntry(oldest.body).time < since - slackSeconds) return
  }
}

/** Only what is needed, unverified: at a start the newest entries have been verified already. */
const readEntry = (body: string): Remembered => {
  const entry = JSON.parse(body) as {
    readonly type: string
    readonly time: string
    readonly rule?: { readonly name: string }
    readonly proof?: string
  }
  return {
    time: Date.parse(entry.time) / 1000,
    ...(entry.type === 'allow' && entry.rule !== undefined ? { rule: entry.rule.name } : {}),
    ...(entry.proof === undefined ? {} : { proof: entry.proof }),
  }
}
