import { isIP } from 'node:net'
import { z } from 'zod'
import { parseAddress, parseCidr } from '../lib/address.ts'
import { parseDuration } from '../lib/duration.ts'
import { isHostName, isLogin, isRuleName } from '../lib/names.ts'
import { checkedText, chooseShape, strictShape } from '../lib/shape.ts'
import { findHostKeyFault } from '../ssh/host-keys.ts'
import { explainPattern } from './match.ts'

// The single values of a policy file: what each must look like, and what to write instead.

const is = (holds: (text: string) => boolean, message: string) =>
  checkedText((text) => (holds(text) ? undefined : message))

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The name of a rule, of a group of hosts, or of identities. */
export const ruleName = is(
  isRuleName,
  'must be a name of lower-case letters, digits and hyphens, at most 64',
)

/** Anything that would not print as itself: controls, formatting such as bidi marks, line separators. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

export const sentence = (most: number) =>
  checkedText((text) => {
    if (text.trim() === '') return 'is empty; write a sentence'
    if (text.length > most) return `is longer than ${most} characters`
    return unprintable.test(text) ? 'holds control characters; write one plain line' : undefined
  })

const durationWords = 'must be a whole number and a unit, as "5m", "90s", "1h" or "1d"'

/** A duration, read as seconds. */
export const duration = z
  .string({
    // The commonest slip: a number alone, which other tools would read as seconds.
    error: ({ input }) =>
      typeof input === 'number'
        ? `${durationWords}; is it "${input}s" or "${input}m"?`
        : durationWords,
  })
  .transform((text, context) => {
    const seconds = parseDuration(text)
    if (seconds !== undefined) return seconds
    context.addIssue({ code: 'custom', message: durationWords })
    return z.NEVER
  })

const explainHost = (text: string): string | undefined => {
  if (isIP(text) !== 0) return 'must be a name: a host is never known by its address'
  if (text !== text.toLowerCase()) return `must be in lower case: "${text.toLowerCase()}"`
  if (text.endsWith('.')) return 'must not end with a dot'
  return undefined
}

const hostPattern = checkedText((text) => explainHost(text) ?? explainPattern(text, 'host'))

export const hostName = checkedText(
  (text) =>
    explainHost(text) ??
    (isHostName(text) ? undefined : 'must be a host name of letters, digits, hyphens and dots'),
)

/** Where a host is reached: what a client connects to, beside the name it is known by. */
export const hostAddress = checkedText((text) =>
  isHostName(text) || (isIP(text) !== 0 && parseAddress(text) === text)
    ? undefined
    : 'must be an address in its plain form, as 10.2.0.17 or 2001:db8::17, or a host name',
)

/** A line of an `ssh_host_*_key.pub`, without its comment. */
export const hostKey = checkedText(findHostKeyFault)

const labelKey = '[a-z][a-z0-9-]{0,62}'
const labelValue = '[a-z0-9][a-z0-9._-]{0,62}'

const label = is(
  (text) => new RegExp(`^${labelKey}=${labelValue}$`).test(text),
  'must be KEY=VALUE of one label, in lower case, as env=ci',
)

/** The labels of a known host: `{ env: ci, tier: web }`. */
export const labels = z
  .record(
    z.string(),
    is((text) => new RegExp(`^${labelValue}$`).test(text), 'must be lower-case text, as ci'),
  )
  .superRefine((map, context) => {
    for (const name of Object.keys(map)) {
      if (new RegExp(`^${labelKey}$`).test(name)) continue
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'a label is named with lower-case letters, digits and hyphens, as env',
        params: { atKey: true },
      })
    }
  })

/** Hosts as a file names them: a pattern, the known hosts with a label, or a named group. */
export type HostShape = string | { readonly label: string } | { readonly hostGroup: string }

const labelled = strictShape({ label }, 'host entry')
const grouped = strictShape({ hostGroup: ruleName }, 'host entry')

const createHost = (isNamed: boolean) =>
  chooseShape<HostShape>(
    (value) => {
      if (!isMap(value)) return hostPattern
      if (!Object.hasOwn(value, 'hostGroup')) return labelled
      return isNamed
        ? z.custom<HostShape>(() => false, { error: 'groups name hosts, not other groups' })
        : grouped
    },
    { forms: () => [hostPattern, labelled, ...(isNamed ? [] : [grouped])] },
  )

/** An entry of a rule's `hosts`. */
export const host = createHost(false)
/** An entry of a named group of hosts. */
export const groupedHost = createHost(true)

export const loginMessage =
  'must be a login: a lower-case letter or "_", then at most 31 of a-z 0-9 _ . -'

export const loginName = checkedText((text) => {
  if (/[*?]/.test(text)) return 'must be one login: an allow rule names each, root too; no patterns'
  return isLogin(text) ? undefined : loginMessage
})

const loginClaim = strictShape({ claim: sentence(256) }, 'login entry')

/** An allow rule's login: a name, or `{ claim: c }` for whatever the person's token says, exactly. */
export const login = chooseShape<string | { readonly claim: string }>(
  (value) => (isMap(value) ? loginClaim : loginName),
  { forms: () => [loginName, loginClaim] },
)

/** A login in a test: one name. */
export const testLogin = is(isLogin, loginMessage)

export const loginPattern = checkedText((text) => explainPattern(text, 'login'))

export const cidr = checkedText((text) =>
  parseCidr(text) === undefined
    ? 'must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32'
    : undefined,
)

const extensionNames = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const

/** An extension of the certificate: OpenSSH's own are flags and have the value `""`. */
export interface ExtensionShape {
  readonly name: string
  /** May hold `{login}`. */
  readonly value: string
}

const flag = z
  .enum(extensionNames, {
    error: `must be one of OpenSSH's names: ${extensionNames.join(', ')}; or { NAME@DOMAIN: VALUE }`,
  })
  .transform((name): ExtensionShape => ({ name, value: '' }))

/** A vendor's extension as PROTOCOL.certkeys names it; OpenSSH's own domain would take guards away. */
const isVendorName = (name: string): boolean => {
  const domain = /^[a-z0-9][a-z0-9._-]{0,63}@([a-z0-9.-]{1,100})$/.exec(name)?.[1]
  return domain !== undefined && isHostName(domain) && !/(?:^|\.)openssh\.com$/.test(domain)
}

const vendorWords =
  'must be one { NAME@DOMAIN: VALUE }, as { login@github.com: "{login}" }, not of openssh.com'

const valued = z
  .record(
    z.string(),
    checkedText((text) => {
      if (!/^[\x20-\x7e]{1,256}$/.test(text)) return 'must be 1 to 256 printable ASCII characters'
      return /[{}]/.test(text.replaceAll('{login}', ''))
        ? 'only {login} stands in braces'
        : undefined
    }),
  )
  .superRefine((map, context) => {
    const names = Object.keys(map)
    if (names.length !== 1 || !names.every(isVendorName)) {
      context.addIssue({ code: 'custom', message: vendorWords })
    }
  })
  .transform((map): ExtensionShape => {
    const [name = '', value = ''] = Object.entries(map)[0] ?? []
    return { name, value }
  })

/** An entry of `extensions`: OpenSSH's name, or a vendor's name with its value. */
export const extension = chooseShape<ExtensionShape>((value) => (isMap(value) ? valued : flag), {
  forms: () => [flag, valued],
})

const commandName = /^[a-z0-9][a-z0-9-]{0,63}$/

export const commands = chooseShape(() =>
  z.record(z.string(), sentence(4096)).superRefine((map, context) => {
    if (Object.keys(map).length === 0) {
      context.addIssue({ code: 'custom', message: 'is empty; name a command or leave it out' })
    }
    for (const name of Object.keys(map)) {
      if (commandName.test(name)) continue
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'a command is named with lower-case letters, digits and hyphens, at most 64',
        params: { atKey: true },
      })
    }
  }),
)

/** A principal with `{login}` and `{host}` in it; expanded by evaluate.ts, which checks the result too. */
export const template = checkedText((text) => {
  const literal = text.replaceAll('{login}', '').replaceAll('{host}', '')
  if (/[{}]/.test(literal)) return 'only {login} and {host} stand in braces'
  if (text === '') return 'is empty; write a principal, as "{login}@{host}"'
  if (!/^[a-z0-9._@:-]{0,200}$/.test(literal)) {
    return 'may hold only a-z 0-9 . _ @ : - beside {login} and {host}'
  }
  // "{login}-{host}" says the same for a on b-c as for a-b on c.
  if (/\}[^{}@:]*\{/.test(text)) return 'needs an "@" or ":" between its placeholders'
  return undefined
})
