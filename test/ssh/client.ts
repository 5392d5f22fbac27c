import { userInfo } from 'node:os'
import { execute, type Outcome } from '../tools.ts'
import { quotePath, type Sshd } from './sshd.ts'

/** The login of whoever runs the tests: the only one an sshd of theirs can open. */
export const ownLogin = userInfo().username

/** A login by one key and one certificate; no other key, agent, configuration or known host counts. */
export interface LoginAttempt {
  readonly sshd: Sshd
  readonly key: string
  /** A `-cert.pub` file; without one the bare key is offered. */
  readonly certificate?: string
  readonly login?: string
  readonly command?: string
  /** More of ssh's own arguments. */
  readonly args?: readonly string[]
  readonly input?: string
}

/** The arguments that ssh and sftp share. */
const listArgs = ({ sshd, key, certificate, args = [] }: LoginAttempt): readonly string[] =>
  [
    ['-F', 'none'],
    ['-i', key],
    ...[
      'BatchMode=yes',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'PreferredAuthentications=publickey',
      'ConnectTimeout=20',
      `Port=${sshd.port}`,
      `HostKeyAlias=${sshd.name}`,
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${quotePath(sshd.knownHosts)}`,
      'GlobalKnownHostsFile=none',
      ...(certificate === undefined ? [] : [`CertificateFile=${quotePath(certificate)}`]),
    ].map((option) => ['-o', option]),
    args,
  ].flat()

/** Runs a command (`id -un` unless given) over ssh. */
export const logIn = (attempt: LoginAttempt): Promise<Outcome> => {
  const { login = ownLogin, command = 'id -un', input } = attempt
  return execute(
    'ssh',
    [...listArgs(attempt), '-l', login, '--', '127.0.0.1', command],
    input === undefined ? {} : { input },
  )
}

/** Runs sftp commands, one a line. */
export const transfer = (attempt: LoginAttempt & { readonly input: string }): Promise<Outcome> => {
  const { login = ownLogin, input } = attempt
  return execute('sftp', [...listArgs(attempt), '-b', '-', '--', `${login}@127.0.0.1`], { input })
}
