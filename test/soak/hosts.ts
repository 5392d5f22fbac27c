import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTrustService, type TrustService } from '../fakes/trust.ts'
import { faults } from '../fakes/trust-faults.ts'
import { type Host, startHost } from '../hosts/host.ts'
import { ownLogin } from '../ssh/client.ts'
import { execute, findProgram } from '../tools.ts'
import { mayMount } from './disk.ts'
import { always, type GoesOn } from './pace.ts'
import { createDice, type Dice, type Report, wait } from './report.ts'

/**
 * The script that keeps a host in step is killed, starved of its disk and lied to, a thousand times,
 * while the real sshd beside it reads what it writes. Each time one more certificate is revoked, one
 * more made. In between sshd must have a whole KRL, never an older one, and take the admin's plain
 * key; after the next run without a fault the new certificate logs in and the revoked one does not.
 */
export const runHosts = async (options: {
  readonly trials: number
  readonly lanes?: number
  readonly seed?: number
  readonly goesOn?: GoesOn
}): Promise<Report> => {
  const { trials, lanes = 2, seed = 1, goesOn = always } = options
  let left = trials
  const next = () => left > 0 && goesOn(trials - left, trials) && left-- > 0
  const counts: Record<string, number> = {}
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1
  }
  const violations = await Promise.all(
    Array.from({ length: lanes }, (_, lane) => runLane(createDice(seed + lane), next, count)),
  )
  const figures = Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    name: 'hosts',
    figures: {
      trials: trials - left,
      ...Object.fromEntries(figures),
      'real full file system': mayMount() ? 'yes' : 'no: mounting needs CAP_SYS_ADMIN',
      seed,
    },
    violations: violations.flat(),
  }
}

/** One trial's part: breaks something about one run of the script, which it waits for. */
type Break = (world: World) => Promise<string>

interface World {
  readonly dice: Dice
  readonly host: Host
  readonly service: TrustService
  readonly shims: string
}

/** As many serials as make a KRL of several pages, so that it can be half on a disk. */
const ballastSerials = Array.from({ length: 1500 }, (_, at) => BigInt(1_000_000 + at * 7))

const runLane = async (
  dice: Dice,
  next: () => boolean,
  count: (what: string) => void,
): Promise<readonly string[]> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-hosts-'))
  const service = await startTrustService({ dir })
  service.tell({ logins: [ownLogin], revoked: ballastSerials })
  const host = await startHost({ name: 'web-1.example.com', dir, service })
  mkdirSync(host.path('.'))
  const isMounted = mayMount()
  if (isMounted) {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0755', 'tmpfs', host.path('.')])
  }
  const violations: string[] = []
  try {
    const { code, stderr } = await host.enrol()
    if (code !== 0) throw new Error(stderr)
    const world = { dice, host, service, shims: createShims(host.root) }
    const key = join(dir, 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
    const krls = new Map([[hashOf(service.krl()), service.told().version]])
    let previous: string | undefined
    for (let serial = 1; next(); serial++) {
      const fresh = await service.certify(key, `${serial}`, serial, `${ownLogin}@${host.name}`)
      const { revoked } = service.told()
      service.tell({
        revoked: [...revoked, BigInt(serial - 1)].filter((number) => number > 0n),
        logins: dice.isLikely(0.5) ? [ownLogin] : [ownLogin, 'deploy'],
      })
      krls.set(hashOf(service.krl()), service.told().version)
      const name = dice.pick(Object.keys(breaks))
      const watch = watchKrl(host, krls)
      const what = await (breaks[name] as Break)(world)
      count(name)
      const about = (fault: string) => violations.push(`trial ${serial}, ${what}: ${fault}`)
      for (const fault of await watch.stop()) about(fault)
      if (!(await host.isOpenToAdmin())) about('the plain key of the admin is refused')
      if (Number(host.read('version')) === service.told().version) count('new version all the same')

      // A second's patience is for answers that never come; this one may be slow on a busy machine.
      const clean = await host.run(['apply'], { env: { POSTERN_TIMEOUT: '30' } })
      if (clean.code !== 0) about(`the next run ends with ${clean.code}: ${clean.stderr}`)
      if (Number(host.read('version')) !== service.told().version)
        about('the new version is missing')
      if (!(await host.isOpenTo({ key, certificate: fresh })))
        about('the new certificate is refused')
      if (previous !== undefined && (await host.isOpenTo({ key, certificate: previous }))) {
        about('the revoked certificate logs in')
      }
      count('logins by certificate')
      previous = fresh
    }
  } finally {
    await host.sshd.stop()
    await service.close()
    if (isMounted) await run('umount', ['--lazy', host.path('.')])
    rmSync(dir, { recursive: true })
  }
  return violations
}

const run = async (program: string, args: readonly string[]): Promise<void> => {
  const { code, stderr } = await execute(program, args)
  if (code !== 0) throw new Error(`${program}: ${stderr}`)
}

const hashOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Reads the KRL again and again, as sshd may at any moment: each must be whole, and none older. */
const watchKrl = (host: Host, krls: ReadonlyMap<string, number>) => {
  const found = new Set<string>()
  let newest = 0
  let isOver = false
  const look = () => {
    let bytes: Uint8Array
    try {
      bytes = readFileSync(host.path('revoked.krl'))
    } catch {
      found.add('there is no KRL')
      return
    }
    const version = krls.get(hashOf(bytes))
    if (version === undefined) found.add(`a KRL of ${bytes.length} bytes is none of the service's`)
    else if (version < newest) found.add(`KRL ${version} comes after ${newest}`)
    else newest = version
  }
  const ended = (async () => {
    while (!isOver) {
      look()
      await wait(2)
    }
    look()
  })()
  return {
    async stop(): Promise<readonly string[]> {
      isOver = true
      await ended
      return [...found]
    },
  }
}

/** Runs the script in a group of its own, so that all of it can be killed at once; resolves at its end. */
const startApply = (host: Host, env: Readonly<Record<string, string>> = {}) => {
  const child = spawn('sh', [join(host.root, 'usr/local/sbin/postern-host'), 'apply'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ...host.env, ...env },
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
  return { ended, kill }
}

const tools =
  'rm mkdir cat sed head tr grep ssh-keygen awk base64 wc od cmp chmod sync mv dirname date curl find tail'.split(
    ' ',
  )

/** A directory of programs of the same names, one call of which is the fault. */
const createShims = (root: string): string => {
  const path = join(root, 'shims')
  mkdirSync(path)
  for (const tool of tools) {
    const real = findProgram(tool)
    if (real === undefined) throw new Error(`${tool} is missing`)
    writeFileSync(
      join(path, tool),
      `#!/bin/sh
read -r count <"$FAULT_COUNT"
count=$((count + 1))
echo $count >"$FAULT_COUNT"
if [ $count -eq "$FAULT_AT" ]; then
  case $FAULT in
    before) kill -9 0 ;;
    after) ${real} "$@"; kill -9 0 ;;
    fails) exit 1 ;;
  esac
fi
exec ${real} "$@"
`,
    )
    chmodSync(join(path, tool), 0o755)
  }
  return path
}

/** About as many programs as one run with a new bundle starts. */
const steps = 75

const breakStep =
  (faultName: string): Break =>
  async ({ dice, host, shims }) => {
    const countFile = join(shims, '.count')
    const at = 1 + dice.below(steps)
    writeFileSync(countFile, '0\n')
    const { ended } = startApply(host, {
      PATH: `${shims}:${host.env['PATH']}`,
      FAULT: faultName,
      FAULT_AT: `${at}`,
      FAULT_COUNT: countFile,
    })
    await ended
    return `${faultName} at its ${at}th program`
  }

const breaks: Readonly<Record<string, Break>> = {
  'killed at a random instant': async ({ dice, host }) => {
    const millis = dice.below(250)
    const { ended, kill } = startApply(host)
    await Promise.race([ended, wait(millis)])
    kill()
    await ended
    return `killed after ${millis} ms`
  },
  'killed before a step': breakStep('before'),
  'killed after a step': breakStep('after'),
  'a step fails': breakStep('fails'),
  'no room on the disk': async (world) => {
    if (!mayMount()) return breakStep('fails')(world)
    const { dice, host } = world
    const ballast = host.path('ballast')
    const free = dice.below(24) * 4096
    fill(ballast)
    const size = readFileSync(ballast).length
    writeFileSync(ballast, new Uint8Array(Math.max(0, size - free)))
    await startApply(host).ended
    rmSync(ballast)
    return `${free} bytes free`
  },
  'a wrong answer': async ({ dice, host, service }) => {
    const name = dice.pick(Object.keys(faults))
    service.misbehave(name)
    await startApply(host).ended
    service.misbehave()
    return name
  },
}

/** Takes all the room there is. */
const fill = (path: string): void => {
  for (let size = 256 * 1024; size > 0; size -= 4096) {
    try {
      writeFileSync(path, new Uint8Array(size))
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      if (existsSync(path)) rmSync(path)
    }
  }
}
