import { join } from 'node:path'
import type { Store } from '../audit/index.ts'
import { listEntries } from '../audit/read.ts'
import type { Authority } from '../ca/index.ts'
import type { Config } from '../config.ts'
import type { Trust } from '../hosts/index.ts'
import { createHosts } from '../hosts/list.ts'
import { createTrust } from '../hosts/trust.ts'
import { openTrustKey } from '../hosts/trust-key.ts'
import { emptyKrl } from '../ssh/krl-empty.ts'
import type { EnforcedPolicy } from './policy.ts'

/** The key that signs what hosts are told to trust. It is neither the CA's nor the log's. */
export const findTrustKey = (config: Config): string => join(config.dataDir, 'trust.key')

/** The hosts, and what each is told to trust. Codes: `invalid_config`, `log_corrupt`. */
export const openTrust = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'find'>
  readonly watch: Pick<EnforcedPolicy, 'current' | 'since'>
  readonly authority: Authority
}): Promise<{ readonly trust: Trust }> => {
  const { config, store, watch, authority } = given
  const floor = await readTrustFloor(store)
  const key = await openTrustKey({ path: findTrustKey(config), isPinned: false })
  const hosts = createHosts({
    listed: () => watch.current().hosts,
    enrolled: new Map(),
    reports: new Map(),
  })
  const trust = createTrust({
    hosts,
    key,
    sources: {
      listCaKeys: () => [authority.publicKey],
      krl: () => emptyKrl,
      version: watch.since,
    },
    hostVersion: () => 0,
    floor,
  })
  return { trust }
}

/**
 * As many entries as may have been written after the newest checkpoint, which is kept at least once
 * a thousand: those are lost with an older log that is put back, and nobody has counted them.
 */
const uncounted = 1_000_000
const pageSize = 100

/**
 * What every version of a trust bundle is raised by, so that it rises also where an older log was
 * put back: as its numbers are given again, by more than it has lost.
 */
export const readTrustFloor = async (store: Pick<Store, 'find'>): Promise<number> => {
  let floor = 0
  let before: number | undefined
  for (;;) {
    const found = await listEntries(store, { type: 'rollback' }, pageSize, before)
    for (const { entry } of found) {
      if (entry.type === 'rollback') floor += entry.lost.to - entry.lost.from + 1 + uncounted
    }
    if (found.length < pageSize) return floor
    before = found.at(-1)?.seq
  }
}
