import { findNearest } from '../../lib/nearest.ts'
import { type Check, ofOidc } from './check.ts'
import type { Ground, Remark } from './ground.ts'
import { jobChecks } from './jobs.ts'

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

const checks: readonly Check[] = [...jobChecks, checkDomain, checkIssuer, checkServer, checkPins]

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
        (('github' in leaf &&
          [leaf.github.id, leaf.github.team, leaf.github.teamId].every(
            (key) => key === undefined,
          )) ||
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
