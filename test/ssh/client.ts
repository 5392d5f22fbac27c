import { userInfo } from 'node:os'
import { expect } from 'vitest'
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

/** Why an sshd refuses a certificate, in its own words. */
export const refusals = {
  principal: /Certificate does not contain an authorized principal/,
  /** An sshd that isn't root's refuses any other login earlier, for it can't look it up. */
  login: /Certificate does not contain an authorized principal|User \S+ not allowed/,
  expired: /Certificate invalid: expired/,
  early: /Certificate invalid: not yet valid/,
  address: /not from a permitted source address/,
} as const

/** A login that must be refused, by this host for this reason. */
export const expectRefused = async (
  sshd: Sshd,
  logIn: () => Promise<Outcome>,
  reason: RegExp,
): Promise<void> => {
  const before = sshd.readLog().length
  const { code, stdout, stderr } = await logIn()
  expect({ code, stdout }).toEqual({ code: 255, stdout: '' })
  expect(stderr).toContain('Permission denied (publickey)')
  await sshd.waitForLog(reason, before)
}
