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
