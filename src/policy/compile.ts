import type { Identity } from '../identity/index.ts'
import { parseCidr } from '../lib/address.ts'
import { formatDuration } from '../lib/duration.ts'
import { explainUnknown } from '../lib/shape.ts'
import type { Path } from '../lib/yaml.ts'
import type { RuleRef } from './index.ts'
import { createMatcher } from './match.ts'
import type { AllowShape, DenyShape, RuleShape } from './schema.ts'
import { createWhen, describeWhen, type Moment } from './when.ts'
import { createEntry, type EntrySet, type Who } from './who.ts'
import type { WhoShape } from './who-schema.ts'

/** What every rule says before it grants or refuses: the asks it speaks about. */
interface Selectors {
  readonly ref: RuleRef
  readonly who: Who
  readonly hosts: readonly string[]
  readonly isLogin: (login: string, identity: Identity) => boolean
  readonly when?: { readonly holds: (moment: Moment) => boolean; readonly words: string }
}

export interface DenyRule extends Selectors {
  readonly sentence: string
  readonly except: Who
}

/** An allow rule: what a person it names may have. */
export interface AllowRule extends Selectors {
  /** The logins a person may have by it, for a hint to that person. */
  readonly listLogins: (identity: Identity) => readonly string[]
  readonly commands: ReadonlyMap<string, string>
  readonly ttlSeconds: number
  /** The most one may ask for: `maxTtl`, else `ttl`; never above `ca.maxTtl`, or it would not have loaded. */
  readonly maxTtlSeconds: number
  readonly outliveToken: boolean
  readonly extensions: readonly string[]
  /** The value of `source-address`. */
  readonly sourceAddresses?: string
  readonly principals: readonly string[]
}

export type Rule = ({ readonly kind: 'allow' } & AllowRule) | ({ readonly kind: 'deny' } & DenyRule)

/** What is wrong with a rule, at a path inside it. */
export interface Finding {
  readonly path: Path
  readonly message: string
}

/** Named identities by their name: as their files have them, and as functions. */
export type IdentityShapes = ReadonlyMap<string, readonly WhoShape[]>
export type IdentitySets = ReadonlyMap<string, EntrySet>

export const createEntrySet = (shapes: readonly WhoShape[]): EntrySet =>
  shapes.flatMap((shape) => (isReference(shape) ? [] : [createEntry(shape)]))

const isReference = (shape: WhoShape): shape is { readonly identities: string } =>
  typeof shape === 'object' && 'identities' in shape

/** Named sets are shared, not copied: they are then looked at once for all the rules that name them. */
const createWho = (shapes: readonly WhoShape[], sets: IdentitySets): Who => {
  const named = shapes.flatMap((shape) => {
    const set = isReference(shape) ? sets.get(shape.identities) : undefined
    return set === undefined ? [] : [set]
  })
  return [createEntrySet(shapes), ...named].filter((set) => set.length > 0)
}

/** A rule as functions. It must have no findings. */
export const createRule = (shape: RuleShape, ref: RuleRef, sets: IdentitySets): Rule => {
  const selectors = {
    ref: Object.freeze(ref),
    who: createWho(shape.who, sets),
    hosts: shape.hosts,
    ...(shape.when === undefined
      ? {}
      : { when: { holds: createWhen(shape.when), words: describeWhen(shape.when) } }),
  }
  return 'deny' in shape
    ? createDenyRule(shape, selectors, sets)
    : createAllowRule(shape, selectors)
}

type Common = Omit<Selectors, 'isLogin'>

const createDenyRule = (shape: DenyShape, selectors: Common, sets: IdentitySets): Rule => {
  const matchers = shape.logins.map((pattern) => createMatcher(pattern, { crossDots: true }))
  return {
    kind: 'deny',
    ...selectors,
    isLogin: (login) => matchers.some((matches) => matches(login)),
    sentence: shape.deny,
    except: createWho(shape.except ?? [], sets),
  }
}

const createAllowRule = (shape: AllowShape, selectors: Common): Rule => {
  const names = new Set(shape.logins.filter((login) => typeof login === 'string'))
  const claims = shape.logins.flatMap((login) => (typeof login === 'string' ? [] : [login.claim]))
  const listLogins = (identity: Identity): readonly string[] => [
    ...names,
    ...claims.flatMap((claim) => findTextClaim(identity, claim)),
  ]
  const addresses = (shape.sourceAddresses ?? []).flatMap((text) => parseCidr(text)?.text ?? [])
  return {
    kind: 'allow',
    ...selectors,
    // Exactly: no case folding, trimming or sanitising, by which two people could become one login.
    isLogin: (login, identity) =>
      names.has(login) || claims.some((claim) => findTextClaim(identity, claim).includes(login)),
    listLogins,
    commands: new Map(Object.entries(shape.commands ?? {})),
    ttlSeconds: shape.ttl,
    maxTtlSeconds: shape.maxTtl ?? shape.ttl,
    outliveToken: shape.outliveToken === true,
    extensions: [...new Set(shape.extensions)].sort(),
    ...(addresses.length === 0 ? {} : { sourceAddresses: [...new Set(addresses)].join(',') }),
    principals: shape.principals ?? ['{login}@{host}'],
  }
}

const findTextClaim = ({ kind, claims }: Identity, name: string): readonly string[] => {
  const value = kind === 'oidc' && Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' ? [value] : []
}

/** Extensions that open a way past a forced command (the session `-N -L` needs no command at all). */
const forwarding = ['permit-X11-forwarding', 'permit-agent-forwarding', 'permit-port-forwarding']

/** What the parts of a rule say against each other, and against the names in other files. */
export const listFindings = (
  shape: RuleShape,
  known: { readonly identities: IdentityShapes; readonly maxTtlSeconds: number },
): readonly Finding[] => [
  ...listUnknown('who', shape.who, known.identities),
  ...('deny' in shape
    ? listUnknown('except', shape.except ?? [], known.identities)
    : [
        ...listTtlFindings(shape, known.maxTtlSeconds),
        ...listCommandFindings(shape),
        ...listPrincipalFindings(shape),
        ...listClaimFindings(shape, known.identities),
      ]),
]

const listUnknown = (
  key: string,
  entries: readonly WhoShape[],
  known: IdentityShapes,
): readonly Finding[] =>
  entries.flatMap((entry, at) =>
    isReference(entry) && !known.has(entry.identities)
      ? [
          {
            path: [key, at, 'identities'],
            message: explainUnknown('name of identities', entry.identities, known.keys()),
          },
        ]
      : [],
  )

const listTtlFindings = ({ ttl, maxTtl }: AllowShape, most: number): readonly Finding[] => [
  ...(maxTtl !== undefined && ttl > maxTtl
    ? [{ path: ['ttl'], message: `is more than maxTtl, ${formatDuration(maxTtl)}; lower it` }]
    : []),
  ...Object.entries({ ttl, maxTtl }).flatMap(([key, value]) =>
    value !== undefined && value > most
      ? [
          {
            path: [key],
            message: `is more than ca.maxTtl of the configuration, ${formatDuration(most)}; lower it`,
          },
        ]
      : [],
  ),
]

const listCommandFindings = ({ commands, extensions = [] }: AllowShape): readonly Finding[] =>
  commands === undefined
    ? []
    : extensions.flatMap((name, at) =>
        forwarding.includes(name)
          ? [
              {
                path: ['extensions', at],
                message: `${name} opens a way around the commands; leave one of the two out`,
              },
            ]
          : [],
      )

/**
 * A principal opens one host only if it names it, and names it so that no host reads it as a bare
 * login: sshd without an AuthorizedPrincipalsFile lets the principal `root` in as root.
 */
export const isFleetWide = (template: string): boolean =>
  !template.includes('{host}') || !/[@:]/.test(template)

const listPrincipalFindings = ({ principals = [], fleetWide }: AllowShape): readonly Finding[] => {
  const wide = principals.flatMap((template, at) =>
    isFleetWide(template) ? [{ template, at }] : [],
  )
  if (fleetWide === true) {
    return wide.length > 0
      ? []
      : [{ path: ['fleetWide'], message: 'says what no principal here does; leave it out' }]
  }
  return wide.map(({ template, at }) => ({
    path: ['principals', at],
    message: `"${template}" can open every host that trusts the CA: write "{login}@{host}", or fleetWide: true beside it`,
  }))
}

/** GitHub's tokens carry no claims: a login taken from one needs a `who` that is OIDC. */
const listClaimFindings = (
  { who, logins }: AllowShape,
  known: IdentityShapes,
): readonly Finding[] => {
  const entries = who.flatMap((entry) =>
    isReference(entry) ? (known.get(entry.identities) ?? [entry]) : [entry],
  )
  if (entries.some((entry) => isReference(entry) || entry === 'everyone' || 'oidc' in entry))
    return []
  return logins.flatMap((login, at) =>
    typeof login === 'string'
      ? []
      : [{ path: ['logins', at], message: 'takes a claim, but nobody in who comes with claims' }],
  )
}

/** What is allowed to stand, but may not mean what its author thinks. */
export const listCautions = (shape: RuleShape): readonly Finding[] => [
  ...('principals' in shape ? listFleetWide(shape) : []),
  ...listStars(['who'], shape.who),
  ...('except' in shape ? listStars(['except'], shape.except ?? []) : []),
]

const listFleetWide = ({ name, principals = [] }: AllowShape): readonly Finding[] =>
  principals.flatMap((template, at) =>
    isFleetWide(template)
      ? [
          {
            path: ['principals', at],
            message: `a certificate by ${name} can open every host that trusts the CA, not only the one asked for ("${template}")`,
          },
        ]
      : [],
  )

/** Where there is a `*` in what is compared whole: a pattern elsewhere, plain text here. */
export const listStars = (under: Path, entries: readonly WhoShape[]): readonly Finding[] =>
  entries.flatMap((entry, at) => {
    if (entry === 'everyone' || !('oidc' in entry)) return []
    const { subject, groups = [], claims = {} } = entry.oidc
    const texts: readonly (readonly [Path, readonly unknown[]])[] = [
      [['subject'], [subject]],
      [['groups'], groups],
      ...Object.entries(claims).map(([name, values]) => [['claims', name], values] as const),
    ]
    return texts
      .filter(([, values]) => values.some((one) => typeof one === 'string' && one.includes('*')))
      .map(([path]) => ({
        path: [...under, at, 'oidc', ...path],
        message: `${path.at(-1)} is compared whole: "*" stands for itself, it is no pattern here`,
      }))
  })
