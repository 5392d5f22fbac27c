import type { AllowEntry, DenyEntry, ErrorEntry } from './decision-entries.ts'
import type { HostEntry } from './host-entries.ts'
import type { CaKeyEntry } from './key-entries.ts'
import type { RevokeEntry, UnrevokeEntry } from './revocation-entries.ts'
import type { Filter, Store } from './store.ts'

/** What every entry says, whatever its type. Times are RFC 3339 UTC; nothing secret is ever in one. */
export interface EntryBase {
  readonly time: string
  /** SHA-256 of the policy in force. */
  readonly policy?: string
}

/** The request an entry answers. */
export interface EntryRequest {
  readonly id: string
  /** The client's address: the rightmost untrusted hop. */
  readonly address: string
}

/** Who asked, and every fact about them that the decision read. */
export interface EntryIdentity {
  readonly kind: string
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly client?: string
  readonly email?: string
  readonly groups: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  readonly mfa: boolean
  readonly issuedAt?: string
  readonly authenticatedAt?: string
  readonly expiresAt?: string
}

/** The service started. */
export interface StartEntry extends EntryBase {
  readonly type: 'start'
  readonly version: string
  /** The fingerprint of the CA key. */
  readonly ca: string
  /** The longest life it gives a certificate (`ca.maxTtl`), until the next start. */
  readonly maxTtlSeconds?: number
  /** The time of the newest certificate, where an earlier clock was accepted (`--accept-clock`). */
  readonly setAside?: string
}

/** A policy came into force; its files' texts stand in the first entry with that SHA-256, once. */
export interface PolicyEntry extends EntryBase {
  readonly type: 'policy'
  readonly policy: string
  readonly rules: number
  readonly files?: Readonly<Record<string, string>>
}

/** Refusals of a flood, beyond those that stand in the log one by one (refusals.ts). */
export interface RefusalsEntry extends EntryBase {
  readonly type: 'refusals'
  /** The time of the first. */
  readonly since: string
  readonly count: number
  readonly codes: Readonly<Record<string, number>>
  /** By issuer and subject; `others` past the first few, here and in `addresses`. */
  readonly people: Readonly<Record<string, number>>
  readonly addresses: Readonly<Record<string, number>>
}

/**
 * The policy files no longer load, and the policy named in `policy` stays in force. Once for each
 * distinct failure, with its first problems.
 */
export interface PolicyErrorEntry extends EntryBase {
  readonly type: 'policy-error'
  readonly policy: string
  readonly problems: readonly {
    readonly file: string
    readonly line: number
    readonly column: number
    readonly message: string
  }[]
  /** How many problems there were in all. */
  readonly count: number
}

/** Somebody stopped all issuing; until the next `unfreeze` no `allow` follows. */
export interface FreezeEntry extends EntryBase {
  readonly type: 'freeze'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly reason: string
}

/** Somebody let issuing go on. */
export interface UnfreezeEntry extends EntryBase {
  readonly type: 'unfreeze'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
}

/** An older log was put back, and the admin accepted that: what the checkpoints counted beyond it is lost. */
export interface RollbackEntry extends EntryBase {
  readonly type: 'rollback'
  /** The newest checkpoint there was: its size, and its root in base64. */
  readonly checkpoint: { readonly size: number; readonly root: string }
  /** The entries that are gone. Their numbers are given again, from this one on. */
  readonly lost: { readonly from: number; readonly to: number }
  /**
   * When the last certificate that a lost entry spoke of has ended. Serials are random, so none of
   * theirs comes again.
   */
  readonly expiredBy: string
}

/** Somebody read the log over HTTP; or only what it says of certificates, of others than their own. */
export interface ReadEntry extends EntryBase {
  readonly type: 'read'
  readonly what?: 'certificates'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  /** What was asked for, as it was sent. */
  readonly query: Readonly<Record<string, string>>
}

export type Entry =
  | AllowEntry
  | DenyEntry
  | ErrorEntry
  | RefusalsEntry
  | StartEntry
  | PolicyEntry
  | PolicyErrorEntry
  | FreezeEntry
  | UnfreezeEntry
  | RollbackEntry
  | CaKeyEntry
  | ReadEntry
  | HostEntry
  | RevokeEntry
  | UnrevokeEntry

/**
 * The append-only log. `append` resolves once the entry is durable, with its number; it rejects
 * with `audit_unavailable`, and then whoever asked must not release what the entry speaks of.
 */
export interface Log {
  append(entry: Entry): Promise<{ readonly seq: number }>
  /** Whether the log can be written now; says why not. */
  check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>
  close(): Promise<void>
}

/** Hashes by which somebody who knows an entry checks that a checkpoint counts it (RFC 6962 section 2.1.1). */
export interface InclusionProof {
  readonly seq: number
  readonly size: number
  readonly leaf: string
  /** The root of the tree of that size; all hashes are base64. */
  readonly root: string
  readonly hashes: readonly string[]
}

/** Hashes that lead from the tree of one checkpoint to that of a later one (RFC 6962 section 2.1.2). */
export interface ConsistencyProof {
  readonly from: number
  readonly to: number
  readonly fromRoot: string
  readonly root: string
  readonly hashes: readonly string[]
}

/**
 * What the log can prove of itself, up to its newest checkpoint. Each throws `audit_unavailable`
 * where there is none yet, and `invalid_request` for sizes and entries it does not count.
 */
export interface Evidence {
  /** The newest checkpoint that is on the disk: a C2SP signed note. */
  checkpoint(): string
  /** For a tree of `size` entries; by default the newest checkpoint's. */
  proveInclusion(seq: number, size?: number): Promise<InclusionProof>
  proveConsistency(from: number, to?: number): Promise<ConsistencyProof>
  /** Whether the newest checkpoint could be kept; says why not. */
  check(): { readonly ok: true } | { readonly ok: false; readonly reason: string }
}

/** A page of the log, and who wants it. */
export interface Reading {
  readonly filter: Filter
  readonly limit: number
  /** Only entries below this number. */
  readonly before?: number
  /** The same as it was sent, for the record. */
  readonly query: Readonly<Record<string, string>>
  readonly identity: EntryIdentity
  readonly request: EntryRequest
}

/** The log for those who may read it. */
export interface History {
  /**
   * Matching entries, newest first, each as a line of JSON (export.ts), and the `before` of the next
   * page where there is one. That they were read is durable when this resolves; else it throws
   * `audit_unavailable`. Code: `log_corrupt` where an entry is not as it was written.
   */
  read(reading: Reading): Promise<{ readonly lines: readonly string[]; readonly next?: number }>
}

export type { IssuedCertificate } from './certificates.ts'
export type { Copy } from './copy.ts'
export type {
  AllowEntry,
  DenyEntry,
  EntryAsk,
  EntryCertificate,
  EntryLookUp,
  EntryQuota,
  EntryRule,
  ErrorEntry,
} from './decision-entries.ts'
export type { Inventory, InventoryItem } from './inventory.ts'
export { certificateStatuses, formatItem } from './inventory.ts'
export type { CaKeyEntry } from './key-entries.ts'
export type { RevocationTarget } from './revocation-entries.ts'
export type { BarTarget, Revocation } from './revocations.ts'
export type { Filter, RevokeEntry, Store, UnrevokeEntry }
