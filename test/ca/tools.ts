import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AuthorityKeyType } from '../../src/ssh/algorithms.ts'

/** A 0700 directory of its own, gone when the test file is done with it. */
export const createDirectory = () => {
  const path = mkdtempSync(join(tmpdir(), 'postern-ca-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/**
 * Runs one of OpenSSH's programs. A missing one is a failure that names Debian's package, never a
 * test left out.
 */
export const runTool = (
  name: 'ssh-keygen' | 'ssh-add',
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): string => {
  const { env, input } = options
  const result = spawnSync(name, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    ...(input === undefined ? {} : { input }),
  })
  if (result.error !== undefined) {
    throw new Error(`${name} does not run: apt-get install openssh-client`, { cause: result.error })
  }
  if (result.status !== 0) throw new Error(`${name} ${args.join(' ')}: ${result.stderr}`)
  return result.stdout
}

const keygenArgs = {
  'ssh-ed25519': ['-t', 'ed25519'],
  'ecdsa-sha2-nistp256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-sha2-nistp384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-sha2-nistp521': ['-t', 'ecdsa', '-b', '521'],
  'ssh-rsa': ['-t', 'rsa', '-b', '3072'],
} as const satisfies Record<AuthorityKeyType, readonly string[]>

/** A private key file in OpenSSH's format, and `PATH.pub` beside it, whose line is returned. */
export const createKeyFile = (type: AuthorityKeyType, path: string, passphrase = ''): string => {
  // One round of its key derivation, for a test's passphrase guards nothing.
  const rest = ['-a', '1', '-N', passphrase, '-C', '', '-f', path]
  runTool('ssh-keygen', ['-q', ...keygenArgs[type], ...rest])
  return readFileSync(`${path}.pub`, 'utf8')
}

/** The file is there from bind(2) on, and connections are refused until listen(2). */
const takesConnections = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })

/** A real ssh-agent on a socket of its own; `add` hands it a private key file. */
export const startAgent = async (socket: string) => {
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
  const failed = once(child, 'error').then(([error]) => {
    throw new Error('ssh-agent does not run: apt-get install openssh-client', { cause: error })
  })
  const listening = (async () => {
    for (let tries = 0; tries < 500; tries++) {
      if (await takesConnections(socket)) return
      await wait(10)
    }
    throw new Error('ssh-agent made no socket within 5 s')
  })()
  await Promise.race([failed, listening])
  failed.catch(() => {})
  return {
    add: (file: string) => runTool('ssh-add', ['-q', file], { env: { SSH_AUTH_SOCK: socket } }),
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill()
      await ended
      rmSync(socket, { force: true })
    },
  }
}
