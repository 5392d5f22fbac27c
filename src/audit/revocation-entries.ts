import type { EntryBase, EntryIdentity, EntryRequest } from './index.ts'

/**
 * What a revocation speaks of: small, however many certificates it reaches, for those are found in
 * the log again. `key` and `subject` also keep new ones from being issued.
 */
export type RevocationTarget =
  | {
      readonly kind: 'serial'
      /** Decimal string. */
      readonly serial: string
      /** What a KRL needs of the certificate, so that a start has none to look for. */
      readonly ca: string
      readonly validBefore: string
    }
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  | { readonly kind: 'key'; readonly fingerprint: string }
  | { readonly kind: 'subject'; readonly issuer: string; readonly subject: string }
  | { readonly kind: 'rule'; readonly rule: string }
  | { readonly kind: 'host'; readonly host: string }
  /** Issued not before `after`, and before `before`; at least one of them. RFC 3339 UTC. */
  | { readonly kind: 'span'; readonly after?: string; readonly before?: string }

/** Certificates were revoked: those the target names that were issued until here and are not over. */
export interface RevokeEntry extends EntryBase {
  readonly type: 'revoke'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly reason: string
  readonly target: RevocationTarget
}

/** A key or a person may be given certificates again. Those that were revoked stay so. */
export interface UnrevokeEntry extends EntryBase {
  readonly type: 'unrevoke'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly reason: string
  readonly target: Extract<RevocationTarget, { readonly kind: 'key' | 'subject' }>
}
