import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../src/lib/clock.ts'
import { type OidcIssuer, type Person, startOidcIssuer } from '../fakes/oidc.ts'
import { run } from '../fakes/process.ts'

/** A directory with all that the service needs, which outlives each of its processes. */
export interface World {
  readonly dir: string
  readonly dataDir: string
  readonly issuer: OidcIssuer
  start(options?: StartOptions): Promise<Running>
  /** Ends what still runs and removes everything. */
  remove(): Promise<void>
}

export interface StartOptions {
  /** Before the program: `['strace', …]`. */
  readonly wrapper?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** The real service as a process that has said it is ready. */
export interface Running {
  readonly url: string
  /** Of the service itself, not of what it was started by. */
  readonly pid: number
  readonly child: ChildProcess
  /** Its log so far. */
  log(): string
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const formatConfig = (issuer: string, dataDir: string, more: string): string => `listen: 127.0.0.1:0
dataDir: ${dataDir}
policyDir: policies
${more}
ca: { userKey: user_ca }
identity:
  oidc:
    - { issuer: "${issuer}", audience: postern, algorithms: [ES256] }
`

const formatPolicy = (issuer: string): string => `rules:
  - name: soak
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy, runner]
    extensions: [permit-pty]
    ttl: 5m
    maxTtl: 15m
`

export const createWorld = async (
  options: {
    readonly dataDir?: string
    /** Lines of postern.yaml. Default: no limit on how often somebody may ask. */
    readonly config?: string
    /** A policy in place of the one rule `soak`. */
    readonly policy?: (issuer: string) => string
    readonly people?: Readonly<Record<string, Person>>
    /** The issuer's, for its tokens. */
    readonly clock?: Clock
  } = {},
): Promise<World> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-soak-'))
  const issuer = await startOidcIssuer({
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.people === undefined ? {} : { people: options.people }),
  })
  const { policy = formatPolicy } = options
  const dataDir = options.dataDir ?? join(dir, 'data')
  const config = options.config ?? 'limits: { perAddress: off, perIdentity: off }'
  mkdirSync(join(dir, 'policies'), { mode: 0o700 })
  writeFileSync(join(dir, 'policies', 'soak.yaml'), policy(issuer.issuer), { mode: 0o600 })
  writeFileSync(join(dir, 'postern.yaml'), formatConfig(issuer.issuer, dataDir, config), {
    mode: 0o600,
  })
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'user_ca')])
  const children = new Set<ChildProcess>()
  return Object.freeze({
    dir,
    dataDir,
    issuer,
    start: (how: StartOptions = {}) => startProcess(dir, children, how),
    async remove() {
      for (const child of children) await end(child, 'SIGKILL')
      await issuer.close()
      rmSync(dir, { recursive: true, force: true })
    },
  })
}

/** As in the systemd unit and the image: without the second a flood is let take a hundred megabytes more. */
const flags = ['--disable-proto=delete', '--max-semi-space-size=4', '--no-maglev']

/** Starts the service without waiting until it is ready. */
export const spawnService = (dir: string, options: StartOptions = {}): ChildProcess => {
  const { wrapper: [wrapper, ...wrapped] = [] } = options
  const before = wrapper === undefined ? [] : [...wrapped, process.execPath]
  const file = join(dir, 'postern.yaml')
  return spawn(
    wrapper ?? process.execPath,
    [...before, ...flags, main, 'serve', '--config', file, ...(options.args ?? [])],
    {
      // Compiled code is kept between starts, or most of a run would be compiling.
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: join(tmpdir(), 'postern-soak-cache'),
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
}

const startProcess = async (
  dir: string,
  children: Set<ChildProcess>,
  options: StartOptions,
): Promise<Running> => {
  const child = spawnService(dir, options)
  children.add(child)
  child.once('exit', () => children.delete(child))
  let log = ''
  child.stderr?.on('data', (bytes: Buffer) => {
    log += bytes.toString()
  })
  const url = await new Promise<string>((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      said += bytes.toString()
      const found = /ready on (\S+)\n/.exec(said)
      if (found?.[1] !== undefined) resolve(found[1])
    })
    child.once('error', reject)
    child.once('close', (code, signal) =>
      reject(new Error(`the service ended with ${code ?? signal}: ${log.slice(-2000)}`)),
    )
  })
  return Object.freeze({
    url,
    pid: options.wrapper === undefined ? (child.pid as number) : findChild(child.pid as number),
    child,
    log: () => log,
    kill: async () => void (await end(child, 'SIGKILL')),
    stop: () => end(child, 'SIGTERM'),
  })
}

/** The child of a process. Its own list of them may leave some out while they run (proc(5)). */
const findChild = (parent: number): number => {
  const found = readdirSync('/proc').find(
    (name) => /^\d+$/.test(name) && readParent(name) === parent,
  )
  // To signal 0 would be to signal ourselves.
  if (found === undefined) throw new Error(`process ${parent} has no child`)
  return Number(found)
}

/** Field 4 of proc(5)'s stat, behind a name that may hold anything. */
const readParent = (pid: string): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}

export const end = (child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> => {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.kill(signal)
  return ended
}
