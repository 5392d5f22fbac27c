import type { EntryBase, EntryIdentity, EntryRequest } from './index.ts'

/** What was asked for. */
export interface EntryAsk {
  readonly host: string
  readonly login: string
  readonly ttlSeconds?: number
  readonly command?: string
  readonly reason?: string
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

/** A team or organisation that was asked about, and what GitHub answered. */
export interface EntryLookUp {
  readonly question: string
  readonly answer: string
  /** The ids GitHub answered with, where the membership is active. */
  readonly orgId?: string
  readonly teamId?: string
}

/** How much of a rule's `maxPerHour` was used, with this ask. */
export interface EntryQuota {
  readonly used: number
  readonly most: number
}

export interface EntryRule {
  readonly name: string
  readonly file: string
  readonly line: number
}

export interface EntryCertificate {
  /** Decimal string: JSON numbers end at 2^53. */
  readonly serial: string
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: string
  readonly validBefore: string
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
  /** The fingerprint of the CA key that signed. */
  readonly ca: string
  /** The certificate itself, `TYPE BASE64`: public, and the proof of what was given. */
  readonly text: string
}

/** A certificate was issued. */
export interface AllowEntry extends EntryBase {
  readonly type: 'allow'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly lookUps: readonly EntryLookUp[]
  readonly ask: EntryAsk
  readonly rule: EntryRule
  readonly certificate: EntryCertificate
  readonly shortenedBy?: 'token' | 'when'
  /** The SHA-256 of the bytes the proof of possession was made over, in hex. */
  readonly proof?: string
  readonly quota?: EntryQuota
  /** The rule asks that somebody hears of it at once. */
  readonly alert?: true
}

/**
 * Somebody was refused: by policy, for want of a role, or because the token was not accepted (then
 * nobody is named).
 */
export interface DenyEntry extends EntryBase {
  readonly type: 'deny'
  readonly request: EntryRequest
  readonly identity?: EntryIdentity
  readonly lookUps?: readonly EntryLookUp[]
  readonly ask?: EntryAsk
  readonly rule?: EntryRule
  readonly proof?: string
  readonly quota?: EntryQuota
  readonly code: string
  /** The sentence the caller read. */
  readonly reason: string
  /** What only the log may know. */
  readonly detail: string
}

/**
 * An ask that was not decided or not carried out: a provider, the signer or a self-check failed, or
 * issuing was frozen.
 */
export interface ErrorEntry extends EntryBase {
  readonly type: 'error'
  readonly request: EntryRequest
  readonly identity?: EntryIdentity
  readonly lookUps?: readonly EntryLookUp[]
  readonly ask?: EntryAsk
  readonly rule?: EntryRule
  readonly proof?: string
  readonly quota?: EntryQuota
  readonly code: string
  readonly reason: string
  readonly detail: string
}
