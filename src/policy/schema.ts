import { isIP } from 'node:net'
import { z } from 'zod'
import { parseCidr } from '../lib/address.ts'
import { parseDuration } from '../lib/duration.ts'
import { isHostName, isLogin, isRuleName } from '../lib/names.ts'
import { checkedText, chooseShape, filledList, strictShape } from '../lib/shape.ts'
import { explainPattern } from './match.ts'
import { when } from './when.ts'
import { allowWho, denyWho, identitySet, testWho } from './who-schema.ts'

// The shape of a policy file (DESIGN.md section 5). Only what one value shows by itself is checked here;
// what needs two of them (names, ttl against maxTtl, …) is in compile.ts.

const is = (holds: (text: string) => boolean, message: string) =>
  checkedText((text) => (holds(text) ? undefined : message))

const ruleName = is(
  isRuleName,
  'must be a name of lower-case letters, digits and hyphens, at most 64',
)

/** Anything that would not print as itself: controls, formatting such as bidi marks, line separators. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

const sentence = (most: number) =>
  checkedText((text) => {
    if (text.trim() === '') return 'is empty; write a sentence'
    if (text.length > most) return `is longer than ${most} characters`
    return unprintable.test(text) ? 'holds control characters; write one plain line' : undefined
  })

const durationWords = 'must be a whole number and a unit, as "5m", "90s", "1h" or "1d"'

const duration = z
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

const hostName = checkedText(
  (text) =>
    explainHost(text) ??
    (isHostName(text) ? undefined : 'must be a host name of letters, digits, hyphens and dots'),
)

const loginMessage = 'must be a login: a lower-case letter or "_", then at most 31 of a-z 0-9 _ . -'

const loginName = checkedText((text) => {
  if (/[*?]/.test(text)) return 'must be one login: an allow rule names each, root too; no patterns'
  return isLogin(text) ? undefined : loginMessage
})

/** An allow rule's login: a name, or `{ claim: c }` for whatever the person's token says, exactly. */
const login = chooseShape<string | { readonly claim: string }>((value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? loginClaim : loginName,
)
const loginClaim = strictShape({ claim: sentence(256) })

const loginPattern = checkedText((text) => explainPattern(text, 'login'))

const extensionNames = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const

const extension = z.enum(extensionNames, {
  error: `must be one of OpenSSH's names: ${extensionNames.join(', ')}`,
})

const cidr = checkedText((text) =>
  parseCidr(text) === undefined
    ? 'must be an address or a block without host bits, as 10.2.0.0/16 or 2001:db8::/32'
    : undefined,
)

const commandName = /^[a-z0-9][a-z0-9-]{0,63}$/

const commands = chooseShape(() =>
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

/** A principal with `{login}` and `{host}` in it; expanded by compile.ts, which checks the result too. */
const template = checkedText((text) => {
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

const allowRule = strictShape({
  name: ruleName,
  who: filledList(allowWho),
  hosts: filledList(hostPattern),
  logins: filledList(login),
  when: when.optional(),
  commands: commands.optional(),
  ttl: duration,
  maxTtl: duration.optional(),
  outliveToken: z.boolean().optional(),
  extensions: filledList(extension).optional(),
  sourceAddresses: filledList(cidr).max(64, 'holds more than 64 blocks').optional(),
  principals: filledList(template).max(32, 'holds more than 32 principals').optional(),
  fleetWide: z.boolean().optional(),
})

const denyRule = strictShape({
  name: ruleName,
  deny: sentence(200),
  who: filledList(denyWho),
  except: filledList(allowWho).optional(),
  hosts: filledList(hostPattern),
  logins: filledList(loginPattern),
  when: when.optional(),
})

export type AllowShape = z.output<typeof allowRule>
export type DenyShape = z.output<typeof denyRule>
export type RuleShape = AllowShape | DenyShape

const isDeny = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, 'deny')

const rule = chooseShape<RuleShape>((value) => (isDeny(value) ? denyRule : allowRule))

const instant = checkedText((text) =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})$/.test(text) &&
  !Number.isNaN(Date.parse(text))
    ? undefined
    : 'must be a time with its offset, as 2026-12-01T10:00:00Z',
)

const expectedAllow = strictShape({
  allow: ruleName,
  ttl: duration.optional(),
  principals: filledList(z.string()).optional(),
  extensions: z.array(extension).optional(),
  command: sentence(4096).optional(),
  sourceAddresses: filledList(cidr).optional(),
  outliveToken: z.boolean().optional(),
})
const expectedDeny = strictShape({ deny: ruleName })
const denyWord = z.literal('deny', {
  error: 'must be deny, { deny: RULE } or { allow: RULE, … }',
})

export type Expected = z.output<typeof expectedAllow> | z.output<typeof expectedDeny> | 'deny'

const expected = chooseShape<Expected>((value) => {
  if (typeof value !== 'object' || value === null) return denyWord
  return isDeny(value) ? expectedDeny : expectedAllow
})

const test = strictShape({
  name: sentence(200),
  at: instant.optional(),
  who: testWho,
  ask: strictShape({
    host: hostName,
    login: is(isLogin, loginMessage),
    ttl: duration.optional(),
    command: z.string().optional(),
    reason: z.string().optional(),
  }),
  expect: expected,
})

export type TestShape = z.output<typeof test>

/**
 * The keys of a file, and the schema of each entry below them. Entries are read one by one, so that
 * one that is wrong hides nothing in the others.
 */
export const fileShape = strictShape({
  identities: z.record(z.string(), z.unknown()).optional(),
  rules: z.array(z.unknown()).optional(),
  tests: z.array(z.unknown()).optional(),
})

export const entryShapes = { identities: identitySet, rules: rule, tests: test }
