import { formatTime } from '../lib/clock.ts'
import {
  type CertificateFilter,
  type IssuedCertificate,
  listCertificates,
  longestLifeSeconds,
  slackSeconds,
} from './certificates.ts'
import { formatCells } from './export.ts'
import type { Store } from './store.ts'

/**
 * What has become of a certificate. `revoked` outlasts its end; `not-yet-valid` is only seen by a
 * clock behind the one it was issued by.
 */
export const certificateStatuses = ['active', 'expired', 'revoked', 'not-yet-valid'] as const

export type CertificateStatus = (typeof certificateStatuses)[number]

/** By whom a certificate was revoked, when (RFC 3339 UTC), and why. */
export interface Revoked {
  readonly time: string
  readonly by: string
  readonly reason: string
}

/** How a certificate was revoked; undefined where it was not. */
export type FindRevoked = (certificate: IssuedCertificate) => Revoked | undefined

export interface InventoryItem extends IssuedCertificate {
  readonly status: CertificateStatus
  readonly revoked?: Revoked
}

export interface InventoryQuery {
  readonly filter: CertificateFilter
  readonly status?: CertificateStatus
  readonly limit: number
  /** The `next` of the page before. Certificates issued meanwhile are on none of the later pages. */
  readonly before?: number
}

/** Newest first. With a status a page may be short, and even empty, where there is a next one. */
export interface InventoryPage {
  readonly items: readonly InventoryItem[]
  readonly next?: number
}

/** Every certificate there is. Codes: `audit_unavailable`, `log_corrupt` */
export interface Inventory {
  list(query: InventoryQuery): Promise<InventoryPage>
}

/** Certificates that a page looks at before it ends: nobody waits longer for a status few have. */
const mostLookedAt = 2000

export const createInventory = (deps: {
  readonly store: Pick<Store, 'find'>
  readonly clock: () => Date
  readonly findRevoked: FindRevoked
}): Inventory => {
  const { store, clock, findRevoked } = deps
  return Object.freeze({
    async list({ filter, status, limit, before }: InventoryQuery) {
      const now = clock()
      const at = formatTime(now)
      const narrowed = status === undefined ? filter : narrow(filter, status, now)
      const size = status === undefined ? limit + 1 : Math.max(limit + 1, mostLookedAt)
      const found = await listCertificates(store, narrowed, size, before)
      const items = found
        .map((certificate) => examine(certificate, at, findRevoked(certificate)))
        .filter((item) => status === undefined || item.status === status)
      const shown = items.slice(0, limit)
      const isMore = items.length > limit || found.length === size
      // What was looked at in vain is behind the next page too.
      const last = items.length > limit ? shown.at(-1) : found.at(-1)
      return { items: shown, ...(isMore && last !== undefined ? { next: last.seq } : {}) }
    },
  } satisfies Inventory)
}

const examine = (
  certificate: IssuedCertificate,
  at: string,
  revoked: Revoked | undefined,
): InventoryItem => ({
  ...certificate,
  status: revoked === undefined ? findStatus(certificate, at) : 'revoked',
  ...(revoked === undefined ? {} : { revoked }),
})

/** All times have one form, and so the order of their texts. sshd takes the last second as the end. */
const findStatus = (
  { validAfter, validBefore }: IssuedCertificate,
  at: string,
): CertificateStatus => {
  if (at < validAfter) return 'not-yet-valid'
  return at < validBefore ? 'active' : 'expired'
}

/** What is not over yet was issued within the longest life there is. */
const narrow = (filter: CertificateFilter, status: CertificateStatus, now: Date) => {
  if (status !== 'active' && status !== 'not-yet-valid') return filter
  const seconds = longestLifeSeconds + slackSeconds
  const since = formatTime(new Date(now.getTime() - seconds * 1000))
  return {
    ...filter,
    since: filter.since !== undefined && filter.since > since ? filter.since : since,
  }
}

/** A certificate as the wire and `--json` have it. */
export const formatItem = (item: InventoryItem) => {
  const { seq, time, identity, ask, rule, text, ...certificate } = item
  const { issuer, subject, name } = identity
  const { host, login, fingerprint, command, reason } = ask
  return {
    ...certificate,
    host,
    login,
    issuer,
    subject,
    name,
    rule: rule.name,
    publicKey: fingerprint,
    issuedAt: time,
    entry: seq,
    ...(command === undefined ? {} : { command }),
    ...(reason === undefined ? {} : { reason }),
    certificate: text,
  }
}

type Formatted = ReturnType<typeof formatItem>

/** The columns of a CSV file of certificates. */
const columns = {
  serial: ({ serial }) => serial,
  status: ({ status }) => status,
  issued_at: ({ issuedAt }) => issuedAt,
  valid_after: ({ validAfter }) => validAfter,
  valid_before: ({ validBefore }) => validBefore,
  issuer: ({ issuer }) => issuer,
  subject: ({ subject }) => subject,
  name: ({ name }) => name,
  host: ({ host }) => host,
  login: ({ login }) => login,
  principals: ({ principals }) => principals.join(' '),
  rule: ({ rule }) => rule,
  reason: ({ reason }) => reason ?? '',
  key: ({ publicKey }) => publicKey,
  ca: ({ ca }) => ca,
  key_id: ({ keyId }) => keyId,
  revoked_at: ({ revoked }) => revoked?.time ?? '',
  revoked_by: ({ revoked }) => revoked?.by ?? '',
  revoked_reason: ({ revoked }) => revoked?.reason ?? '',
  entry: ({ entry }) => String(entry),
} as const satisfies Record<string, (item: Formatted) => string>

/** The first line of a CSV file of certificates. */
export const certificateTitles = Object.keys(columns).join(',')

/** A certificate as a line of CSV, without its end; no cell is a formula (export.ts). */
export const formatCertificateCsv = (item: InventoryItem): string => {
  const formatted = formatItem(item)
  return formatCells(Object.values(columns).map((read) => read(formatted)))
}
