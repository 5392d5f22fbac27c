export { findHostKeyFault } from '../ssh/host-keys.ts'
export { listKnownHosts } from './known-hosts.ts'
export type { Reports } from './reports.ts'
export type { Scripts } from './scripts.ts'
export { findStanding, formatSummary, type Standing, standings } from './summary.ts'

/** A host as the policy's files list it (policy's KnownHost fits). */
export interface ListedHost {
  readonly name: string
  readonly aliases: readonly string[]
  readonly address?: string
  readonly port?: number
  readonly labels: Readonly<Record<string, string>>
  readonly logins: readonly string[]
  /** `TYPE BASE64` each, without a comment. */
  readonly hostKeys: readonly string[]
}

/** A host as it enrolled itself, under the name it was invited by. */
export interface EnrolledHost {
  readonly name: string
  readonly address?: string
  readonly port: number
  readonly logins: readonly string[]
  readonly hostKeys: readonly string[]
  /** RFC 3339 UTC. */
  readonly enrolledAt: string
}

/** What a host last said of itself, signed by one of its keys. */
export interface HostReport {
  /** The version of the trust bundle that is in force there. */
  readonly version: number
  /** When the host signed it, and when it came; both RFC 3339 UTC. */
  readonly time: string
  readonly seenAt: string
}

/** A host, by all that is known of it: what the policy names wins, enrolment adds the rest. */
export interface Host {
  readonly name: string
  /** Other names it is asked for by; from the policy. */
  readonly aliases: readonly string[]
  /** Where it is reached, where that is not its name. */
  readonly address?: string
  readonly port: number
  readonly labels: Readonly<Record<string, string>>
  readonly logins: readonly string[]
  readonly hostKeys: readonly string[]
  readonly source: 'policy' | 'enrolled'
  readonly enrolledAt?: string
  /** Of its newest report, RFC 3339 UTC. */
  readonly lastSeen?: string
  /** The version of its trust bundle that its newest report named. */
  readonly trustVersion?: number
}

/** Every host there is. */
export interface Hosts {
  /** By its name, or by an alias; a name wins over another host's alias. */
  find(name: string): Host | undefined
  /** Whether a host has exactly this name. */
  has(name: string): boolean
  /** What the policy lists under exactly this name. */
  findListed(name: string): ListedHost | undefined
  /** The name of the host that is meant, or the text itself where it names none. */
  resolve(name: string): string
  /** In the order of their names. */
  list(): readonly Host[]
}

/** What hosts are told to trust. */
export interface Trust {
  /** The public key that signs bundles, `TYPE BASE64`. */
  readonly publicKey: string
  /** Which version of its bundle a host should have by now; it only rises. */
  version(host: string): number | undefined
  /**
   * The bundle of a host, signed (bundle.ts): one that was taken off the list is told to trust
   * nobody. Undefined for a name that never stood there.
   */
  findBundle(host: string): string | undefined
}
