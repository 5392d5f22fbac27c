import type { EntryBase, EntryIdentity, EntryRequest } from './index.ts'

/** What a token of `postern host invite` lets a host do; of the token itself only the SHA-256 stands here. */
export interface EntryInvitation {
  readonly id: string
  /** Of the secret, in hex. */
  readonly hash: string
  /** The one name it is for, or a pattern of names. */
  readonly name?: string
  readonly pattern?: string
  /** How many enrolments it is good for. */
  readonly uses: number
  /** The blocks it may be used from; anywhere where absent. */
  readonly from?: readonly string[]
  readonly logins: readonly string[]
  /** RFC 3339 UTC. */
  readonly expires: string
}

/** Somebody invited a host, or hosts of a pattern, to enrol. */
export interface HostInviteEntry extends EntryBase {
  readonly type: 'host-invite'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly invitation: EntryInvitation
}

/** A host as it enrolled. */
export interface EntryHost {
  readonly name: string
  readonly port: number
  readonly logins: readonly string[]
  /** `TYPE BASE64` each. */
  readonly hostKeys: readonly string[]
}

/** A host enrolled itself; the identity is that of its invitation. */
export interface HostEnrolEntry extends EntryBase {
  readonly type: 'host-enrol'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly host: EntryHost
}

/** Somebody took a host off the list. */
export interface HostRemoveEntry extends EntryBase {
  readonly type: 'host-remove'
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly host: { readonly name: string }
}

export type HostEntry = HostInviteEntry | HostEnrolEntry | HostRemoveEntry
