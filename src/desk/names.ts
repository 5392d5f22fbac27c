import { AppError } from '../errors.ts'
import { isHostName, isLogin } from '../lib/names.ts'

/** What ssh is told to connect to, once it is known to be a login and a host, and nothing else. */
export interface Target {
  readonly login: string
  readonly host: string
}

/**
 * A host name in the form the service takes: lower case, without a trailing dot. Whatever is no host
 * name after that (an option, a newline, a NUL, letters that look like others) is refused, never
 * mended. Code: `invalid_host`.
 */
export const readHost = (text: string): string => {
  const host = (/^[\x21-\x7e]*$/.test(text) ? text.toLowerCase() : text).replace(/\.$/, '')
  if (isHostName(host)) return host
  throw new AppError(
    'invalid_host',
    'The host is not a host name: write it with letters, digits, hyphens and dots, and not as an IP address.',
    { hint: 'postern ssh LOGIN@HOST' },
  )
}

/** Code: `invalid_login`. */
export const readLogin = (text: string): string => {
  if (isLogin(text)) return text
  throw new AppError(
    'invalid_login',
    'The login is not valid: write a lower-case letter or "_", then at most 31 of a-z, 0-9, "_", "." and "-".',
    { hint: 'postern ssh LOGIN@HOST' },
  )
}

/** Whether a text may be part of a file's name just as it is, as ssh's `%n`. */
export const isPlainName = (text: string): boolean =>
  text.length <= 253 && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text)
