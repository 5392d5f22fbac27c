import { join } from 'node:path'
import type { Log, Store } from '../audit/index.ts'
import { listEntries } from '../audit/read.ts'
import type { Recent } from '../audit/recent.ts'
import { isTrusted, type KeyRing } from '../ca/index.ts'
import type { Config } from '../config.ts'
import { createFindRules, proofMillis, type Rules } from '../enrol/proof.ts'
import { readRegistry } from '../enrol/read.ts'
import { createEnrol, type Enrol } from '../enrol.ts'
import {
  findStanding,
  type Host,
  type Hosts,
  type Reports,
  type Scripts,
  type Trust,
} from '../hosts/index.ts'
import { createHosts } from '../hosts/list.ts'
import { memoryReports, openReports, type ReportStore } from '../hosts/reports.ts'
import { readScripts } from '../hosts/scripts.ts'
import { createTrust } from '../hosts/trust.ts'
import { openTrustKey } from '../hosts/trust-key.ts'
import type { Metrics } from '../http/index.ts'
import { createEnrolmentProvider } from '../identity/enrolment.ts'
import type { Identity, Provider } from '../identity/index.ts'
import { encodeBase64 } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import type { Ask } from '../policy/index.ts'
import type { Revoke } from '../revoke.ts'
import type { EnforcedPolicy } from './policy.ts'

/** The key that signs what hosts are told to trust. It is neither the CA's nor the log's. */
export const findTrustKey = (config: Config): string => join(config.dataDir, 'trust.key')

/** The hosts, how they enrol, and what each is told to trust. */
export interface HostParts {
  readonly hosts: Hosts
  readonly trust: Trust
  /** Whether the bundle a host says it has names what the entry of this number made known. */
  readonly hasApplied: (host: Host, seq: number) => boolean
  readonly enrol: Enrol
  readonly reports: Reports
  readonly scripts: Scripts
  /** Who a host is that has just enrolled; for the asks that prove its login, and nothing else. */
  readonly provider: Provider
  readonly findRules: (identity: Identity, ask: Ask) => Rules
  /** Writes what hosts last reported. */
  close(): Promise<void>
}

/** One commit for all the hosts that reported meanwhile. */
const flushMillis = 1_000

/** Codes: `invalid_config`, `log_corrupt`, those of the store. */
export const openHosts = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'find' | 'findAfter'> & Partial<ReportStore>
  readonly log: Log
  readonly watch: Pick<EnforcedPolicy, 'current' | 'since'>
  readonly ring: KeyRing
  readonly revoke: Pick<Revoke, 'krl'>
  readonly recent: Pick<Recent, 'takePlace'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'watchHosts'>
}): Promise<HostParts> => {
  const { config, store, log, watch, ring, revoke, clock, random } = given
  const { publicUrl: issuer } = config
  const registry = await readRegistry(store)
  const isPinned = registry.hasInvited()
  const key = await openTrustKey({ path: findTrustKey(config), isPinned })
  const floor = await readTrustFloor(store)

  const { saveReports, listReports } = store
  const reports = await openReports({
    store:
      saveReports === undefined || listReports === undefined
        ? memoryReports
        : { saveReports, listReports },
    clock,
  })
  const hosts = createHosts({
    listed: () => watch.current().hosts,
    enrolled: registry.enrolled,
    isRemoved: registry.isRemoved,
    reports: reports.newest,
  })
  const trust = createTrust({
    hosts,
    key,
    sources: {
      listCaKeys: () =>
        ring
          .list()
          .filter(isTrusted)
          .map(({ publicKey }) => publicKey),
      krl: () => revoke.krl().bytes,
      version: () => Math.max(watch.since(), ring.version(), revoke.krl().version),
      limit: () => (revoke.krl().pending ?? Number.POSITIVE_INFINITY) - 1,
    },
    hostVersion: registry.version,
    isRemoved: registry.isRemoved,
    floor,
  })
  const trustKey = encodeBase64(key.blob)
  const enrol = createEnrol({ log, clock, random, registry, hosts, trustKey, issuer })
  const provider = createEnrolmentProvider({
    issuer,
    findInvitation(credentials) {
      const invitation = enrol.findInvitation(credentials)
      const since = new Date(clock().getTime() - proofMillis)
      return invitation && registry.hasEnrolled(invitation.id, since) ? invitation : undefined
    },
  })
  const findRules = createFindRules({
    registry,
    hosts,
    currentPolicy: watch.current,
    takePlace: given.recent.takePlace,
    async findProof(subject, host) {
      const filter = { type: 'allow', issuer, subject, host }
      return (await store.find(filter, 1))[0]?.seq
    },
  })
  const hasApplied = ({ trustVersion }: Host, seq: number) =>
    trustVersion !== undefined && trustVersion >= floor + seq
  given.metrics.watchHosts(() => {
    const at = clock()
    return hosts.list().map((host) => findStanding(host, trust.version(host.name) ?? 0, at))
  })
  const flush = () =>
    reports
      .flush()
      .catch((err: unknown) => given.logger.error({ err }, 'no report of a host was kept'))
  const timer = setInterval(flush, flushMillis)
  return {
    hosts,
    trust,
    enrol,
    reports,
    scripts: readScripts({ publicUrl: issuer, key }),
    hasApplied,
    provider,
    findRules,
    async close() {
      clearInterval(timer)
      await flush()
    },
  }
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
