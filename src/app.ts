import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkDataDir, findUser } from './app/admin.ts'
import { openConfiguredCopy } from './app/copy.ts'
import { checkTail, openEvidence, recordRollback } from './app/evidence.ts'
import { openHosts } from './app/hosts.ts'
import { openAuthority, openKeys, readKeys } from './app/keys.ts'
import { createListeners, type Reached } from './app/listeners.ts'
import { enforcePolicy, loadConfigured } from './app/policy.ts'
import { listLoginProviders, openProviders } from './app/providers.ts'
import { schemas } from './app/schemas.ts'
import { checkDistinct, readTls } from './app/tls.ts'
import { createLog } from './audit/chain.ts'
import { createHistory } from './audit/history.ts'
import type { Store } from './audit/index.ts'
import { createInventory } from './audit/inventory.ts'
import { listEntries } from './audit/read.ts'
import { openRecent } from './audit/recent.ts'
import { createThrottledLog } from './audit/refusals.ts'
import { createTrustedClock } from './ca/clock.ts'
import type { Signer } from './ca/signer.ts'
import { createCaKeyFile } from './ca/signers/file.ts'
import type { Config } from './config.ts'
import { openFreeze } from './freeze.ts'
import { createCheckHost } from './hosts/list.ts'
import { createAlert } from './http/alert.ts'
import { createHttp, type Http } from './http/index.ts'
import { createMetrics } from './http/metrics.ts'
import { type Deadlines, defaultDeadlines } from './http/server.ts'
import { createPool } from './identity/index.ts'
import { createIssue } from './issue.ts'
import { type Clock, formatTime, systemClock } from './lib/clock.ts'
import { type Random, systemRandom } from './lib/ids.ts'
import { createLogger, type Logger } from './lib/log.ts'
import { explainer } from './policy/explainer.ts'
import { openRevoke } from './revoke.ts'
import { adoptKey } from './rotate/ring.ts'
import { createRotation } from './rotate.ts'
import { openLock, openReader, openStore } from './store/index.ts'

export { type AskedHost, findUnknownHosts } from './app/unknown-hosts.ts'
export { createCaKeyFile, openAuthority, readKeys }

/** What a test may set in place of the real thing. The service sets none of them. */
export interface Overrides {
  readonly clock?: Clock
  readonly monotonic?: () => number
  readonly random?: Random
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>
  readonly store?: Store
  readonly signer?: Signer
  readonly logger?: Logger
  readonly deadlines?: Partial<Deadlines>
}

/** What a person has looked at and takes upon themselves for this one start. */
export interface Accepted {
  /** The clock is right, although it stands before the newest certificate. */
  readonly clock?: boolean
  /** The log ends before its newest checkpoint, and what it lost is lost. */
  readonly rollback?: boolean
  /** The key that the configuration names signs from now on, whatever the log says of it. */
  readonly caKey?: boolean
}

/** The whole service, ready to answer. */
export interface App {
  readonly fetch: Http['fetch']
  /** The routes as mounted, and as declared. */
  readonly routes: Http['routes']
  readonly table: Http['table']
  /** The public key that signs what hosts are told to trust: they pin it when they enrol. */
  readonly trustKey: string
  /** Opens the listeners of the configuration, and the admin socket. Resolves once connections are taken. */
  listen(): Promise<Reached>
  /** Reads the policy files now, rather than within a second of their change. Never rejects. */
  reload(): Promise<void>
  /**
   * Takes no more requests, lets those in flight finish (at most 10 s), and closes the log, the
   * signer and the lock. A second call waits for the first.
   */
  close(): Promise<void>
}

const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly version: string
  }
).version

const clockHint = 'set it right; where it is right already: postern serve --accept-clock'

/**
 * Assembles the service in the order of its story, and refuses at the first step that does not
 * hold, with everything opened until then closed again. Codes: `invalid_config`, `invalid_policy`,
 * `already_running`, `log_corrupt`, `log_rollback`, `audit_unavailable`, `signer_unavailable`, `signer_selfcheck`.
 */
export const build = async (
  config: Config,
  overrides: Overrides = {},
  accepted: Accepted = {},
): Promise<App> => {
  const clock = overrides.clock ?? systemClock
  const random = overrides.random ?? systemRandom
  const monotonic = overrides.monotonic ?? (() => performance.now())
  const logger = overrides.logger ?? createLogger(config.log.level)
  const deadlines = { ...defaultDeadlines, ...overrides.deadlines }
  const opened: (() => void | Promise<void>)[] = []
  const closeAll = async () => {
    for (const close of opened.splice(0).reverse()) await close()
  }

  try {
    // Nothing is opened for a service that nobody could speak to.
    const tls = readTls(config)
    const providers = await openProviders(config, clock, overrides.fetch ?? fetch)
    const loaded = await loadConfigured(config, logger)

    // The log: ours alone, and unbroken as far as a start looks back.
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
    checkDataDir(config.dataDir)
    const lock = openLock(join(config.dataDir, 'postern.lock'))
    opened.push(() => lock.close())
    const store = overrides.store ?? (await openStore(join(config.dataDir, 'postern.db')))
    opened.push(() => store.close())
    await checkTail(store)
    const recent = await openRecent({ store, now: clock() })

    // The signature.
    const keys = await openKeys({
      config,
      store,
      clock,
      logger,
      signer: overrides.signer,
      isAccepted: accepted.caKey === true,
    })
    const { authority, ring } = keys
    opened.push(() => authority.close())
    if (tls !== undefined) checkDistinct(ring, tls.key)

    // On the record, before the first request.
    const metrics = createMetrics(config.metrics.listen !== undefined)
    const { stdout } = process
    const copyOf = { config, store, logger, metrics, monotonic, stdout }
    const copy = await openConfiguredCopy(copyOf)
    opened.push(() => copy?.close())
    const chain = await createLog({
      store,
      onWritten(rows) {
        evidence.onWritten(rows)
        copy?.onWritten(rows)
      },
    })
    const log = createThrottledLog({ log: chain, clock })
    opened.push(() => log.close())
    const evidence = await openEvidence({ config, store, logger, accepted })
    opened.push(() => evidence.close())
    await recordRollback({ config, evidence, log, clock })
    if (keys.adopted !== undefined) await adoptKey({ log, clock, ring, key: keys.adopted })
    const time = formatTime(clock())
    const [newest] = await listEntries(store, { type: 'allow' }, 1)
    const setAside = accepted.clock === true && newest ? { setAside: newest.entry.time } : {}
    const { maxTtlSeconds } = config.ca
    const start = { time, version, ca: authority.fingerprint, maxTtlSeconds, ...setAside }
    await log.append({ type: 'start', ...start })
    const watch = await enforcePolicy({ config, loaded, log, store, clock, logger, metrics })
    opened.push(() => watch.close())
    const freeze = await openFreeze({ log, store, clock })
    const frozen = freeze.find()
    if (frozen !== undefined) logger.warn(frozen, 'all issuing is frozen')

    const trusted = createTrustedClock({
      clock,
      monotonic,
      newest: newest && accepted.clock !== true ? new Date(newest.entry.time) : undefined,
      tell: (reason) => {
        if (reason === undefined) logger.warn('the clock is trusted again')
        else logger.error({ reason, hint: clockHint }, 'the clock may be wrong: nothing is issued')
      },
    })
    opened.push(trusted.close)
    const revoke = await openRevoke({ log, store, ring, clock, trustedClock: trusted.now })

    // Where it is trusted.
    const { provider, findRules, hasApplied, ...parts } = await openHosts({
      config,
      store,
      log,
      watch,
      ring,
      revoke,
      recent,
      clock: trusted.now,
      random,
      logger,
      metrics,
    })
    opened.push(parts.close)
    const rotation = createRotation({
      ...{ log, store, clock, ring, authority, hasApplied },
      files: keys.files,
      listHosts: parts.hosts.list,
    })
    await evidence.start()
    // Where this fails it is tried again when somebody comes with a proof.
    recent.settle().catch(() => {})

    // The door.
    const currentPolicy = watch.current
    const { publicUrl, trustedProxies, limits } = config
    const issue = createIssue({
      findRules,
      checkFrozen: freeze.checkFrozen,
      checkRevoked: revoke.checkRevoked,
      checkHost: config.knownHostsOnly ? createCheckHost(parts.hosts) : () => {},
      authority,
      log,
      clock: trusted.now,
      random,
      backdateSeconds: config.ca.backdateSeconds,
      recent,
      audience: publicUrl,
      alert: createAlert({ logger, metrics }),
    })
    const http = createHttp({
      issue,
      loginProviders: listLoginProviders(config),
      pool: createPool(providers),
      askers: createPool([...providers, provider]),
      authority,
      ring,
      rotation,
      log,
      evidence,
      copy,
      history: createHistory({ store, log, clock }),
      inventory: createInventory({ store, clock, findRevoked: revoke.findRevoked }),
      currentPolicy,
      listPolicyProblems: watch.listProblems,
      explainer,
      freeze,
      ...parts,
      revoke,
      user: findUser(),
      clock,
      trustedClock: trusted.now,
      monotonic,
      random,
      logger,
      metrics,
      publicUrl,
      trustedProxies,
      limits,
      version,
      schemas,
      listening: {
        kind: config.listen.kind,
        host: config.listen.kind === 'tcp' ? config.listen.host : '',
        isTls: tls !== undefined,
      },
    })

    const given = { config, http, metrics, tls, random, logger, deadlines }
    const listeners = createListeners(given)
    let closing: Promise<void> | undefined
    return Object.freeze({
      fetch: http.fetch,
      routes: http.routes,
      table: http.table,
      trustKey: parts.trust.publicKey,
      listen: listeners.open,
      reload: watch.reload,
      close() {
        closing ??= (async () => {
          http.stop()
          await listeners.close()
          await closeAll()
        })()
        return closing
      },
    })
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** The log for reading, while the service runs and after it has stopped. @throws `not_found` */
export const openLog = (config: Config): Promise<Store> =>
  openReader(join(config.dataDir, 'postern.db'))
