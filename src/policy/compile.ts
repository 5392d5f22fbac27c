import type { Identity } from '../identity/index.ts'
import { parseCidr } from '../lib/address.ts'
import { formatTime } from '../lib/clock.ts'
import { createRequirements } from './conditions.ts'
import { hasLabel, isReference, type Names } from './consistency.ts'
import type { RuleRef } from './index.ts'
import { createHostIndex, createMatcher } from './match.ts'
import type { AllowRule, Clause, DenyRule, Rule } from './rule.ts'
import type { AllowShape, DenyShape, RuleShape } from './schema.ts'
import type { HostShape } from './values.ts'
import { createWhen, describeWhen, findWhenEnd } from './when.ts'
import { createEntry, type EntrySet, type Who } from './who.ts'
import type { WhoShape } from './who-schema.ts'
import { describePerson, describeWho, listClaims } from './words.ts'

/** Named identities as functions, by their name. */
export type IdentitySets = ReadonlyMap<string, EntrySet>

/** What a rule may refer to by name, as files have it and as functions. */
export interface Definitions extends Names {
  readonly sets: IdentitySets
}

export const createEntrySet = (shapes: readonly WhoShape[]): EntrySet =>
  shapes.flatMap((shape) => (isReference(shape) ? [] : [createEntry(shape)]))

/** Named sets are shared, not copied: they are then looked at once for all the rules that name them. */
export const createWho = (shapes: readonly WhoShape[], sets: IdentitySets): Who => {
  const named = shapes.flatMap((shape) => {
    const set = isReference(shape) ? sets.get(shape.identities) : undefined
    return set === undefined ? [] : [set]
  })
  return [createEntrySet(shapes), ...named].filter((set) => set.length > 0)
}

/** Entries of a `who`, with those of named identities in place of the name. */
export const expandWho = (
  shapes: readonly WhoShape[],
  identities: Names['identities'],
): readonly WhoShape[] =>
  shapes.flatMap((shape) =>
    isReference(shape) ? (identities.get(shape.identities) ?? []) : [shape],
  )

/** Patterns and names of hosts, with groups and labels expanded to what they stand for. */
export const expandHosts = (
  shapes: readonly HostShape[],
  names: Pick<Names, 'hostGroups' | 'hosts'>,
): readonly string[] => [
  ...new Set(
    shapes.flatMap((shape): readonly string[] => {
      if (typeof shape === 'string') return [shape]
      if ('hostGroup' in shape)
        return expandHosts(names.hostGroups.get(shape.hostGroup) ?? [], names)
      return names.hosts.filter((host) => hasLabel(host, shape.label)).map(({ name }) => name)
    }),
  ),
]

/** A rule as functions. It must have no findings. */
export const createRule = (shape: RuleShape, ref: RuleRef, definitions: Definitions): Rule => {
  const base = {
    ref: Object.freeze(ref),
    who: createWho(shape.who, definitions.sets),
    people: expandWho(shape.who, definitions.identities),
    hosts: expandHosts(shape.hosts, definitions),
    ...(shape.when === undefined
      ? {}
      : {
          when: {
            holds: createWhen(shape.when),
            words: describeWhen(shape.when),
            findEnd: findWhenEnd(shape.when),
          },
        }),
  }
  return 'deny' in shape
    ? createDenyRule(shape, base, definitions)
    : createAllowRule(shape, base, definitions)
}

type Base = Pick<Rule, 'ref' | 'who' | 'people' | 'hosts' | 'when'>

const createDenyRule = (shape: DenyShape, base: Base, definitions: Definitions): DenyRule => {
  const matchers = shape.logins.map((pattern) => createMatcher(pattern, { crossDots: true }))
  const isLogin = (login: string) => matchers.some((matches) => matches(login))
  const except = createWho(shape.except ?? [], definitions.sets)
  const selectors = createSelectors(shape, { ...base, isLogin }, definitions)
  const spared = createNamed('except', shape.except ?? [], except, definitions)
  return {
    kind: 'deny',
    ...base,
    shape,
    isLogin,
    sentence: shape.deny,
    except,
    spared: expandWho(shape.except ?? [], definitions.identities),
    selectors: [
      ...selectors,
      ...(except.length === 0
        ? []
        : [
            {
              ...spared,
              isMet: (facts) => !spared.isMet(facts),
              describe: () => `anybody but ${spared.describe()}`,
            } satisfies Clause,
          ]),
    ],
  }
}

const createAllowRule = (shape: AllowShape, base: Base, definitions: Definitions): AllowRule => {
  const names = new Set(shape.logins.filter((login) => typeof login === 'string'))
  const claims = shape.logins.flatMap((login) => (typeof login === 'string' ? [] : [login.claim]))
  // Exactly: no case folding, trimming or sanitising, by which two people could become one login.
  const isLogin = (login: string, identity: Identity) =>
    names.has(login) || claims.some((claim) => findTextClaim(identity, claim).includes(login))
  const extensions = [...(shape.extensions ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))
  const sourceAddresses = formatSourceAddresses(shape.sourceAddresses)
  const granted = {
    commands: new Map(Object.entries(shape.commands ?? {})),
    ttlSeconds: shape.ttl,
    maxTtlSeconds: shape.maxTtl ?? shape.ttl,
    outliveToken: shape.outliveToken === true,
    extensions: new Map(extensions.map(({ name, value }) => [name, value])),
    ...(sourceAddresses === undefined ? {} : { sourceAddresses }),
    principals: shape.principals ?? ['{login}@{host}'],
    ...(shape.maxPerHour === undefined ? {} : { maxPerHour: shape.maxPerHour }),
    alert: shape.alert === true,
  }
  return {
    kind: 'allow',
    ...base,
    shape,
    isLogin,
    listLogins: (identity) => [
      ...names,
      ...claims.flatMap((claim) => findTextClaim(identity, claim)),
    ],
    ...granted,
    selectors: createSelectors(shape, { ...base, isLogin }, definitions),
    requirements: createRequirements(granted, shape.require),
  }
}

const findTextClaim = ({ kind, claims }: Identity, name: string): readonly string[] => {
  const value = kind === 'oidc' && Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' ? [value] : []
}

const formatSourceAddresses = (shape: AllowShape['sourceAddresses']): string | undefined => {
  if (shape === undefined || shape === 'caller') return shape
  return [...new Set(shape.flatMap((text) => parseCidr(text)?.text ?? []))].join(',')
}

/** The selectors as clauses, by the very functions that evaluate.ts finds a rule with. */
const createSelectors = (
  shape: RuleShape,
  { who, hosts, isLogin, when }: Base & Pick<Rule, 'isLogin'>,
  definitions: Definitions,
): readonly Clause[] => {
  let find: ReturnType<typeof createHostIndex> | undefined
  const isHost = (host: string): boolean => {
    // Only where somebody looks: of ten thousand rules, evaluate.ts has one index for all.
    find ??= createHostIndex([hosts], { crossDots: 'deny' in shape })
    return find(host).length > 0
  }
  const logins = shape.logins.map((login) =>
    typeof login === 'string' ? login : `the claim ${login.claim}`,
  )
  return [
    {
      ...createNamed('who', shape.who, who, definitions),
      ...('deny' in shape ? { isMet: ({ mayBeNamed }) => mayBeNamed(who) } : {}),
    },
    {
      key: 'hosts',
      isMet: ({ ask }) => isHost(ask.host),
      describe: () => shape.hosts.map(describeHost).join(', '),
      see: ({ ask }) => ask.host,
    },
    {
      key: 'logins',
      isMet: ({ ask, identity }) => isLogin(ask.login, identity),
      describe: () => logins.join(', '),
      see: ({ ask }) => ask.login,
    },
    ...(when === undefined
      ? []
      : [
          {
            key: 'when' as const,
            isMet: ({ moment }) => when.holds(moment),
            describe: () => when.words,
            see: ({ at }) => formatTime(at),
          } satisfies Clause,
        ]),
  ]
}

const describeHost = (host: HostShape): string => {
  if (typeof host === 'string') return host
  return 'label' in host ? `hosts with ${host.label}` : `the group ${host.hostGroup}`
}

const createNamed = (
  key: 'who' | 'except',
  shapes: readonly WhoShape[],
  who: Who,
  { identities }: Definitions,
): Clause => ({
  key,
  isMet: ({ isNamed }) => isNamed(who),
  describe: () => describeWho(shapes, identities),
  see: ({ identity, memberships }) =>
    describePerson(identity, memberships, listClaims(shapes, identities)),
})
