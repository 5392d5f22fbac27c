import type { EnrolledHost } from './index.ts'

/** What a token of `postern host invite` is good for. */
export interface Invitation {
  readonly id: string
  /** SHA-256 of its secret, in hex. */
  readonly hash: string
  readonly name?: string
  readonly pattern?: string
  readonly uses: number
  /** Blocks, as lib/address.ts reads them. */
  readonly from?: readonly string[]
  readonly logins: readonly string[]
  /** RFC 3339 UTC. */
  readonly expires: string
}

/** An enrolment that may still be proved by a login; once, and not for long. */
export interface Enrolment {
  readonly invitation: string
  readonly host: string
  /** RFC 3339 UTC. */
  readonly at: string
  /** The number of its entry. */
  readonly seq: number
}

/**
 * What the log says of invitations and enrolments, kept in memory: an entry is applied once it is
 * durable, here as at the next start.
 */
export interface Registry {
  /** Whether a host may have pinned the trust key: a token carries it. */
  hasInvited(): boolean
  /** By the hash of its secret. */
  findInvitation(hash: string): Invitation | undefined
  /**
   * Takes one of an invitation's uses, or false where all are taken. In one step, so that of many
   * who come at once no more get one. `release` gives it back where the entry could not be written.
   */
  takeUse(id: string): boolean
  releaseUse(id: string): void
  readonly enrolled: ReadonlyMap<string, EnrolledHost>
  /** The newest enrolment of a host, where it was by this invitation. */
  findEnrolment(invitation: string, host: string): Enrolment | undefined
  /** Whether a host has enrolled by this invitation since that time. */
  hasEnrolled(invitation: string, since: Date): boolean
  /** Whether a host of this name had enrolled, and was taken off the list since. */
  isRemoved(host: string): boolean
  /** The number of the newest entry about a host of this name, also one that is gone; else 0. */
  version(host: string): number
  applyInvite(invitation: Invitation): void
  /** `isTaken`: its use was taken before, by `takeUse`. */
  applyEnrol(host: EnrolledHost, invitation: string, seq: number, isTaken: boolean): void
  applyRemove(name: string, seq: number): void
}

export const createRegistry = (): Registry => {
  const byHash = new Map<string, Invitation>()
  const used = new Map<string, number>()
  const enrolled = new Map<string, EnrolledHost>()
  const enrolments = new Map<string, Enrolment>()
  /** When a host last enrolled by an invitation. */
  const lastAt = new Map<string, string>()
  const versions = new Map<string, number>()
  const uses = new Map<string, number>()

  return Object.freeze({
    hasInvited: () => byHash.size > 0,
    findInvitation: (hash: string) => byHash.get(hash),
    takeUse(id: string) {
      const taken = used.get(id) ?? 0
      if (taken >= (uses.get(id) ?? 0)) return false
      used.set(id, taken + 1)
      return true
    },
    releaseUse: (id: string) => void used.set(id, Math.max(0, (used.get(id) ?? 0) - 1)),
    enrolled,
    findEnrolment(invitation: string, host: string) {
      const found = enrolments.get(host)
      return found?.invitation === invitation ? found : undefined
    },
    hasEnrolled: (invitation: string, since: Date) =>
      Date.parse(lastAt.get(invitation) ?? '') >= since.getTime(),
    isRemoved: (host: string) => versions.has(host) && !enrolled.has(host),
    version: (host: string) => versions.get(host) ?? 0,
    applyInvite(invitation: Invitation) {
      byHash.set(invitation.hash, invitation)
      uses.set(invitation.id, invitation.uses)
    },
    applyEnrol(host: EnrolledHost, invitation: string, seq: number, isTaken: boolean) {
      if (!isTaken) used.set(invitation, (used.get(invitation) ?? 0) + 1)
      enrolled.set(host.name, host)
      enrolments.set(host.name, { invitation, host: host.name, at: host.enrolledAt, seq })
      lastAt.set(invitation, host.enrolledAt)
      versions.set(host.name, seq)
    },
    applyRemove(name: string, seq: number) {
      enrolled.delete(name)
      enrolments.delete(name)
      versions.set(name, seq)
    },
  })
}
