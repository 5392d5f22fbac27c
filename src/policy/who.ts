import type { Identity, MembershipQuestion, Memberships } from '../identity/index.ts'
import type { GithubShape, OidcShape, WhoShape } from './who-schema.ts'

/** What an entry is compared with. */
interface Person {
  readonly identity: Identity
  /** Of somebody at GitHub, the host name of the server. */
  readonly server: string
  /** Undefined where the token speaks of groups and does not tell them: then they might be any. */
  readonly groups: ReadonlySet<string> | undefined
}

/** A membership an entry asks for, with the ids it is pinned to. */
interface Condition {
  readonly question: MembershipQuestion
  readonly isMet: (memberships: Memberships) => boolean
}

interface Entry {
  readonly fits: (person: Person) => boolean
  readonly conditions: readonly Condition[]
}

/** Alternatives that stand together in a file: the entries of one rule, or those under one name. */
export type EntrySet = readonly Entry[]
/** Any one entry of any set. */
export type Who = readonly EntrySet[]

/** With `isAny`, somebody whose groups nobody knows is taken for one who is in all of them. */
const createPerson = (identity: Identity, isAny: boolean): Person => ({
  identity,
  server:
    identity.kind === 'github' && URL.canParse(identity.issuer)
      ? new URL(identity.issuer).host
      : '',
  groups: isAny && identity.groupsProblem !== undefined ? undefined : new Set(identity.groups),
})

/** A set this short is looked at sooner than its answer is found again. */
const shortSet = 4

/** A function, with its answers for long sets kept: many rules may name the same identities. */
const remember = <T>(answer: (set: EntrySet) => T): ((set: EntrySet) => T) => {
  const known = new Map<EntrySet, T>()
  return (set) => {
    if (set.length <= shortSet) return answer(set)
    const old = known.get(set)
    if (old !== undefined) return old
    const answered = answer(set)
    known.set(set, answered)
    return answered
  }
}

/**
 * Says of each `who` whether it names this person, who has these memberships; with `isAny`, whether it
 * might, where their groups are not known: what denies must not be escaped by that.
 */
export const createNaming = (
  identity: Identity,
  memberships: Memberships,
  isAny = false,
): ((who: Who) => boolean) => {
  const person = createPerson(identity, isAny)
  const isNamed = remember((set) =>
    set.some(
      ({ fits, conditions }) => fits(person) && conditions.every(({ isMet }) => isMet(memberships)),
    ),
  )
  return (who) => who.some(isNamed)
}

/** Whether a `who` names someone: yes, no, or it depends on the answers to these questions. */
export type Need = boolean | readonly MembershipQuestion[]

/** Says of each `who` what must be asked before it is known whether it names this person. */
export const createNeeding = (identity: Identity): ((who: Who) => Need) => {
  const person = createPerson(identity, true)
  const findNeed = remember((set) =>
    join(
      set
        .filter(({ fits }) => fits(person))
        .map(({ conditions }) =>
          conditions.length === 0 ? true : conditions.map(({ question }) => question),
        ),
    ),
  )
  return (who) => join(who.map(findNeed))
}

const join = (needs: readonly Need[]): Need => {
  if (needs.includes(true)) return true
  const questions = needs.flatMap((need) => (typeof need === 'boolean' ? [] : need))
  return questions.length === 0 ? false : questions
}

/** Each question once, in the order in which it first came up. */
export const dropDoubles = (
  questions: readonly MembershipQuestion[],
): readonly MembershipQuestion[] => [
  ...new Map(questions.map((question) => [JSON.stringify(question), question])).values(),
]

/** An entry of a file as a function. Named identities are sets of their own, and not for here. */
export const createEntry = (shape: Exclude<WhoShape, { identities: string }>): Entry => {
  if (shape === 'everyone') return { fits: () => true, conditions: [] }
  return 'github' in shape ? createGithubEntry(shape.github) : createOidcEntry(shape.oidc)
}

const createGithubEntry = (shape: GithubShape): Entry => {
  const { id, org, orgId, team, teamId, app, server = 'github.com' } = shape
  const conditions: Condition[] = []
  if (org !== undefined) conditions.push(createOrgCondition(org.toLowerCase(), orgId))
  if (team !== undefined) conditions.push(createTeamCondition(team.toLowerCase(), orgId, teamId))
  else if (orgId !== undefined && teamId !== undefined) {
    conditions.push(createTeamIdCondition(orgId, teamId))
  } else if (orgId !== undefined && org === undefined) conditions.push(createOrgIdCondition(orgId))
  return {
    // The login is there for the reader alone: a person is their id, whatever they are called today.
    fits: ({ identity, server: ours }) =>
      identity.kind === 'github' &&
      ours === server &&
      (id === undefined || identity.subject === id) &&
      (app === undefined || identity.client === app),
    conditions,
  }
}

const createOrgCondition = (org: string, orgId: string | undefined): Condition => ({
  question: { kind: 'org', org },
  isMet: ({ orgs }) =>
    orgs.some(
      ({ login, id }) => login.toLowerCase() === org && (orgId === undefined || id === orgId),
    ),
})

const createOrgIdCondition = (orgId: string): Condition => ({
  question: { kind: 'orgId', orgId },
  isMet: ({ orgs }) => orgs.some(({ id }) => id === orgId),
})

const createTeamIdCondition = (orgId: string, teamId: string): Condition => ({
  question: { kind: 'teamId', orgId, teamId },
  isMet: ({ teams }) => teams.some((found) => found.orgId === orgId && found.id === teamId),
})

const createTeamCondition = (
  path: string,
  orgId: string | undefined,
  teamId: string | undefined,
): Condition => {
  const [org = '', team = ''] = path.split('/')
  return {
    question: { kind: 'team', org, team },
    isMet: ({ teams }) =>
      teams.some(
        (found) =>
          found.org.toLowerCase() === org &&
          found.slug === team &&
          (orgId === undefined || found.orgId === orgId) &&
          (teamId === undefined || found.id === teamId),
      ),
  }
}

const createOidcEntry = (shape: OidcShape): Entry => {
  const { issuer, subject, email, emailDomain, groups, client } = shape
  const claims = Object.entries(shape.claims ?? {}).map(
    ([name, values]) => [name, new Set<string | number | boolean>(values)] as const,
  )
  return {
    fits: ({ identity, groups: ours }) =>
      identity.kind === 'oidc' &&
      identity.issuer === issuer &&
      (subject === undefined || identity.subject === subject) &&
      (email === undefined || identity.email === email) &&
      (emailDomain === undefined || findDomain(identity) === emailDomain) &&
      (client === undefined || identity.client === client) &&
      (groups === undefined || ours === undefined || groups.some((group) => ours.has(group))) &&
      claims.every(([name, values]) => hasClaim(identity, name, values)),
    conditions: [],
  }
}

/** The domain of the verified address, after its last `@`; ASCII letters alone lose their case. */
const findDomain = ({ email }: Identity): string | undefined =>
  email?.includes('@')
    ? email.slice(email.lastIndexOf('@') + 1).replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    : undefined

/** Whether a claim is one of the values, with its type; of a claim that is a list, any entry. */
const hasClaim = (
  { claims }: Identity,
  name: string,
  values: ReadonlySet<string | number | boolean>,
): boolean => {
  if (!Object.hasOwn(claims, name)) return false
  const found = claims[name]
  if (found === undefined) return false
  return typeof found === 'object' ? found.some((one) => values.has(one)) : values.has(found)
}

/** The `who` line that would name this person, for the log: the admin may copy it into a rule. */
export const formatWho = ({ kind, issuer, subject, name }: Identity): string => {
  if (kind === 'oidc') {
    return `{ oidc: { issuer: ${JSON.stringify(issuer)}, subject: ${JSON.stringify(subject)} } }`
  }
  const { host } = new URL(issuer)
  const login = /^(?!(?:true|false|null)$)[a-z][a-z0-9-]*$/i.test(name)
    ? name
    : JSON.stringify(name)
  const server = host === 'github.com' ? '' : `, server: ${JSON.stringify(host)}`
  return `{ github: { id: ${JSON.stringify(subject)}, login: ${login}${server} } }`
}
