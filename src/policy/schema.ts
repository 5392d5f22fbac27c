import { z } from 'zod'
import { chooseShape, filledList, strictShape } from '../lib/shape.ts'
import { requirement } from './require-schema.ts'
import { test } from './test-schema.ts'
import {
  cidr,
  commands,
  duration,
  extension,
  groupedHost,
  host,
  hostAddress,
  hostKey,
  hostName,
  isMap,
  labels,
  login,
  loginName,
  loginPattern,
  ruleName,
  sentence,
  template,
} from './values.ts'
import { when } from './when.ts'
import { allowWho, denyWho, identitySet } from './who-schema.ts'

// The shape of a policy file (DESIGN.md section 5). Only what one value shows by itself is checked here;
// what needs two of them (names, ttl against maxTtl, …) is in consistency.ts.

/** The most `maxPerHour` may say: a ceiling higher than this would hold nobody back. */
export const maxPerHourLimit = 1000

const portWords = 'must be a port, from 1 to 65535'

const perHour = `must be a whole number from 1 to ${maxPerHourLimit}`

const blocks = filledList(cidr).max(64, 'holds more than 64 blocks')
const caller = z.literal('caller', { error: 'must be a list of blocks, or caller' })

const sourceAddresses = chooseShape<'caller' | readonly string[]>(
  (value) => (Array.isArray(value) ? blocks : caller),
  { forms: () => [blocks, caller] },
)

const allowRule = strictShape(
  {
    name: ruleName,
    who: filledList(allowWho),
    hosts: filledList(host),
    logins: filledList(login),
    when: when.optional(),
    require: requirement.optional(),
    commands: commands.optional(),
    ttl: duration,
    maxTtl: duration.optional(),
    outliveToken: z.boolean().optional(),
    extensions: filledList(extension).optional(),
    sourceAddresses: sourceAddresses.optional(),
    principals: filledList(template).max(32, 'holds more than 32 principals').optional(),
    fleetWide: z.boolean().optional(),
    maxPerHour: z.int({ error: perHour }).min(1, perHour).max(maxPerHourLimit, perHour).optional(),
    alert: z.boolean().optional(),
  },
  'allow rule',
)

const denyRule = strictShape(
  {
    name: ruleName,
    deny: sentence(200),
    who: filledList(denyWho),
    except: filledList(allowWho).optional(),
    hosts: filledList(host),
    logins: filledList(loginPattern),
    when: when.optional(),
  },
  'deny rule',
)

export type AllowShape = z.output<typeof allowRule>
export type DenyShape = z.output<typeof denyRule>
export type RuleShape = AllowShape | DenyShape

const isDeny = (value: unknown): boolean => isMap(value) && Object.hasOwn(value, 'deny')

const rule = chooseShape<RuleShape>((value) => (isDeny(value) ? denyRule : allowRule), {
  forms: () => [allowRule, denyRule],
})

const groupHosts = filledList(groupedHost)
const hostGroup = chooseShape(() => groupHosts)

/** A host the policy knows by name; its labels are what `{ label: env=ci }` finds it by. */
const knownHost = strictShape(
  {
    name: hostName,
    aliases: filledList(hostName).max(32, 'holds more than 32 aliases').optional(),
    address: hostAddress.optional(),
    port: z.int({ error: portWords }).min(1, portWords).max(65_535, portWords).optional(),
    labels: labels.optional(),
    logins: filledList(loginName).max(64, 'holds more than 64 logins').optional(),
    hostKeys: filledList(hostKey).max(16, 'holds more than 16 keys').optional(),
  },
  'known host',
)

export type KnownHostShape = z.output<typeof knownHost>

const roleEntries = filledList(allowWho)

const roles = strictShape(
  {
    admin: chooseShape(() => roleEntries).optional(),
    auditor: chooseShape(() => roleEntries).optional(),
  },
  'roles',
)

export type RolesShape = z.output<typeof roles>

/**
 * The keys of a file, and the schema of each entry below them. Entries are read one by one, so that
 * one that is wrong hides nothing in the others.
 */
export const fileShape = strictShape({
  identities: z.record(z.string(), z.unknown()).optional(),
  hostGroups: z.record(z.string(), z.unknown()).optional(),
  hosts: z.array(z.unknown()).optional(),
  roles: z.unknown().optional(),
  rules: z.array(z.unknown()).optional(),
  tests: z.array(z.unknown()).optional(),
})

export const entryShapes = {
  identities: identitySet,
  hostGroups: hostGroup,
  hosts: knownHost,
  roles,
  rules: rule,
  tests: test,
}
