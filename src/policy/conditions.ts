import { createAddressMatcher, parseAddress, parseCidr } from '../lib/address.ts'
import { formatTime } from '../lib/clock.ts'
import { formatDuration } from '../lib/duration.ts'
import { isPrincipal } from '../lib/names.ts'
import type { Ask } from './index.ts'
import type { ReasonShape, RequireShape } from './require-schema.ts'
import type { AllowRule, Facts, Requirement } from './rule.ts'

// What the deciding rule asks for beyond its selectors: met, or refused with what is missing.

type Given = Pick<AllowRule, 'commands' | 'ttlSeconds' | 'maxTtlSeconds' | 'principals'> &
  Partial<Pick<AllowRule, 'sourceAddresses'>>

/** Every requirement of a rule, in the order in which a refusal names them. */
export const createRequirements = (
  rule: Given,
  require: RequireShape = {},
): readonly Requirement[] => [
  ...(require.mfa === undefined ? [] : [createMfa(require.mfa)]),
  ...(require.tokenMaxAge === undefined ? [] : [createTokenMaxAge(require.tokenMaxAge)]),
  ...(require.callerAddresses === undefined
    ? []
    : [createCallerAddresses(require.callerAddresses)]),
  ...(rule.sourceAddresses === 'caller' ? [callerIsKnown] : []),
  ...(require.reason === undefined ? [] : [createReason(require.reason)]),
  ...(require.proof === true ? [proof] : []),
  createCommands(rule.commands),
  createTtl(rule),
  createPrincipals(rule),
]

/** An `auth_time` ahead of our clock by more than clocks differ is no time of a login. */
const leewaySeconds = 60

const findAge = (at: Date, since: Date | undefined): number | undefined => {
  const seconds = since === undefined ? Number.NaN : (at.getTime() - since.getTime()) / 1000
  return seconds >= -leewaySeconds ? seconds : undefined
}

/** Only an OIDC issuer's evidence counts: GitHub says nothing of how somebody logged in. */
const createMfa = (wanted: true | number): Requirement => {
  const hasFactor = ({ identity }: Facts) => identity.kind === 'oidc' && identity.mfa === true
  const findLogin = ({ at, identity }: Facts) => findAge(at, identity.authenticatedAt)
  const within = wanted === true ? '' : ` within the last ${formatDuration(wanted)}`
  return {
    key: 'mfa',
    isMet: (facts) =>
      hasFactor(facts) &&
      (wanted === true || (findLogin(facts) ?? Number.POSITIVE_INFINITY) <= wanted),
    describe: () => `a login with a second factor${within}`,
    see: (facts) => {
      if (!hasFactor(facts)) return 'no second factor'
      const { authenticatedAt } = facts.identity
      return authenticatedAt === undefined
        ? 'a second factor, at a time the token does not tell'
        : `a second factor at ${formatTime(authenticatedAt)}`
    },
    refuse: () => ({
      code: 'mfa_required',
      reason: `Log in with a second factor${within === '' ? '' : `,${within}`}, and send the new token.`,
      detail: `it requires a second factor${within}`,
    }),
  }
}

const createTokenMaxAge = (seconds: number): Requirement => {
  const words = formatDuration(seconds)
  return {
    key: 'tokenMaxAge',
    isMet: ({ at, identity }) =>
      (findAge(at, identity.issuedAt) ?? Number.POSITIVE_INFINITY) <= seconds,
    describe: () => `a token issued within the last ${words}`,
    see: ({ identity: { issuedAt } }) =>
      issuedAt === undefined
        ? 'a token that does not tell when it was issued'
        : `a token of ${formatTime(issuedAt)}`,
    refuse: () => ({
      code: 'token_too_old',
      reason: `Send a token issued within the last ${words}.`,
      detail: `it requires a token no older than ${words}`,
    }),
  }
}

const seeAddress = ({ address }: Facts): string => address ?? 'an address that is not known'

const createCallerAddresses = (blocks: readonly string[]): Requirement => {
  const matches = createAddressMatcher(blocks.flatMap((text) => parseCidr(text) ?? []))
  return {
    key: 'callerAddresses',
    isMet: ({ address }) => address !== undefined && matches(address),
    describe: () => `a request from ${blocks.join(', ')}`,
    see: seeAddress,
    // The blocks are the network's own business; the caller's address is the caller's.
    refuse: ({ address }) => ({
      code: 'address_denied',
      reason: `This is not allowed from your address${address === undefined ? '' : `, ${address}`}.`,
      detail: `it requires a request from ${blocks.join(', ')}`,
    }),
  }
}

/** A caller's address as the one block of a `source-address`; undefined where it is none. */
export const formatCallerBlock = (address: string | undefined): string | undefined => {
  const canonical = address === undefined ? undefined : parseAddress(address)
  return canonical === undefined ? undefined : parseCidr(canonical)?.text
}

const callerIsKnown: Requirement = {
  key: 'sourceAddresses',
  isMet: ({ address }) => formatCallerBlock(address) !== undefined,
  describe: () => 'the address of the caller, for the certificate to be bound to',
  see: seeAddress,
  refuse: () => ({
    code: 'address_denied',
    reason: 'Your address is not known to the service, and the certificate would be bound to it.',
    detail: "it binds the certificate to the caller's address, which is not known",
  }),
}

const createReason = ({ minLength, ticket }: ReasonShape): Requirement => {
  const tickets = ticket?.map(createTicketMatcher)
  const words = [
    ...(minLength === undefined ? [] : [`at least ${minLength} characters`]),
    ...(ticket === undefined ? [] : [`a ticket like ${ticket.join(' or ')}`]),
  ].join(' and ')
  return {
    key: 'reason',
    isMet: ({ ask }) => {
      const reason = (ask.reason ?? '').trim().replace(/\s+/gu, ' ')
      return (
        [...reason].length >= (minLength ?? 1) &&
        (tickets === undefined || tickets.some((isIn) => isIn(reason)))
      )
    },
    describe: () => `a reason with ${words}`,
    see: ({ ask }) => (ask.reason === undefined ? 'no reason' : JSON.stringify(ask.reason)),
    refuse: () => ({
      code: 'reason_required',
      reason: `Give a reason with ${words}.`,
      detail: `it requires a reason with ${words}`,
    }),
  }
}

/** A ticket stands in a text as a word of its own: `OPS-9999` is not in `XOPS-12345`. */
const createTicketMatcher = (shape: string): ((text: string) => boolean) => {
  const literal = shape.replace(/[/.]/g, '\\$&').replaceAll('9', '[0-9]')
  const pattern = new RegExp(`(?<![A-Za-z0-9_-])${literal}(?![A-Za-z0-9_-])`)
  return (text) => pattern.test(text)
}

const proof: Requirement = {
  key: 'proof',
  isMet: ({ hasProof }) => hasProof === true,
  describe: () => 'a proof of possession',
  see: ({ hasProof }) => (hasProof === true ? 'a proof' : 'no proof'),
  refuse: () => ({
    code: 'proof_required',
    reason: 'Sign the request with the key to be certified, and send the signature as its proof.',
    detail: 'it requires a proof of possession',
  }),
}

const createCommands = (commands: ReadonlyMap<string, string>): Requirement => {
  const names = [...commands.keys()].join(', ')
  return {
    key: 'commands',
    isMet: ({ ask: { command } }) =>
      commands.size === 0 ? command === undefined : command !== undefined && commands.has(command),
    describe: () => (commands.size === 0 ? 'no command' : `one of the commands ${names}`),
    see: ({ ask: { command } }) =>
      command === undefined ? 'no command' : `the command ${JSON.stringify(command)}`,
    refuse: () =>
      commands.size === 0
        ? {
            code: 'policy_denied',
            reason: 'There are no commands for this login: leave the command out.',
            detail: 'it has no commands',
          }
        : {
            code: 'command_required',
            reason: `Ask for one of the commands: ${names}.`,
            detail: 'no command of its was asked for',
          },
  }
}

const createTtl = ({ ttlSeconds, maxTtlSeconds }: Given): Requirement => {
  const most = formatDuration(maxTtlSeconds)
  const find = ({ ask }: Facts) => ask.ttlSeconds ?? ttlSeconds
  return {
    key: 'ttl',
    isMet: (facts) => {
      const asked = find(facts)
      return Number.isSafeInteger(asked) && asked >= 1 && asked <= maxTtlSeconds
    },
    describe: () => `a ttl of at most ${most}`,
    see: (facts) => `${formatDuration(find(facts))}`,
    refuse: (facts) => ({
      code: 'ttl_too_long',
      reason: `Ask for a ttl of at most ${most}.`,
      detail: `${find(facts)} s were asked for and it gives ${maxTtlSeconds} s at most`,
    }),
  }
}

/** A rule's principals for an ask; without duplicates, sorted. */
export const expandPrincipals = (templates: readonly string[], ask: Ask): readonly string[] => {
  const expanded = templates.map((template) => expand(template, ask))
  return expanded.length === 1 ? expanded : [...new Set(expanded)].sort()
}

/** In parts, so that nothing of the ask is taken for a placeholder; at once what nearly every rule says. */
const expand = (template: string, { login, host }: Ask): string =>
  template === '{login}@{host}'
    ? `${login}@${host}`
    : template
        .split('{login}')
        .map((part) => part.replaceAll('{host}', () => host))
        .join(login)

const createPrincipals = ({ principals }: Given): Requirement => ({
  key: 'principals',
  isMet: ({ ask }) => expandPrincipals(principals, ask).every(isPrincipal),
  describe: () => `principals ${principals.join(', ')}, each at most 286 characters`,
  see: ({ ask }) => expandPrincipals(principals, ask).join(', '),
  refuse: () => ({
    code: 'policy_denied',
    reason: 'The host name is too long for the principal it needs.',
    detail: 'a principal is too long',
  }),
})
