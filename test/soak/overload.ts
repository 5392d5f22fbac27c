import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEntry } from '../../src/audit/entry.ts'
import { openReader } from '../../src/store/index.ts'
import { createAsk, createClient } from './client.ts'
import type { Orders, Outcome } from './flood.ts'
import { percentile, type Report, wait } from './report.ts'
import { createWorld, type Running } from './service.ts'

const flood = fileURLToPath(new URL('flood.ts', import.meta.url))
const maxRssMegabytes = 400
/** So many connections may wait without having asked for anything (src/http/strangers.ts). */
const maxStrangers = 2_048
/** Back to normal within this, in milliseconds. */
const normalWithin = 5_000
/** What a flood may be answered; 0 is a connection that was cut. */
const refusals = new Set(['0', '400', '401', '403', '408', '413', '429', '503'])

/**
 * A healthy client asks twenty times a second while slow senders, idle connections, floods of
 * refusals and bodies of 50 MB go on beside it. It is served all the time, and in time; the service
 * stays small; what is refused says so, and when to come again; the log grows by little; and five
 * seconds after the flood all is as before.
 */
export const runOverload = async (options: {
  readonly seconds: number
  readonly idle: number
  readonly slow: number
  /** What the healthy client's p99 must stay below, in milliseconds. */
  readonly p99?: number
}): Promise<Report> => {
  const { seconds, slow, p99 = 250 } = options
  const idle = Math.min(options.idle, readFileLimit() - slow - 1_000)
  const world = await createWorld({
    config: 'limits: { perAddress: 30/m, perIdentity: 6000/m, inFlight: 64 }',
  })
  const millis = (times: readonly number[]) => Math.round(percentile(times, 0.99))
  const violations: string[] = []
  try {
    const service = await world.start()
    const healthy = await createHealthy(service, await world.issuer.mintFor('maya'))
    await wait(1_500)
    const before = healthy.take()
    const filesBefore = countFiles(service.pid)
    const bytesBefore = sizeOf(world.dataDir)

    const orders: Orders = {
      ...{ url: service.url, idle, slow, denied: 24, bodies: 2 },
      token: await world.issuer.mintFor('sam'),
    }
    const attack = await startFlood(orders)
    await wait(seconds * 1000)
    const during = healthy.take()
    const outcome = await attack.stop()
    const bytes = sizeOf(world.dataDir) - bytesBefore

    const isNormal = ({ times, failed }: Taken) => failed.length === 0 && millis(times) < p99
    const end = performance.now() + normalWithin
    let after: Taken
    do {
      healthy.take()
      await wait(1_500)
      after = healthy.take()
    } while (!isNormal(after) && performance.now() < end)
    const filesAfter = await countFilesLeft(service.pid, filesBefore)
    const { rss: peak, files: filesFull } = healthy.peak()
    await healthy.stop()
    await service.stop()
    const log = await readRefusals(join(world.dataDir, 'postern.db'))

    const odd = Object.keys(outcome.statuses).filter((status) => !refusals.has(status))
    const facts: readonly (readonly [string, boolean])[] = [
      [`the healthy client’s p99 was ${millis(during.times)} ms`, millis(during.times) < p99],
      [
        `${during.failed.length} asks of the healthy client failed: ${during.failed.slice(0, 3)}`,
        during.failed.length === 0,
      ],
      ['the healthy client asked nothing', during.times.length > seconds * 5],
      [`the service grew to ${peak} MB`, peak < maxRssMegabytes],
      [`the flood was answered ${odd.join()}`, odd.length === 0],
      [`${outcome.withoutRetryAfter} answers without Retry-After`, outcome.withoutRetryAfter === 0],
      ['nothing was shed', (outcome.statuses['429'] ?? 0) > 0],
      [`only ${filesFull} files were open at once`, filesFull > Math.min(idle + slow, 2_000)],
      [
        `${filesFull} files were open at once, and ${maxStrangers} strangers may wait`,
        filesFull < filesBefore + maxStrangers + 200,
      ],
      [`after 5 s p99 was ${millis(after.times)} ms`, millis(after.times) < p99],
      [`after 5 s ${after.failed.length} asks failed`, after.failed.length === 0],
      [
        `${filesAfter} files stayed open, before there were ${filesBefore}`,
        filesAfter <= filesBefore + 5,
      ],
      [
        `${log.written} refusals were written out`,
        log.written <= 300 * Math.ceil(seconds / 60 + 1),
      ],
      ['no refusal was counted', log.counted > 0],
    ]
    violations.push(...facts.filter(([, holds]) => !holds).map(([text]) => text))
    return {
      name: 'overload',
      figures: {
        'idle connections': idle === options.idle ? idle : `${idle}, as many as files allow`,
        'slow senders': slow,
        'connections made': outcome.opened,
        'flood answered': JSON.stringify(outcome.statuses),
        'p99 before, ms': millis(before.times),
        'p99 during, ms': millis(during.times),
        'p99 after, ms': millis(after.times),
        'peak RSS, MB': peak,
        'files open at once': filesFull,
        'refusals written': log.written,
        'refusals counted': log.counted,
        'log grew, KB': Math.round(bytes / 1024),
      },
      violations,
    }
  } finally {
    await world.remove()
  }
}

/** What the healthy client saw: how long each ask took, and those that were not served. */
interface Taken {
  readonly times: readonly number[]
  readonly failed: readonly string[]
}

/** Asks twenty times a second, one after the other, and watches the size of the service. */
const createHealthy = async ({ url, pid }: Running, token: string) => {
  const client = createClient({ connections: 1 })
  let times: number[] = []
  let failed: string[] = []
  const peak = { rss: 0, files: 0 }
  let isStopped = false
  const work = (async () => {
    for (let n = 0; !isStopped; n++) {
      const sent = performance.now()
      const answer = await client.send(url, token, createAsk(n))
      const millis = performance.now() - sent
      times.push(millis)
      if (answer?.status !== 201) failed.push(`${answer?.status} ${answer?.body.slice(0, 200)}`)
      peak.rss = Math.max(peak.rss, readRss(pid))
      if (n % 5 === 0) peak.files = Math.max(peak.files, countFiles(pid))
      await wait(Math.max(0, 50 - millis))
    }
  })()
  return Object.freeze({
    /** What was measured since it was last asked. */
    take(): Taken {
      const taken = { times, failed }
      times = []
      failed = []
      return taken
    },
    /** The most there was of each, until now. */
    peak: () => ({ ...peak }),
    async stop() {
      isStopped = true
      await work
      client.close()
    },
  })
}

const startFlood = async (orders: Orders) => {
  const child = spawn(process.execPath, [flood, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString()
      if (said.startsWith('ready\n')) resolve()
    })
    child.once('error', reject)
    void ended.then(() => reject(new Error('the flood has ended by itself')))
  })
  return {
    async stop(): Promise<Outcome> {
      child.kill('SIGTERM')
      await ended
      return JSON.parse(said.slice('ready\n'.length)) as Outcome
    },
  }
}

/** How many files a process of ours may have open; Node raises its own limit to this. */
const readFileLimit = (): number =>
  Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])

const countFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/**
 * How many stay open. A connection whose peer died while the listening queue was full is one that
 * the kernel still holds: it goes when it has been silent for as long as any may be.
 */
const countFilesLeft = async (pid: number, wanted: number): Promise<number> => {
  const end = performance.now() + 12_000
  while (countFiles(pid) > wanted + 5 && performance.now() < end) await wait(200)
  return countFiles(pid)
}

const readRss = (pid: number): number =>
  Math.round(
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
  )

const sizeOf = (dataDir: string): number =>
  ['postern.db', 'postern.db-wal']
    .map((name) => statSync(join(dataDir, name), { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, size) => sum + size, 0)

/** How many refusals stand in the log one by one, and how many only as a count. */
const readRefusals = async (path: string) => {
  const reader = await openReader(path)
  try {
    const found = { written: 0, counted: 0 }
    for (let from = 1; ; ) {
      const rows = await reader.read(from, 1_000)
      const last = rows.at(-1)
      if (last === undefined) return found
      for (const { entry } of rows.map(parseEntry)) {
        if (entry.type === 'deny' || entry.type === 'error') found.written++
        if (entry.type === 'refusals') found.counted += entry.count
      }
      from = last.seq + 1
    }
  } finally {
    await reader.close()
  }
}
