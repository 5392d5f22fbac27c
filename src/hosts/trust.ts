import { bundleNamespace, formatBundle } from './bundle.ts'
import type { Hosts, Trust } from './index.ts'
import type { TrustKey } from './trust-key.ts'

/** What every host trusts alike, and when it last changed. */
export interface TrustSources {
  /** The CA's public keys that certificates may be signed by, or will be next; `TYPE BASE64`. */
  listCaKeys(): readonly string[]
  /** The KRL as it is now. */
  krl(): Uint8Array
  /**
   * The number of the newest entry that changed any of this. It changes with what it speaks of, in
   * one step: whoever sees the one sees the other.
   */
  version(): number
  /** The highest number a bundle may have now, as something is not in it yet that it will be known by. */
  limit(): number
}

/**
 * Bundles, made when they are asked for. A host's version is the newest of what all share and what
 * is its own, so that one that enrols does not send all the others for a new bundle. `floor` is what
 * every version is raised by: more than an older log that was put back has lost.
 *
 * A host that was taken off the list is told to trust nobody, or it would go on with what it has.
 */
export const createTrust = (deps: {
  readonly hosts: Hosts
  readonly key: TrustKey
  readonly sources: TrustSources
  /** The number of the newest entry about a host of this name; 0 where there is none. */
  readonly hostVersion: (name: string) => number
  readonly isRemoved: (name: string) => boolean
  readonly floor: number
}): Trust => {
  const { hosts, key, sources, hostVersion, isRemoved, floor } = deps
  const versionOf = (name: string) =>
    floor + Math.min(Math.max(sources.version(), hostVersion(name)), sources.limit())
  return Object.freeze({
    publicKey: key.publicKey,
    version: (name: string) => (hosts.has(name) || isRemoved(name) ? versionOf(name) : undefined),
    findBundle(name: string) {
      const host = hosts.find(name)
      const isOff = isRemoved(name)
      if (!isOff && host?.name !== name) return undefined
      const text = formatBundle({
        host: name,
        version: versionOf(name),
        caKeys: isOff ? [] : sources.listCaKeys(),
        logins: host?.logins ?? [],
        krl: sources.krl(),
      })
      return text + key.sign(bundleNamespace, text)
    },
  })
}
