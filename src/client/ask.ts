import { isIP } from 'node:net'
import { AppError } from '../errors.ts'
import { parseDuration } from '../lib/duration.ts'
import { isHostName, isLogin } from '../lib/names.ts'

/** What is asked for: the members of `POST /v1/certificates` that say it. */
export interface Ask {
  readonly host: string
  readonly login: string
  /** Like `90s`, `5m` or `1h`; the rule's own where it is left out. */
  readonly ttl?: string | undefined
  /** The name of one of the rule's commands, where it has some. */
  readonly command?: string | undefined
  readonly reason?: string | undefined
}

/** Checked as the service does, before anything is sent. Codes: `invalid_host`, `invalid_login`, `invalid_ttl`, `invalid_request`. */
export const checkAsk = ({ host, login, ttl, command, reason }: Ask): void => {
  if (typeof host !== 'string' || !isHostName(host)) {
    throw new AppError(
      'invalid_host',
      'The host is not a host name: write it in lower case, with letters, digits, hyphens and dots, without a trailing dot, and not as an IP address.',
      { hint: 'where it is reached by another name or by an IP address, pass that as `address`' },
    )
  }
  if (typeof login !== 'string' || !isLogin(login)) {
    throw new AppError(
      'invalid_login',
      'The login is not valid: write a lower-case letter or "_", then at most 31 of a-z, 0-9, "_", "." and "-".',
    )
  }
  if (ttl !== undefined && (typeof ttl !== 'string' || parseDuration(ttl) === undefined)) {
    throw new AppError(
      'invalid_ttl',
      'The ttl is not a duration: write a whole number from 1 and one of s, m, h, d, like "15m".',
    )
  }
  if (command !== undefined && !isCommandName(command)) {
    throw invalid(
      'The command is not a name: write the name of one of the commands of the rule here, and what to run into exec().',
    )
  }
  if (reason !== undefined && !isReason(reason)) {
    throw invalid(
      'The reason is not valid: write at most 512 characters, none of them a control character.',
    )
  }
}

const isCommandName = (text: unknown): boolean =>
  typeof text === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(text)

const isReason = (text: unknown): boolean =>
  typeof text === 'string' && text.length <= 512 && text.isWellFormed() && !/\p{Cc}/u.test(text)

/** Where a host is reached: a name or an IP address, and a port. */
export interface Place {
  readonly address?: string | undefined
  readonly port?: number | undefined
}

/** Codes: `invalid_request`. */
export const checkPlace = ({ address, port }: Place): void => {
  if (address !== undefined && !isAddress(address)) {
    throw invalid('The address is not valid: write a host name in lower case or an IP address.')
  }
  if (port !== undefined && !isPort(port)) {
    throw invalid('The port is not valid: write a whole number from 1 to 65535.')
  }
}

export const isAddress = (text: unknown): text is string =>
  typeof text === 'string' && (isHostName(text) || isIP(text) !== 0)

export const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535

const invalid = (message: string): AppError => new AppError('invalid_request', message)
