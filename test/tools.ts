import { spawn } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** How a program ended. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, with the answer whatever its exit code. Rejects where it can't start. */
export const execute = (
  file: string,
  args: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: Readonly<Record<string, string | undefined>>
    readonly input?: string
    /** Nothing of this process's own environment. */
    readonly isClean?: boolean
  } = {},
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const { cwd, env, input, isClean = false } = options
    const child = spawn(file, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: isClean ? env : { ...process.env, ...env },
    })
    const written = { stdout: '', stderr: '' }
    child.stdout.on('data', (bytes: Buffer) => {
      written.stdout += bytes.toString()
    })
    child.stderr.on('data', (bytes: Buffer) => {
      written.stderr += bytes.toString()
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...written }))
    // Whoever ends before reading its input has said so by its exit code.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })

/** A normal user's PATH often lacks the directories sshd is in. */
const programDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The absolute path of a program, as sshd must be started by one. */
export const findProgram = (name: string): string | undefined =>
  [...(process.env['PATH'] ?? '').split(':'), ...programDirectories]
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .find(isExecutable)

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** OpenSSH's own software authenticator: a FIDO key without hardware. */
export const authenticator = '/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so'

/** The library that lets a process see another clock, under the directory of the machine's own architecture. */
export const findFaketime = (): string | undefined =>
  readdirSync('/usr/lib')
    .map((name) => join('/usr/lib', name, 'faketime/libfaketimeMT.so.1'))
    .find((path) => existsSync(path))

/** Debian's packages, and how each shows that it is there. */
const packages = {
  curl: () => findProgram('curl') !== undefined,
  'openssh-client': () =>
    findProgram('ssh') !== undefined && findProgram('ssh-keygen') !== undefined,
  'openssh-server': () => findProgram('sshd') !== undefined,
  'openssh-tests': () => existsSync(authenticator),
  git: () => findProgram('git') !== undefined,
  rsync: () => findProgram('rsync') !== undefined,
  strace: () => findProgram('strace') !== undefined,
  libfaketime: () => findFaketime() !== undefined,
} as const satisfies Record<string, () => boolean>

export type Package = keyof typeof packages

export const isMissing = (name: Package): boolean => !packages[name]()

/** What of a machine decides whether packages can be installed there, and by which command. */
export interface Machine {
  /** The text of os-release(5); empty where there is none. */
  readonly osRelease: string
  readonly isRoot: boolean
}

const readMachine = (): Machine => ({
  osRelease: existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '',
  isRoot: process.getuid?.() === 0,
})

/** The start of the command that installs a package, by the family os-release names. */
const installers = [
  { family: /^ID(?:_LIKE)?=.*\b(?:debian|ubuntu)\b/m, command: 'apt-get install -y' },
  { family: /^ID(?:_LIKE)?=.*\b(?:fedora|rhel)\b/m, command: 'dnf install -y' },
  { family: /^ID(?:_LIKE)?=.*\balpine\b/m, command: 'apk add' },
] as const

/** Whether we install by ourselves here: as root on Debian or Ubuntu, and nowhere else. */
export const isInstallable = ({ osRelease, isRoot }: Machine): boolean =>
  isRoot && installers[0].family.test(osRelease)

/** One sentence with the one command to run. */
export const explainMissing = (missing: readonly string[], machine: Machine): string => {
  const names = missing.join(' ')
  const found = installers.find(({ family }) => family.test(machine.osRelease))
  const what = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing`
  if (found === undefined) return `${what}: install what your system calls Debian's ${names}.`
  return `${what}: ${machine.isRoot ? '' : 'sudo '}${found.command} ${names}`
}

/**
 * Makes sure that packages are there. Where one is missing: as root on Debian or Ubuntu it says so
 * and installs it without starting a service; elsewhere it throws, with the command to run.
 */
export const ensurePackages = async (
  names: readonly Package[],
  tell: (line: string) => void,
): Promise<void> => {
  const missing = names.filter(isMissing)
  if (missing.length === 0) return
  const machine = readMachine()
  if (!isInstallable(machine)) throw new Error(explainMissing(missing, machine))
  await withoutServices(() => {
    tell(`${missing.join(', ')}: missing, and installed now; no service is started`)
    return install(missing)
  })
  const absent = missing.filter(isMissing)
  if (absent.length > 0) throw new Error(explainMissing(absent, machine))
}

const install = async (names: readonly string[]): Promise<void> => {
  const aptGet = (...args: readonly string[]) =>
    execute('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    })
  const attempt = () => aptGet('install', '--no-install-recommends', ...names)
  // A fresh image has no package lists, an old one lists versions that are gone.
  if ((await attempt()).code === 0) return
  await aptGet('update')
  const { code, stderr } = await attempt()
  if (code !== 0) throw new Error(`apt-get install ${names.join(' ')} failed: ${stderr.trim()}`)
}

/** What Debian's packages ask before they start a service; 101 is "it may not". */
const servicePolicy = '/usr/sbin/policy-rc.d'
const forbidden = 101

const withoutServices = async (work: () => Promise<void>): Promise<void> => {
  if (existsSync(servicePolicy)) {
    const { code } = await execute(servicePolicy, ['ssh', 'start'])
    if (code === forbidden) return work()
    throw new Error(
      `${servicePolicy} lets services start: install openssh-server yourself, then run this again`,
    )
  }
  // Ctrl-C ends apt-get; we outlive it to take the file away again.
  const outlive = () => {}
  process.on('SIGINT', outlive)
  process.on('SIGTERM', outlive)
  writeFileSync(servicePolicy, `#!/bin/sh\nexit ${forbidden}\n`, { mode: 0o755, flag: 'wx' })
  try {
    await work()
  } finally {
    rmSync(servicePolicy)
    process.off('SIGINT', outlive)
    process.off('SIGTERM', outlive)
  }
}
