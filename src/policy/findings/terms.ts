import type { GithubShape, OidcShape } from '../who-schema.ts'
import type { Leaf } from './ground.ts'

/** Whether everybody one entry names is named by the other as well; false where it can't be known. */
export const isWithin = (inner: Leaf, outer: Leaf): boolean => {
  if (outer === 'everyone') return true
  if (inner === 'everyone') return false
  if ('github' in outer) return 'github' in inner && isGithubWithin(inner.github, outer.github)
  return 'oidc' in inner && isOidcWithin(inner.oidc, outer.oidc)
}

/** Whether an entry of the one surely names somebody that the other names too. */
export const areShared = (a: Leaf, b: Leaf): boolean => isWithin(a, b) || isWithin(b, a)

const isSame = <T>(inner: T | undefined, outer: T | undefined): boolean =>
  outer === undefined || inner === outer

const isGithubWithin = (inner: GithubShape, outer: GithubShape): boolean => {
  const orgOf = ({ org, team }: GithubShape) => (org ?? team?.split('/')[0])?.toLowerCase()
  return (
    (inner.server ?? 'github.com') === (outer.server ?? 'github.com') &&
    isSame(inner.id, outer.id) &&
    isSame(inner.app, outer.app) &&
    isSame(inner.team?.toLowerCase(), outer.team?.toLowerCase()) &&
    isSame(orgOf(inner), outer.org?.toLowerCase()) &&
    isSame(inner.teamId, outer.teamId) &&
    isSame(inner.orgId, outer.orgId)
  )
}

const isOidcWithin = (inner: OidcShape, outer: OidcShape): boolean => {
  const domain = inner.emailDomain ?? inner.email?.split('@').at(-1)?.toLowerCase()
  return (
    inner.issuer === outer.issuer &&
    isSame(inner.subject, outer.subject) &&
    isSame(inner.email, outer.email) &&
    isSame(inner.client, outer.client) &&
    isSame(domain, outer.emailDomain) &&
    isSubset(inner.groups, outer.groups) &&
    Object.entries(outer.claims ?? {}).every(([name, values]) =>
      isSubset(inner.claims?.[name], values),
    )
  )
}

/** Lists are alternatives: the shorter one names fewer. */
const isSubset = <T>(inner: readonly T[] | undefined, outer: readonly T[] | undefined): boolean =>
  outer === undefined || inner?.every((value) => outer.includes(value)) === true
