import { parseCidr } from '../lib/address.ts'
import { isHostName } from '../lib/names.ts'

/** The restrictions we put into a certificate. sshd enforces them only as critical options. */
export type CriticalOption = 'force-command' | 'source-address'

/** OpenSSH's extensions: each allows something. Never `no-touch-required`, which takes a guard away. */
export type Extension =
  | 'permit-X11-forwarding'
  | 'permit-agent-forwarding'
  | 'permit-port-forwarding'
  | 'permit-pty'
  | 'permit-user-rc'

/**
 * A `force-command` among the extensions is ignored by sshd, and the login is unrestricted. This
 * type is `never` unless the two lists of names share none; the tables below would then not compile.
 */
type Distinct<T> = CriticalOption & Extension extends never ? T : never

const controls = /[\p{Cc}\u2028\u2029]/u

const isCommand = (value: string): boolean =>
  value !== '' && value.isWellFormed() && !controls.test(value)

/** Comma-joined blocks as sshd reads them: anything malformed locks the user out (addrmatch.c). */
const isSourceAddress = (value: string): boolean =>
  value.split(',').every((part) => parseCidr(part)?.text === part)

/** Every critical option, and what a sound value of it is. */
export const criticalOptions = {
  'force-command': isCommand,
  'source-address': isSourceAddress,
} as const satisfies Distinct<Record<CriticalOption, (value: string) => boolean>>

/** Every extension, and whether it forwards: that would lead around a `force-command` (`ssh -N -L`). */
export const extensions = {
  'permit-X11-forwarding': { forwards: true },
  'permit-agent-forwarding': { forwards: true },
  'permit-port-forwarding': { forwards: true },
  'permit-pty': { forwards: false },
  'permit-user-rc': { forwards: false },
} as const satisfies Distinct<Record<Extension, { readonly forwards: boolean }>>

export const isCriticalOption = (name: string): name is CriticalOption =>
  Object.hasOwn(criticalOptions, name)

export const isExtension = (name: string): name is Extension => Object.hasOwn(extensions, name)

/**
 * Whether an extension is a vendor's (PROTOCOL.certkeys: `name@domain`), as GitHub's `login@github.com`.
 * sshd ignores those, so one can neither restrict nor allow anything there. Not OpenSSH's own domain,
 * under which later versions may define what takes a guard away.
 */
export const isVendorExtension = (name: string): boolean => {
  const domain = /^[a-z0-9][a-z0-9._-]{0,63}@([a-z0-9.-]{1,100})$/.exec(name)?.[1]
  return domain !== undefined && isHostName(domain) && !/(?:^|\.)openssh\.com$/.test(domain)
}

/** The value of a vendor's extension: never empty, and nothing that could forge a line of a log. */
export const isVendorValue = (value: string): boolean => /^[\x20-\x7e]{1,512}$/.test(value)
