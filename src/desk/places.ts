import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { AppError } from '../errors.ts'

/** Where the desk keeps what it knows: one directory of the user's own, 0700. */
export interface Places {
  readonly dir: string
  /** The login, with its token: 0600, and absent where it is kept in memory alone. */
  readonly session: string
  /** Speaks the ssh-agent protocol: lists and signs. */
  readonly agentSocket: string
  /** Takes our own commands' requests. Apart, so that a forwarded agent could never reach it. */
  readonly controlSocket: string
  /** The certificates in force, which are public, for ssh's `IdentityFile`. */
  readonly certificates: string
  /** The host keys the service knows. */
  readonly knownHosts: string
  /** What `Include` in ~/.ssh/config names. */
  readonly sshConfig: string
}

export type Env = Readonly<Record<string, string | undefined>>

/** As much as a socket's address may have (unix(7): 108 bytes with the NUL; macOS 104). */
const maxSocketPath = 103

/** `$XDG_STATE_HOME/postern`, or `~/.local/state/postern`. Code: `unsafe_place`. */
export const findPlaces = (env: Env): Places => {
  const state = env['XDG_STATE_HOME']
  const home = env['HOME']
  const base =
    state !== undefined && isAbsolute(state)
      ? state
      : home !== undefined && isAbsolute(home)
        ? join(home, '.local/state')
        : undefined
  if (base === undefined) {
    throw unsafe('There is no home directory to keep a login in.', 'set HOME, or XDG_STATE_HOME')
  }
  const dir = join(base, 'postern')
  const places = {
    dir,
    session: join(dir, 'session.json'),
    agentSocket: join(dir, 'agent.sock'),
    controlSocket: join(dir, 'control.sock'),
    certificates: join(dir, 'certificates'),
    knownHosts: join(dir, 'known_hosts'),
    sshConfig: join(dir, 'ssh_config'),
  }
  if (Buffer.byteLength(places.controlSocket) > maxSocketPath) {
    throw unsafe(
      'The path of the state directory is too long for a socket in it.',
      'set XDG_STATE_HOME to a shorter one',
    )
  }
  return Object.freeze(places)
}

/** Makes the directory where it is missing; refuses one that others may enter. Code: `unsafe_place`. */
export const openDirectory = (path: string): void => {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  checkPrivate(path, 'directory')
}

const kinds = {
  directory: { is: (stat: Stat) => stat.isDirectory(), mode: '700' },
  socket: { is: (stat: Stat) => stat.isSocket(), mode: '600' },
  file: { is: (stat: Stat) => stat.isFile(), mode: '600' },
} as const
type Stat = NonNullable<ReturnType<typeof lstatSync>>

/**
 * Refuses a path of another kind (a link, too), of another user, or that anybody else may use. One that
 * is not there passes: whoever opens it finds out. Code: `unsafe_place`.
 */
export const checkPrivate = (path: string, kind: keyof typeof kinds): void => {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  const { is, mode } = kinds[kind]
  if (!is(stat)) throw unsafe(`${path} is no ${kind} of ours.`, `look at it: ls -ld ${path}`)
  if (stat.uid !== process.getuid?.()) {
    throw unsafe(`The ${kind} ${path} belongs to somebody else.`, `look at it: ls -ld ${path}`)
  }
  if ((stat.mode & 0o077) !== 0) {
    throw unsafe(`Others than you can use the ${kind} ${path}.`, `chmod ${mode} ${path}`)
  }
}

/** Replaces a file as a whole: whoever reads it meanwhile has the old or the new one. */
export const replaceFile = (
  path: string,
  text: string,
  mode = 0o600,
  encoding: BufferEncoding = 'utf8',
): void => {
  const next = `${path}.${process.pid}`
  try {
    writeFileSync(next, text, { mode, encoding, flag: 'wx' })
    // The umask may have taken bits away.
    chmodSync(next, mode)
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
}

const unsafe = (message: string, hint: string): AppError =>
  new AppError('unsafe_place', message, { hint })
