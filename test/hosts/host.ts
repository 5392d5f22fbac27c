import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readEnrolScript, type TrustService } from '../fakes/trust.ts'
import { type LoginAttempt, logIn, ownLogin } from '../ssh/client.ts'
import { quotePath, runSshd, type Sshd } from '../ssh/sshd.ts'
import { execute, type Outcome } from '../tools.ts'

/** A host under a root directory of its own, with a running sshd that takes one admin's plain key. */
export interface Host {
  readonly name: string
  readonly root: string
  readonly sshd: Sshd
  /** A path under the host's `/etc/ssh/postern`. */
  path(name: string): string
  read(name: string): string
  /** What was said to its syslog. */
  readSyslog(): string
  /** The enrolment script, as the service hands it out. */
  enrol(options?: RunOptions & { readonly token?: string }): Promise<Outcome>
  /** The script that stays, once enrolled. */
  run(command: readonly string[], options?: RunOptions): Promise<Outcome>
  /** Whether the admin's plain key still opens it. */
  isOpenToAdmin(): Promise<boolean>
  /** Whether this key with this certificate opens it. */
  isOpenTo(attempt: Pick<LoginAttempt, 'key' | 'certificate'>): Promise<boolean>
  /** The environment its scripts run in. */
  readonly env: Readonly<Record<string, string>>
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The interpreter and its arguments; `sh` unless given. */
  readonly shell?: readonly string[]
}

const programs = {
  logger: 'echo "$@" >>"$POSTERN_ROOT/syslog"',
  systemctl: 'echo "systemctl $*" >>"$POSTERN_ROOT/systemctl"',
} as const

export const startHost = async (given: {
  readonly name: string
  readonly dir: string
  readonly service: Pick<TrustService, 'url' | 'token'>
  /** First lines of its sshd_config; the include of drop-ins unless given. */
  readonly settings?: readonly string[]
  readonly hasSystemd?: boolean
}): Promise<Host> => {
  const { name, service } = given
  const root = join(given.dir, name)
  const etc = join(root, 'etc/ssh')
  for (const path of ['etc/ssh/sshd_config.d', 'etc/cron.d', 'bin']) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 })
  }
  if (given.hasSystemd === true) mkdirSync(join(root, 'run/systemd/system'), { recursive: true })
  for (const [program, line] of Object.entries(programs)) {
    const path = join(root, 'bin', program)
    writeFileSync(path, `#!/bin/sh\n${line}\n`)
    chmodSync(path, 0o755)
  }
  const adminKey = join(root, 'admin')
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', adminKey])
  const sshd = await runSshd({
    name,
    dir: etc,
    hostKeyFile: join(etc, 'ssh_host_ed25519_key'),
    settings: [
      ...(given.settings ?? [`Include ${etc}/sshd_config.d/*.conf`]),
      `AuthorizedKeysFile ${quotePath(`${adminKey}.pub`)}`,
    ],
  })
  const env = {
    PATH: `${root}/bin:${process.env['PATH'] ?? ''}`,
    POSTERN_ROOT: root,
    POSTERN_RELOAD: `kill -HUP ${sshd.pid}`,
    POSTERN_TIMEOUT: '1',
    // Set where the tests themselves run under systemd, and then nothing goes to syslog.
    JOURNAL_STREAM: '',
  }
  const path = (file: string) => join(etc, 'postern', file)
  const read = (file: string) => readFileSync(path(file), 'utf8')
  const isOpen = async (
    attempt: Pick<LoginAttempt, 'key' | 'certificate'>,
    tries = 10,
  ): Promise<boolean> => {
    const { code, stdout, stderr } = await logIn({ sshd, ...attempt })
    // For a moment after a reload nobody listens: sshd opens its port again.
    if (!stderr.includes('Connection refused') || tries === 1) {
      return code === 0 && stdout.trim() === ownLogin
    }
    await wait(100)
    return isOpen(attempt, tries - 1)
  }
  return Object.freeze({
    name,
    root,
    sshd,
    env,
    path,
    read,
    readSyslog: () =>
      existsSync(join(root, 'syslog')) ? readFileSync(join(root, 'syslog'), 'utf8') : '',
    enrol({ token = service.token, ...options }: RunOptions & { readonly token?: string } = {}) {
      const [program = 'sh', ...args] = options.shell ?? ['sh']
      return execute(program, [...args, '-s', '--', token, name], {
        env: { ...env, ...options.env },
        input: readEnrolScript(service.url),
      })
    },
    run(command: readonly string[], options: RunOptions = {}) {
      const [program = 'sh', ...args] = options.shell ?? ['sh']
      const script = join(root, 'usr/local/sbin/postern-host')
      return execute(program, [...args, script, ...command], { env: { ...env, ...options.env } })
    },
    isOpenToAdmin: () => isOpen({ key: adminKey }),
    isOpenTo: (attempt: Pick<LoginAttempt, 'key' | 'certificate'>) => isOpen(attempt),
  })
}
