import { formatDuration } from '../lib/duration.ts'
import { isLogin } from '../lib/names.ts'
import { explainUnknown } from '../lib/shape.ts'
import type { Path } from '../lib/yaml.ts'
import type { KnownHost } from './index.ts'
import type { AllowShape, RuleShape } from './schema.ts'
import type { HostShape } from './values.ts'
import type { WhoShape } from './who-schema.ts'

// What the parts of a policy say against each other, and against the names in other files.

/** What is wrong with an entry of a file, at a path inside it. */
export interface Finding {
  readonly path: Path
  readonly message: string
}

/** Named identities and named groups of hosts, as their files have them. */
export type IdentityShapes = ReadonlyMap<string, readonly WhoShape[]>
export type HostGroupShapes = ReadonlyMap<string, readonly HostShape[]>

/** Everything a rule may refer to by name. */
export interface Names {
  readonly identities: IdentityShapes
  readonly hostGroups: HostGroupShapes
  readonly hosts: readonly KnownHost[]
}

export const isReference = (shape: WhoShape): shape is { readonly identities: string } =>
  typeof shape === 'object' && 'identities' in shape

/** Extensions that open a way past a forced command (the session `-N -L` needs no command at all). */
const forwarding = ['permit-X11-forwarding', 'permit-agent-forwarding', 'permit-port-forwarding']

/** What the parts of a rule say against each other, and against the names in other files. */
export const listFindings = (
  shape: RuleShape,
  known: Names & { readonly maxTtlSeconds: number },
): readonly Finding[] => [
  ...listUnknown('who', shape.who, known.identities),
  ...listUnknownGroups(shape.hosts, known.hostGroups),
  ...('deny' in shape
    ? listUnknown('except', shape.except ?? [], known.identities)
    : [
        ...listTtlFindings(shape, known.maxTtlSeconds),
        ...listCommandFindings(shape),
        ...listDoubleExtensions(shape),
        ...listPrincipalFindings(shape),
        ...listClaimFindings(shape, known.identities),
      ]),
]

/** Identities that are named and nowhere defined, in the entries under a key. */
export const listUnknown = (
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

const listUnknownGroups = (
  hosts: readonly HostShape[],
  known: HostGroupShapes,
): readonly Finding[] =>
  hosts.flatMap((host, at) =>
    typeof host === 'object' && 'hostGroup' in host && !known.has(host.hostGroup)
      ? [
          {
            path: ['hosts', at, 'hostGroup'],
            message: explainUnknown('group of hosts', host.hostGroup, known.keys()),
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
    : extensions.flatMap(({ name }, at) =>
        forwarding.includes(name)
          ? [
              {
                path: ['extensions', at],
                message: `${name} opens a way around the commands; leave one of the two out`,
              },
            ]
          : [],
      )

/** Twice the same flag says nothing new; two values of one name would contradict each other. */
const listDoubleExtensions = ({ extensions = [] }: AllowShape): readonly Finding[] =>
  extensions.flatMap(({ name, value }, at) =>
    extensions.some((other, first) => first < at && other.name === name && other.value !== value)
      ? [{ path: ['extensions', at], message: `${name} has another value already; keep one` }]
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
export const listCautions = (shape: RuleShape, known: Names): readonly Finding[] => [
  ...('principals' in shape ? [...listFleetWide(shape), ...listOtherLogins(shape)] : []),
  ...listStars(['who'], shape.who),
  ...listUnmetLabels(['hosts'], shape.hosts, known.hosts),
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

/** `root@{host}` of a rule for deploy opens root, and neither a rule that denies root nor who-can knows. */
const listOtherLogins = ({ name, logins, principals = [] }: AllowShape): readonly Finding[] =>
  principals.flatMap((template, at) => {
    const login = /^([^{}]*)@\{host\}$/.exec(template)?.[1] ?? ''
    if (!isLogin(login) || logins.every((one) => one === login)) return []
    const message = `a certificate by ${name} opens ${login} on the host whatever login was asked for, past every rule that denies ${login} ("${template}"); write {login}`
    return [{ path: ['principals', at], message }]
  })

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

/** Labels that no known host has: they match nothing. */
export const listUnmetLabels = (
  under: Path,
  entries: readonly HostShape[],
  known: readonly KnownHost[],
): readonly Finding[] =>
  entries.flatMap((entry, at) =>
    typeof entry === 'object' &&
    'label' in entry &&
    !known.some((host) => hasLabel(host, entry.label))
      ? [
          {
            path: [...under, at, 'label'],
            message: `no host of the list "hosts" has ${entry.label}, so this matches nothing`,
          },
        ]
      : [],
  )

/** Whether a known host has a label, written `KEY=VALUE`. */
export const hasLabel = ({ labels }: KnownHost, label: string): boolean => {
  const [key = '', value = ''] = label.split('=')
  return Object.hasOwn(labels, key) && labels[key] === value
}
