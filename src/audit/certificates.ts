import { formatTime } from '../lib/clock.ts'
import type { LoggedEntry } from './entry.ts'
import type { EntryAsk, EntryCertificate, EntryIdentity, EntryRule } from './index.ts'
import { listEntries } from './read.ts'
import type { Filter, Store } from './store.ts'

/** A certificate that was issued, as its entry tells of it. */
export interface IssuedCertificate extends EntryCertificate {
  /** The number of its entry, and when it was written. */
  readonly seq: number
  readonly time: string
  readonly identity: EntryIdentity
  readonly ask: EntryAsk
  readonly rule: EntryRule
}

/** Which certificates, by exact values. A serial finds one at most. */
export type CertificateFilter = Pick<
  Filter,
  'issuer' | 'subject' | 'name' | 'host' | 'login' | 'rule' | 'serial' | 'since' | 'until'
>

/**
 * The longest life a certificate can have: the most that `ca.maxTtl` takes (config/schema.ts). What
 * was issued longer ago than this, and `slackSeconds` more, has expired.
 */
export const longestLifeSeconds = 7 * 24 * 3600

/** Entries stand in the order of their appends, which is nearly that of their times. */
export const slackSeconds = 300

const startsRead = 100

/**
 * The longest life of any certificate that may be alive at `now`, in seconds: each start of the
 * service says the longest it gives, and holds until the next. Usually far less than
 * `longestLifeSeconds`, and so much less of the log is to be read. Code: `log_corrupt`
 */
export const findLongestLife = async (store: Pick<Store, 'find'>, now: Date): Promise<number> => {
  const since = formatTime(
    new Date(Math.max(0, now.getTime() - (longestLifeSeconds + slackSeconds) * 1000)),
  )
  let longest = 0
  // That many in a week, or a log that does not begin with one, is no service as it should be.
  for (const { seq, entry } of await listEntries(store, { type: 'start' }, startsRead)) {
    if (entry.type !== 'start') continue
    longest = Math.max(longest, entry.maxTtlSeconds ?? longestLifeSeconds)
    if (entry.time < since || seq === 1) return longest
  }
  return longestLifeSeconds
}

/** Issued certificates, newest first, below the entry `before` where it is given. Code: `log_corrupt` */
export const listCertificates = async (
  store: Pick<Store, 'find'>,
  filter: CertificateFilter,
  limit: number,
  before?: number,
): Promise<readonly IssuedCertificate[]> => {
  const entries = await listEntries(store, { ...filter, type: 'allow' }, limit, before)
  return entries.flatMap((logged) => toCertificate(logged) ?? [])
}

/** The certificate of a serial (a decimal string); undefined where none was issued. Code: `log_corrupt` */
export const findCertificate = async (
  store: Pick<Store, 'find'>,
  serial: string,
): Promise<IssuedCertificate | undefined> => (await listCertificates(store, { serial }, 1))[0]

const pageSize = 500

/** Every issued certificate that matches, newest first, a page at a time. Code: `log_corrupt` */
export async function* walkCertificates(
  store: Pick<Store, 'find'>,
  filter: CertificateFilter,
): AsyncGenerator<readonly IssuedCertificate[]> {
  let before: number | undefined
  for (;;) {
    const page = await listCertificates(store, filter, pageSize, before)
    if (page.length > 0) yield page
    if (page.length < pageSize) return
    before = page.at(-1)?.seq
  }
}

/** What an entry says of a certificate; undefined for one that tells of none. */
export const toCertificate = ({ seq, entry }: LoggedEntry): IssuedCertificate | undefined => {
  if (entry.type !== 'allow') return undefined
  const { time, identity, ask, rule, certificate } = entry
  return { seq, time, identity, ask, rule, ...certificate }
}
