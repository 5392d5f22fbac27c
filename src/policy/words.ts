import type { Identity, Memberships } from '../identity/index.ts'
import type { GithubShape, WhoShape } from './who-schema.ts'

// Who a rule names, and who asks, in words for people: `policy explain` sets the one beside the other.

type IdentityShapes = ReadonlyMap<string, readonly WhoShape[]>

/** The entries of a `who` in words; identities with what stands under their name. */
export const describeWho = (entries: readonly WhoShape[], identities: IdentityShapes): string =>
  entries.map((entry) => describeEntry(entry, identities)).join(', or ')

const describeEntry = (entry: WhoShape, identities: IdentityShapes): string => {
  if (entry === 'everyone') return 'everyone'
  if ('identities' in entry) {
    const members = identities.get(entry.identities) ?? []
    return `${entry.identities} (${describeWho(members, identities)})`
  }
  if ('github' in entry) {
    const { id, login, org, orgId, team, teamId, app, server } = entry.github
    return join([
      id && `GitHub user ${id}${login === undefined ? '' : ` (${login})`}`,
      org && `org ${org}${pin(orgId)}`,
      team && `team ${team}${pin(teamId)}`,
      describeById(entry.github),
      app && `through app ${app}`,
      server && `on ${server}`,
    ])
  }
  const { issuer, subject, email, emailDomain, groups, claims, client } = entry.oidc
  return join([
    subject && `subject ${subject}`,
    email && `email ${email}`,
    emailDomain && `an email at ${emailDomain}`,
    groups && `group ${groups.join(' or ')}`,
    ...Object.entries(claims ?? {}).map(([name, values]) => `${name} ${values.join(' or ')}`),
    client && `through client ${client}`,
    `of ${issuer}`,
  ])
}

/** The team or organisation that an entry has by its id alone. */
export const describeById = ({ org, orgId, team, teamId }: GithubShape): string | undefined => {
  if (orgId === undefined || team !== undefined) return undefined
  if (teamId !== undefined) return `team id ${orgId}/${teamId}`
  return org === undefined ? `org id ${orgId}` : undefined
}

const join = (parts: readonly (string | undefined | '')[]): string =>
  parts.filter((part) => part !== undefined && part !== '').join(' ')

const pin = (id: string | undefined): string => (id === undefined ? '' : ` (id ${id})`)

/** The claims that a `who` compares, by name. */
export const listClaims = (
  entries: readonly WhoShape[],
  identities: IdentityShapes,
): ReadonlySet<string> =>
  new Set(
    entries.flatMap((entry): readonly string[] => {
      if (entry === 'everyone') return []
      if ('identities' in entry) {
        return [...listClaims(identities.get(entry.identities) ?? [], identities)]
      }
      return 'oidc' in entry ? Object.keys(entry.oidc.claims ?? {}) : []
    }),
  )

/** Who asks, with the memberships that were asked about and the claims that are compared. */
export const describePerson = (
  { kind, issuer, subject, name, client, email, groups, groupsProblem, claims }: Identity,
  { orgs, teams }: Memberships,
  claimNames: ReadonlySet<string>,
): string => {
  const through = client === undefined ? [] : [`through ${client}`]
  if (kind === 'github') {
    const { host } = new URL(issuer)
    const memberships = [
      ...new Set([
        // A test may name them by their ids alone.
        ...orgs.map(({ login, id }) => `org ${login === '' ? `id ${id}` : login}`),
        ...teams.map(({ org, orgId, slug, id }) =>
          slug === ''
            ? `team id ${orgId}/${id}`
            : `team ${org}/${slug}${pin(id === '' ? undefined : id)}`,
        ),
      ]),
    ]
    return [
      `GitHub user ${subject}${name === '' ? '' : ` (${name})`}`,
      ...(memberships.length === 0 ? [] : [`in ${memberships.join(', ')}`]),
      ...(host === 'github.com' ? [] : [`on ${host}`]),
      ...through,
    ].join(', ')
  }
  return [
    `subject ${subject} of ${issuer}`,
    ...(email === undefined ? [] : [`email ${email}`]),
    groups.length > 0
      ? `groups ${groups.join(', ')}`
      : groupsProblem === undefined
        ? 'in no group'
        : 'in groups that the token does not tell',
    ...[...claimNames].map((claim) =>
      Object.hasOwn(claims, claim) ? `${claim} ${String(claims[claim])}` : `without ${claim}`,
    ),
    ...through,
  ].join(', ')
}
