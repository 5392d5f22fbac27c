import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { checkTail, openEvidence } from '../../src/app/evidence.ts'
import type { Store } from '../../src/audit/store.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { AppError } from '../../src/errors.ts'
import { createLogger } from '../../src/lib/log.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { createLoad } from './client.ts'
import { createDisk, type Image } from './disk-image.ts'
import { always, type GoesOn } from './pace.ts'
import { createDice, type Report, wait } from './report.ts'
import { createWorld } from './service.ts'
import { type Event, parseTrace, traceCommand } from './trace.ts'

/**
 * Cuts the power, on paper: every write, sync and rename of the log's files is recorded with strace
 * while the service is under load, and so is every answer with a certificate. Then the files are
 * built as they may lie on the disk after a cut at any sync and between: with nothing that was not
 * synced, and with random parts of it. Each is opened as at a start, must verify, and must hold
 * every certificate that had left by then.
 */
export const runPower = async (options: {
  /** How many are recorded, or a recording that is there already. */
  readonly certificates: number | Recording
  /** Random cuts after each sync, beside the one that loses all. */
  readonly cuts?: number
  readonly seed?: number
  /** How many images are built, about, spread over the whole recording. Default: at every sync. */
  readonly images?: number
  readonly goesOn?: GoesOn
  /** Takes events out of the recording: what a service would leave that does not sync. */
  readonly forget?: (event: Event) => boolean
}): Promise<Report> => {
  const { cuts = 2, seed = 1, images = Number.POSITIVE_INFINITY } = options
  const { goesOn = always, forget = () => false } = options
  const { certificates } = options
  const { config, events } =
    typeof certificates === 'number' ? await recordPower(certificates) : certificates
  // Two boundaries a sync: before it begins, and when it has ended.
  const boundaries = 2 * events.filter(({ kind }) => kind === 'synced').length
  const share = images / (boundaries * (cuts + 1))
  const dice = createDice(seed)
  const disk = createDisk()
  const delivered: string[] = []
  const violations: string[] = []
  const figures = { events: events.length, syncs: 0, images: 0 }
  const check = async (image: Image, at: number) => {
    figures.images++
    const wrong = await judge(image, config, delivered)
    if (wrong !== undefined) violations.push(`cut after event ${at} of ${events.length}: ${wrong}`)
  }
  for (const [index, event] of events.entries()) {
    if (forget(event)) continue
    if (!goesOn(index, events.length)) break
    disk.apply(event)
    if (event.kind === 'deliver') delivered.push(event.serial)
    if (event.kind === 'synced') figures.syncs++
    const next = events[index + 1]
    // All that may be lost is there just before the sync that would save it.
    const isBoundary = event.kind === 'synced' || next?.kind === 'sync' || next === undefined
    if (!isBoundary || !dice.isLikely(share)) continue
    await check(disk.cut(), index)
    for (let n = 0; n < cuts; n++) await check(disk.cut(dice), index)
  }
  return {
    name: 'power',
    figures: { ...figures, 'certificates delivered': delivered.length, seed },
    violations,
  }
}

/** What the real service did to its files and said to its clients, until it had issued so many. */
export interface Recording {
  readonly config: Config
  readonly events: readonly Event[]
}

export const recordPower = async (certificates: number): Promise<Recording> => {
  const world = await createWorld()
  const trace = join(world.dir, 'trace')
  // Whoever makes the directory sees to it that it stays.
  mkdirSync(world.dataDir, { mode: 0o700 })
  try {
    const service = await world.start({ wrapper: traceCommand(trace) })
    const token = await world.issuer.mintFor('maya')
    const load = createLoad({ url: service.url, token, connections: 3, first: 0 })
    while (load.received.length < certificates) await wait(20)
    await load.stop()
    const exit = new Promise((resolve) => service.child.once('exit', resolve))
    process.kill(service.pid, 'SIGTERM')
    await exit
    const events = parseTrace(readFileSync(trace, 'latin1'), world.dataDir)
    const delivered = events.filter(({ kind }) => kind === 'deliver').length
    if (delivered !== load.received.length) {
      throw new Error(`${load.received.length} certificates came, the trace shows ${delivered}`)
    }
    const { config } = await loadConfig({
      file: join(world.dir, 'postern.yaml'),
      env: {},
      cwd: world.dir,
    })
    return { config, events: events.filter(isKept) }
  } finally {
    await world.remove()
  }
}

/** The index of the write-ahead log lies in shared memory and the lock holds no data: both are made anew. */
const isKept = (event: Event): boolean =>
  event.kind === 'deliver' || !/(-shm|postern\.lock(-journal)?)$/.test(event.path)

/** What a start would find wrong, or has been lost. */
const judge = async (
  image: Image,
  config: Config,
  delivered: readonly string[],
): Promise<string | undefined> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-power-'))
  try {
    for (const [path, bytes] of image) {
      const copy = join(dir, relative(config.dataDir, path))
      mkdirSync(dirname(copy), { recursive: true, mode: 0o700 })
      writeFileSync(copy, bytes, { mode: 0o600 })
    }
    const store = await openSqlite(join(dir, 'postern.db'))
    try {
      const found = new Set<string>()
      const verdict = await verifyLog(async (seq, limit) => {
        const rows = await store.read(seq, limit)
        for (const { body } of rows) found.add(/"serial":"(\d+)"/.exec(body)?.[1] ?? '')
        return rows
      })
      if (!verdict.ok) return `entry ${verdict.seq}: ${verdict.reason}`
      const lost = delivered.filter((serial) => !found.has(serial))
      if (lost.length > 0) return `${lost.length} delivered certificates have no entry`
      await openAsAtStart(store, config, dir)
      return undefined
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return `the service would not start: ${error.message} (${error.detail})`
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** The steps of a start that look back: the newest entries, and the checkpoints that speak of them. */
const openAsAtStart = async (store: Store, given: Config, dataDir: string): Promise<void> => {
  await checkTail(store)
  const config = { ...given, dataDir, audit: { checkpoints: join(dataDir, 'checkpoints') } }
  const logger = createLogger('error', { write: () => {} })
  await (await openEvidence({ config, store, logger, accepted: {} })).close()
}
