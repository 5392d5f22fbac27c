import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { execute, findProgram } from '../tools.ts'

/** A throwaway sshd on loopback that takes certificates of its CAs, and nothing else. */
export interface Sshd {
  readonly name: string
  readonly port: number
  /** `ssh-ed25519 AAAA…`, or of the type asked for. */
  readonly hostKey: string
  /** A known_hosts file with this host by its name. */
  readonly knownHosts: string
  /** Of its listener, which takes SIGHUP. */
  readonly pid: number
  readLog(): string
  /**
   * The first match in its log, from a place in it if given. Waited for up to 5 s: sshd writes after
   * the client has its answer.
   */
  waitForLog(pattern: RegExp, from?: number): Promise<RegExpExecArray>
  /** Ends whatever sessions it has, as a cut connection would. */
  cut(): void
  /** Ends it, and whatever sessions it has. */
  stop(): Promise<void>
}

/**
 * Starts an sshd over a new directory, as a host would be set up: the CA's public key, and a
 * principals file for each login. As root any login can be had, else only the user's own.
 */
export const startSshd = async (given: {
  readonly name: string
  readonly dir: string
  readonly caKeys: readonly string[]
  /** The lines of each login's principals file. */
  readonly logins: Readonly<Record<string, readonly string[]>>
  /** Variables its sessions have. */
  readonly variables?: Readonly<Record<string, string>>
  /** What ssh-keygen is told of the host key; ed25519 unless given. */
  readonly hostKeyType?: readonly string[]
  /** More lines of sshd_config, before ours: sshd takes the first of each. */
  readonly settings?: readonly string[]
}): Promise<Sshd> => {
  const { name, dir, variables, hostKeyType, settings = [] } = given
  const principals = join(dir, 'principals')
  // Read as the user who logs in (sshd_config(5)), so they are everybody's to read.
  for (const path of [dir, principals]) mkdirSync(path, { recursive: true, mode: 0o755 })
  write(join(dir, 'user_ca.pub'), given.caKeys)
  for (const [login, lines] of Object.entries(given.logins)) write(join(principals, login), lines)
  return runSshd({
    name,
    dir,
    hostKeyFile: join(dir, 'host_key'),
    settings: [
      ...settings,
      'AuthorizedKeysFile none',
      `TrustedUserCAKeys ${quotePath(join(dir, 'user_ca.pub'))}`,
      `AuthorizedPrincipalsFile "${join(dir, 'principals').replaceAll('%', '%%')}/%u"`,
    ],
    ...(variables === undefined ? {} : { variables }),
    ...(hostKeyType === undefined ? {} : { hostKeyType }),
  })
}

const write = (path: string, lines: readonly string[]): string => {
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  chmodSync(path, 0o644)
  return path
}

/**
 * Starts an sshd over a directory that is there, with a new host key and `sshd_config` in it, whose
 * first lines are `settings`.
 */
export const runSshd = async (given: {
  readonly name: string
  readonly dir: string
  readonly hostKeyFile: string
  readonly settings: readonly string[]
  readonly variables?: Readonly<Record<string, string>>
  readonly hostKeyType?: readonly string[]
}): Promise<Sshd> => {
  const { name, dir, hostKeyFile } = given
  const program = findProgram('sshd')
  if (program === undefined) throw new Error('sshd is missing: apt-get install openssh-server')
  const { hostKeyType = ['-t', 'ed25519'] } = given
  await execute('ssh-keygen', ['-q', ...hostKeyType, '-N', '', '-C', '', '-f', hostKeyFile])
  const hostKey = readFileSync(`${hostKeyFile}.pub`, 'utf8').trim()
  const knownHosts = write(join(dir, 'known_hosts'), [`${name} ${hostKey}`])
  if (isRoot) createPrivilegeDirectory()

  const log = join(dir, 'log')
  const config = join(dir, 'sshd_config')
  const settings = [...given.settings, ...(await listSettings(program, given))]
  const start = async (tries: number): Promise<Pick<Sshd, 'port' | 'pid' | 'cut' | 'stop'>> => {
    const port = await findPort()
    write(config, [`ListenAddress 127.0.0.1:${port}`, ...settings])
    write(log, [])
    // A group of its own, so that Ctrl-C at a terminal leaves its end to whoever started it.
    const child = spawn(program, ['-D', '-E', log, '-f', config], {
      stdio: 'ignore',
      detached: true,
    })
    const ended = once(child, 'exit')
    const isReady = await waitFor(() => {
      if (child.exitCode !== null) return false
      return readFileSync(log, 'utf8').includes(`Server listening on 127.0.0.1 port ${port}`)
        ? true
        : undefined
    })
    if (isReady === true) {
      const cut = () => {
        for (const pid of listChildren(child.pid as number)) end(pid)
      }
      const stop = async () => {
        const sessions = listChildren(child.pid as number)
        child.kill()
        for (const pid of sessions) end(pid)
        await ended
      }
      return { port, pid: child.pid as number, cut, stop }
    }
    child.kill()
    const said = readFileSync(log, 'utf8')
    if (tries > 1 && said.includes('Address already in use')) return start(tries - 1)
    throw new Error(`sshd did not start: ${said}`)
  }
  const { port, pid, cut, stop } = await start(5)
  const readLog = () => readFileSync(log, 'utf8')
  return Object.freeze({
    name,
    port,
    hostKey,
    knownHosts,
    pid,
    readLog,
    cut,
    stop,
    async waitForLog(pattern: RegExp, from = 0) {
      const found = await waitFor(() => pattern.exec(readLog().slice(from)) ?? undefined)
      if (found === undefined) throw new Error(`${name} logged no ${pattern}: ${readLog()}`)
      return found
    },
  })
}

const isRoot = process.getuid?.() === 0

const listSettings = async (
  program: string,
  {
    dir,
    hostKeyFile,
    variables = {},
  }: { dir: string; hostKeyFile: string; variables?: Readonly<Record<string, string>> },
): Promise<readonly string[]> => {
  // With it a shell takes itself for a nested one and reads no .bashrc, whatever that may start.
  const environment = Object.entries({ SHLVL: '1', ...variables })
  return [
    `HostKey ${quotePath(hostKeyFile)}`,
    'PidFile none',
    'LogLevel VERBOSE',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'LoginGraceTime 20',
    `StrictModes ${isStrict(dir) ? 'yes' : 'no'}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    // Without PAM sshd refuses a locked account; PAM knows that only its password is.
    `UsePAM ${isLocked() ? 'yes' : 'no'}`,
    `SetEnv ${environment.map(([name, value]) => `${name}=${value}`).join(' ')}`,
    'Subsystem sftp internal-sftp',
    // From 9.8 a few refusals shut loopback out for a while, and refusals are what is shown here.
    ...((await readVersion(program)) >= 9.8 ? ['PerSourcePenalties no'] : []),
  ]
}

/** A path for sshd_config and ssh_config, where a blank ends a word. */
export const quotePath = (path: string): string => `"${path}"`

/** `9.2` of `OpenSSH_9.2p1`; an sshd without `-V` prints it with its usage. */
const readVersion = async (program: string): Promise<number> => {
  const { stdout, stderr } = await execute(program, ['-V'])
  const [, major, minor] = /OpenSSH_(\d+)\.(\d+)/.exec(stdout + stderr) ?? []
  return Number(`${major ?? 0}.${minor ?? 0}`)
}

/** Whether sshd's StrictModes would take files here: nobody else may write on the way to them. */
const isStrict = (dir: string): boolean => {
  const path = realpathSync(dir)
  const { uid, mode } = statSync(path)
  if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0) return false
  return path === '/' || isStrict(dirname(path))
}

/** Whether root's password is locked (shadow(5)), as on a machine where people use sudo. */
const isLocked = (): boolean => {
  if (!isRoot || !existsSync('/etc/shadow')) return false
  const line = new RegExp(`^${userInfo().username}:!`, 'm')
  return line.test(readFileSync('/etc/shadow', 'utf8'))
}

/** Debian's sshd keeps its unprivileged half in here; its service, which isn't started, makes it. */
const createPrivilegeDirectory = (): void => {
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
}

/** A port that was free a moment ago. */
export const findPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Asks every 20 ms for up to 5 s, until there is an answer. */
const waitFor = async <T>(find: () => T | undefined): Promise<T | undefined> => {
  for (let tries = 0; tries < 250; tries++) {
    const found = find()
    if (found !== undefined) return found
    await wait(20)
  }
  return undefined
}

/** Each connection is a child in a session of its own, which a signal to the group would miss. */
const listChildren = (parent: number): readonly number[] => {
  if (!existsSync('/proc/self/stat')) return []
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && findParent(name) === parent)
    .map(Number)
}

const findParent = (pid: string): number | undefined => {
  try {
    // proc(5): the name may hold anything, so fields are counted after its last parenthesis.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return undefined
  }
}

const end = (pid: number): void => {
  try {
    process.kill(pid)
  } catch {
    // It has ended by itself.
  }
}
