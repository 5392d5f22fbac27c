import { findNearest } from '../../lib/nearest.ts'
import type { OidcShape } from '../who-schema.ts'
import type { Ground, Leaf, Remark } from './ground.ts'

// Whom entries of `who` name: more than they seem to, nobody, or somebody else tomorrow.

export const listPeopleRemarks = (ground: Ground): readonly Remark[] => [
  ...ground.written.flatMap(({ entry, path, leaf }) =>
    checks.flatMap((check) =>
      check(leaf, ground).map(({ at, ...remark }) => ({
        entry,
        path: [...path, ...at],
        level: 'warning' as const,
        ...remark,
      })),
    ),
  ),
  ...listUnusedIdentities(ground),
  ...listDoubles(ground),
  ...listWideRoles(ground),
]

interface Doubt extends Pick<Remark, 'code' | 'message' | 'advice'> {
  readonly at: Remark['path']
  readonly level?: Remark['level']
}

type Check = (leaf: Leaf, ground: Ground) => readonly Doubt[]

/** A check of entries that name people by an OIDC issuer. */
const ofOidc =
  (check: (oidc: OidcShape, ground: Ground) => readonly Omit<Doubt, 'at'>[], key?: string): Check =>
  (leaf, ground) =>
    leaf !== 'everyone' && 'oidc' in leaf
      ? check(leaf.oidc, ground).map((doubt) => ({
          at: key === undefined ? ['oidc'] : ['oidc', key],
          ...doubt,
        }))
      : []

const isActions = (issuer: string): boolean =>
  /^https:\/\/token\.actions\.githubusercontent\.com(?:\/|$)|\/_services\/token$/.test(issuer)

/** Names of projects that can be given up and taken, and the ids that cannot. */
const namedProjects = [
  ['repository', 'repository_id'],
  ['repository_owner', 'repository_owner_id'],
  ['project_path', 'project_id'],
  ['namespace_path', 'namespace_id'],
] as const

const checkProject = ofOidc(({ issuer, subject, claims = {} }) => {
  const has = (claim: string) => Object.hasOwn(claims, claim)
  const hasId = namedProjects.some(([, id]) => has(id))
  const named = namedProjects.filter(([name]) => has(name) && !hasId)
  const bySubject = !hasId && isActions(issuer) && subject?.startsWith('repo:') === true
  const [name, id] = named[0] ?? (bySubject ? ['subject', 'repository_id'] : [])
  if (name === undefined) return []
  return [
    {
      code: 'ci-by-name',
      message: `${name} is a name, which another can take once it is given up`,
      advice: `add the claim ${id}, whose value stays`,
    },
  ]
})

const checkEvents = ofOidc(({ subject, claims = {} }) => {
  const texts = [claims['event_name'], claims['ref'], subject === undefined ? [] : [subject]]
    .flatMap((values) => values ?? [])
    .map(String)
  const found = texts.find((text) =>
    /^pull_request|^refs\/pull\/|:pull_request$|^merge_request/.test(text),
  )
  if (found === undefined) return []
  return [
    {
      code: 'ci-pull-request',
      message: `${found} lets in runs that somebody outside can set off by a pull request`,
      advice: 'name the branch with ref, and the events push or workflow_dispatch',
    },
  ]
})

/** What of a run says which code is run; without one of these, any branch of anybody may. */
const runClaims = ['ref', 'environment', 'job_workflow_ref', 'workflow_ref', 'event_name']

const checkRuns = ofOidc(({ issuer, subject, claims = {} }) => {
  if (!isActions(issuer) || subject !== undefined) return []
  if (runClaims.some((claim) => Object.hasOwn(claims, claim))) return []
  return [
    {
      code: 'ci-any-run',
      message: 'any branch, and any pull request of the repository, is named by this',
      advice: 'add the claim ref or environment',
    },
  ]
})

/** The claims of GitHub Actions (its reference of OIDC claims). */
const actionsClaims = [
  ...['base_ref', 'enterprise', 'enterprise_id', 'environment', 'event_name', 'head_ref'],
  ...['job_workflow_ref', 'job_workflow_sha', 'ref', 'ref_protected', 'ref_type', 'repository'],
  ...[
    'repository_id',
    'repository_owner',
    'repository_owner_id',
    'repository_visibility',
    'run_id',
  ],
  ...['run_attempt', 'run_number', 'runner_environment', 'sha', 'workflow', 'workflow_ref'],
  ...['workflow_sha', 'environment_node_id', 'check_run_id', 'issuer_scope'],
]

const checkActionsClaims = ofOidc(({ issuer, claims = {} }) => {
  if (!isActions(issuer)) return []
  return Object.entries(claims).flatMap(([name, values]): readonly Omit<Doubt, 'at'>[] => {
    const nearest = actionsClaims.includes(name) ? undefined : findNearest(name, actionsClaims)
    if (nearest !== undefined) {
      return [
        {
          code: 'misspelt',
          message: `GitHub Actions puts no claim ${name} into its tokens, so this names nobody`,
          advice: `is it ${nearest}?`,
        },
      ]
    }
    const wrong = values.find((value) => !isActionsValue(name, value))
    if (wrong === undefined) return []
    return [
      {
        code: 'claim-value',
        message: `${name} is never ${JSON.stringify(wrong)} in a token of GitHub Actions, so this names nobody`,
        advice: name === 'ref' ? 'write it as refs/heads/main' : 'write the number, in quotes',
      },
    ]
  })
}, 'claims')

/** Ids are numbers written as text, and refs are whole. */
const isActionsValue = (name: string, value: string | number | boolean): boolean => {
  if (/_id$/.test(name) && name !== 'environment_node_id') {
    return typeof value === 'string' && /^[0-9]+$/.test(value)
  }
  return name !== 'ref' || String(value).startsWith('refs/')
}

/** Domains where anybody may have an address. */
const publicDomains = new Set([
  ...['gmail.com', 'googlemail.com', 'outlook.com', 'hotmail.com', 'live.com', 'yahoo.com'],
  ...['icloud.com', 'proton.me', 'protonmail.com', 'gmx.de', 'gmx.net', 'web.de', 'aol.com'],
])

const checkDomain = ofOidc(
  ({ emailDomain }) =>
    emailDomain !== undefined && publicDomains.has(emailDomain)
      ? [
          {
            code: 'public-domain',
            message: `anybody can have an address at ${emailDomain}`,
            advice: 'name people by email or subject',
          },
        ]
      : [],
  'emailDomain',
)

const checkIssuer: Check = ofOidc(({ issuer }, { providers, issuers }) => {
  if (/^https:\/\/(?:www\.|api\.)?github\.com\/?$/.test(issuer)) {
    return [
      {
        code: 'unknown-issuer',
        message: `${issuer} issues no OIDC tokens for people`,
        advice: 'write { github: … }; for Actions, https://token.actions.githubusercontent.com',
      },
    ]
  }
  const known = providers?.issuers ?? issuers
  if (known.includes(issuer) && providers !== undefined) return []
  const plain = (text: string) => text.toLowerCase().replace(/\/$/, '')
  const twin = known.find((other) => other !== issuer && plain(other) === plain(issuer))
  if (twin !== undefined) {
    return [
      {
        code: 'unknown-issuer',
        message: `${issuer} is another issuer than ${twin}: they are compared character by character`,
        advice: 'write both as in the tokens',
      },
    ]
  }
  if (providers === undefined) return []
  const nearest = findNearest(issuer, known)
  return [
    {
      code: 'unknown-issuer',
      message: `the configuration knows no issuer ${issuer}, so this names nobody`,
      advice: nearest === undefined ? 'add it under identity.oidc' : `is it ${nearest}?`,
    },
  ]
}, 'issuer')

const checkServer: Check = (leaf, { providers }) => {
  if (leaf === 'everyone' || !('github' in leaf) || providers === undefined) return []
  const { server = 'github.com' } = leaf.github
  if (providers.servers.includes(server)) return []
  return [
    {
      at: ['github'],
      code: 'unknown-issuer',
      message: `the configuration knows no GitHub app of ${server}, so this names nobody`,
      advice: 'add it under identity.github',
    },
  ]
}

const checkPins: Check = (leaf) => {
  if (leaf === 'everyone' || !('github' in leaf)) return []
  const { org, orgId, team, teamId } = leaf.github
  const loose = [
    ...(team !== undefined && teamId === undefined ? [`the team ${team}`] : []),
    ...(org !== undefined && orgId === undefined ? [`the organisation ${org}`] : []),
  ]
  return loose.map((name) => ({
    at: ['github', team === undefined ? 'org' : 'team'],
    code: 'unpinned',
    message: `${name} is known by its name alone, which another can take once it is given up`,
    advice: 'postern policy pin writes its id beside it',
  }))
}

const checks: readonly Check[] = [
  checkProject,
  checkEvents,
  checkRuns,
  checkActionsClaims,
  checkDomain,
  checkIssuer,
  checkServer,
  checkPins,
]

const listUnusedIdentities = ({ sources }: Ground): readonly Remark[] => {
  const used = new Set(
    [
      ...sources.rules.flatMap(({ shape }) => [
        ...shape.who,
        ...('except' in shape ? (shape.except ?? []) : []),
      ]),
      ...sources.roles.flatMap(({ shape: { admin = [], auditor = [] } }) => [...admin, ...auditor]),
    ].map((one) => (typeof one === 'object' && 'identities' in one ? one.identities : '')),
  )
  return sources.identities
    .filter(({ name }) => !used.has(name))
    .map((entry) => ({
      entry,
      path: [],
      level: 'warning',
      code: 'unused',
      message: `no rule and no role names the identities ${entry.name}`,
      advice: 'name them in a rule, or take them out',
    }))
}

const listDoubles = ({ sources }: Ground): readonly Remark[] =>
  [
    ...sources.identities.map((entry) => ({ entry, key: undefined, list: entry.shape })),
    ...sources.rules.map((entry) => ({ entry, key: 'who', list: entry.shape.who })),
  ].flatMap(({ entry, key, list }) =>
    list.flatMap((one, at) =>
      list.slice(0, at).some((other) => JSON.stringify(other) === JSON.stringify(one))
        ? [
            {
              entry,
              path: key === undefined ? [at] : [key, at],
              level: 'warning' as const,
              code: 'double',
              message: 'this entry stands here twice',
              advice: 'keep one',
            },
          ]
        : [],
    ),
  )

/** A role for a whole organisation or domain: whoever joins it may then stop the service. */
const listWideRoles = ({ sources }: Ground): readonly Remark[] =>
  sources.roles.flatMap((entry) =>
    (entry.shape.admin ?? []).flatMap((leaf, at) => {
      const isWide =
        typeof leaf === 'object' &&
        (('github' in leaf && leaf.github.id === undefined && leaf.github.team === undefined) ||
          ('oidc' in leaf &&
            leaf.oidc.emailDomain !== undefined &&
            [leaf.oidc.subject, leaf.oidc.email, leaf.oidc.groups].every(
              (key) => key === undefined,
            )))
      if (!isWide) return []
      return [
        {
          entry,
          path: ['admin', at],
          level: 'warning',
          code: 'wide-role',
          message: 'everybody of an organisation or a domain is an admin by this',
          advice: 'name a team, a group, or people',
        },
      ]
    }),
  )
