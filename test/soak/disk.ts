import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../fakes/process.ts'
import { type Answer, createAsk, createClient, createWitness, type Received } from './client.ts'
import { type Report, wait } from './report.ts'
import { createWorld, type Running, type World } from './service.ts'

/** Something that is wrong with the disk until it is mended. */
interface Fault {
  readonly name: string
  /** Breaks it, and answers what mends it. */
  begin(service: Running, world: World): Promise<() => Promise<void> | void>
}

/** Makes system calls of a running process fail: strace attaches, and lets go to mend it. */
const inject = (name: string, calls: string, what: string): Fault => ({
  name,
  begin: async ({ pid }) => {
    const tracer = spawn(
      'strace',
      ['-f', '-p', String(pid), '-o', '/dev/null', '-e', `trace=${calls}`].concat([
        '-e',
        `inject=${calls}:${what}`,
      ]),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const ended = new Promise<void>((resolve) => tracer.once('exit', () => resolve()))
    await new Promise<void>((resolve, reject) => {
      let said = ''
      tracer.stderr.on('data', (bytes: Buffer) => {
        said += bytes.toString()
        if (said.includes('attached')) resolve()
      })
      tracer.once('error', reject)
      void ended.then(() => reject(new Error(`strace has ended: ${said}`)))
    })
    return () => {
      tracer.kill('SIGINT')
      return ended
    }
  },
})

const syncs = 'fsync,fdatasync'

const injected: readonly Fault[] = [
  inject('the disk is full (ENOSPC)', 'pwrite64', 'error=ENOSPC'),
  inject('the quota is used up (EDQUOT)', 'pwrite64', 'error=EDQUOT'),
  inject('the disk does not take a write (EIO)', 'pwrite64', 'error=EIO'),
  inject('the file system has gone read-only (EROFS)', 'pwrite64', 'error=EROFS'),
  inject('a sync fails (EIO)', syncs, 'error=EIO'),
  inject('every third sync fails (EIO)', syncs, 'error=EIO:when=1+3'),
]

const stalled = inject('a sync takes 8 s', syncs, 'delay_enter=8000000')

/** A file system of a few MB, filled to its last byte. */
const filled: Fault = {
  name: 'a small file system is full',
  begin: async (_service, { dataDir }) => {
    const ballast = join(dataDir, 'ballast')
    try {
      writeFileSync(ballast, new Uint8Array(64 * 1024 * 1024))
      throw new Error('64 MB fit on a file system of 6 MB')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
    return () => rmSync(ballast)
  },
}

/** CAP_SYS_ADMIN, bit 21 (capabilities(7)): without it no file system can be mounted, even by root. */
export const mayMount = (): boolean => {
  const status = readFileSync('/proc/self/status', 'utf8')
  const capabilities = BigInt(`0x${/CapEff:\s*(\w+)/.exec(status)?.[1] ?? '0'}`)
  return (capabilities >> 21n) % 2n === 1n
}

/**
 * Breaks the disk under a running service in every way, and mends it. While it is broken no
 * certificate leaves and everyone hears 503 `audit_unavailable`; within 5 s of its being mended
 * certificates are issued again, by the same process; afterwards the log verifies and has every
 * certificate that was received.
 */
export const runDisk = async (options: {
  /** How long each fault lasts, in milliseconds. */
  readonly broken: number
  /** Also the disk that stalls, which takes a while. */
  readonly withStall?: boolean
}): Promise<Report> => {
  const mounts = mayMount()
  const results = [
    await breakDisk([...injected, ...(options.withStall ? [stalled] : [])], options.broken),
    ...(mounts
      ? [await withSmallDisk((dataDir) => breakDisk([filled], options.broken, dataDir))]
      : []),
  ]
  const slowest = results.flatMap(({ recovered }) => recovered)
  return {
    name: 'disk',
    figures: {
      faults: slowest.length,
      'real full file system': mounts ? 'yes' : 'no: mounting needs CAP_SYS_ADMIN',
      'refused while broken': results.reduce((sum, { refused }) => sum + refused, 0),
      'slowest recovery, ms': Math.round(Math.max(...slowest)),
    },
    violations: results.flatMap(({ violations }) => violations),
  }
}

const withSmallDisk = async <T>(work: (dataDir: string) => Promise<T>): Promise<T> => {
  const holder = await createWorld()
  mkdirSync(holder.dataDir, { mode: 0o700 })
  await run('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', holder.dataDir])
  try {
    return await work(holder.dataDir)
  } finally {
    await run('umount', ['--lazy', holder.dataDir])
    await holder.remove()
  }
}

const recoverWithin = 5_000

const breakDisk = async (faults: readonly Fault[], broken: number, dataDir?: string) => {
  const world = await createWorld(dataDir === undefined ? {} : { dataDir })
  const client = createClient()
  const violations: string[] = []
  const received: Received[] = []
  const recovered: number[] = []
  let refused = 0
  let n = 0
  try {
    const service = await world.start()
    const token = await world.issuer.mintFor('maya')
    const ask = async (): Promise<Answer | undefined> => {
      const asked = createAsk(n++)
      const answer = await client.send(service.url, token, asked)
      if (answer?.status === 201) {
        const { certificate } = JSON.parse(answer.body) as { readonly certificate: string }
        received.push({ ask: asked, certificate })
      }
      return answer
    }
    for (const fault of faults) {
      if ((await ask())?.status !== 201) violations.push(`not serving before: ${fault.name}`)
      const mend = await fault.begin(service, world)
      const wrong = await askWhileBroken(ask, broken, fault.name.startsWith('every third'))
      refused += wrong.refused
      violations.push(...wrong.violations.map((text) => `${fault.name}: ${text}`))
      await mend()
      const mended = performance.now()
      while ((await ask())?.status !== 201 && performance.now() - mended < 2 * recoverWithin) {
        await wait(50)
      }
      const millis = performance.now() - mended
      recovered.push(millis)
      if (millis > recoverWithin) violations.push(`${fault.name}: serving again after ${millis} ms`)
      if (service.child.exitCode !== null) violations.push(`${fault.name}: the service has ended`)
    }
    const witness = createWitness(join(world.dataDir, 'postern.db'))
    violations.push(...(await witness.read()))
    violations.push(...received.flatMap((one) => witness.judge(one) ?? []))
    return { violations, recovered, refused }
  } finally {
    client.close()
    await world.remove()
  }
}

/** @param mayPass whether some asks may get through: the fault comes and goes. */
const askWhileBroken = async (
  ask: () => Promise<Answer | undefined>,
  millis: number,
  mayPass: boolean,
) => {
  const violations: string[] = []
  let refused = 0
  const end = performance.now() + millis
  const worker = async () => {
    while (performance.now() < end) {
      const answer = await ask()
      const isRefused =
        answer?.status === 503 &&
        answer.body.includes('"audit_unavailable"') &&
        answer.retryAfter !== undefined &&
        !answer.body.includes('cert-v01')
      if (isRefused) refused++
      else if (!(mayPass && answer?.status === 201)) {
        violations.push(`answered ${answer?.status}: ${answer?.body.slice(0, 200)}`)
      }
      await wait(10)
    }
  }
  await Promise.all([worker(), worker(), worker()])
  if (refused === 0) violations.push('nobody was refused')
  return { violations, refused }
}
