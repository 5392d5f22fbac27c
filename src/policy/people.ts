import type { ClaimValue, Identity, Memberships } from '../identity/index.ts'

// People as policies know them: not persons, but what somebody must at least be for an entry to name
// them. Whoever is more than that is named all the same, for entries only ever ask for something.

/** Values that every entry of both policies lists together or not at all: one stands for all. */
export interface Alike {
  readonly values: readonly (string | number | boolean)[]
}

/** The least that is known of somebody. Each fact once; ids are undefined where none is asked for. */
export interface Person {
  readonly kind?: Identity['kind']
  /** The issuer, for GitHub its server. */
  readonly issuer?: string
  readonly subject?: string
  readonly email?: string
  readonly emailDomain?: string
  readonly client?: string
  readonly groups: ReadonlyMap<string, Alike>
  readonly claims: ReadonlyMap<string, Alike & { readonly claim: string }>
  /** Claims that are one text: the login that is asked for. */
  readonly texts: ReadonlyMap<string, string>
  /** By name, each with the id it must have; or by id alone (`byId`). */
  readonly orgs: ReadonlyMap<string, string | undefined>
  readonly teams: ReadonlyMap<string, string | undefined>
}

/** An organisation or team in place of its name: no name holds a space. */
export const byId = (...ids: readonly string[]): string => `id ${ids.join('/')}`

const splitId = (place: string): readonly string[] | undefined =>
  place.startsWith('id ') ? place.slice(3).split('/') : undefined

/** Somebody of whom nothing is known. */
export const anybody: Person = Object.freeze({
  groups: new Map(),
  claims: new Map(),
  texts: new Map(),
  orgs: new Map(),
  teams: new Map(),
})

/**
 * Somebody who is both; undefined where nobody can be. A team's members are in its organisation,
 * and a person has one id, one address, and one client at a time.
 */
export const joinPersons = (a: Person, b: Person): Person | undefined => {
  const single: Partial<Record<(typeof singles)[number], string>> = {}
  for (const key of singles) {
    const value = a[key] ?? b[key]
    if (value === undefined) continue
    if (b[key] !== undefined && b[key] !== value) return undefined
    single[key] = value
  }
  const { email, emailDomain } = single
  if (email !== undefined && emailDomain !== undefined && domainOf(email) !== emailDomain) {
    return undefined
  }
  const orgs = joinIds(a.orgs, b.orgs)
  const teams = joinIds(a.teams, b.teams)
  const texts = joinIds(a.texts, b.texts) as Person['texts'] | undefined
  if (orgs === undefined || teams === undefined || texts === undefined) return undefined
  const claims = new Map([...a.claims, ...b.claims])
  // A claim that is one text is that text alone.
  for (const { claim, values } of claims.values()) {
    const text = texts.get(claim)
    if (text !== undefined && !values.includes(text)) return undefined
  }
  for (const list of groupClaims(claims).values()) {
    if (list.length > 1 && !list.every(({ values }) => values.some(isText))) return undefined
  }
  const groups = new Map([...a.groups, ...b.groups])
  return { ...(single as Partial<Person>), groups, claims, texts, orgs, teams }
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** Several values at once can only be a list, whose entries are text (identity/index.ts). */
const groupClaims = (claims: Person['claims']) => Map.groupBy(claims.values(), ({ claim }) => claim)

const singles = ['kind', 'issuer', 'subject', 'email', 'emailDomain', 'client'] as const

const joinIds = (
  a: ReadonlyMap<string, string | undefined>,
  b: ReadonlyMap<string, string | undefined>,
): ReadonlyMap<string, string | undefined> | undefined => {
  const joined = new Map(a)
  for (const [name, id] of b) {
    const known = joined.get(name)
    if (known !== undefined && id !== undefined && known !== id) return undefined
    joined.set(name, known ?? id)
  }
  return joined
}

/** Two people are one where the same is known of both. */
export const formatPerson = (person: Person): string =>
  JSON.stringify([
    singles.map((key) => person[key] ?? null),
    [...person.groups.keys()].sort(),
    [...person.claims.keys()].sort(),
    ...[person.texts, person.orgs, person.teams].map((map) =>
      [...map].map(([name, id]) => [name, id ?? null]).sort(),
    ),
  ])

/** Everything known of somebody, one by one, with what follows from it. */
const listFacts = (person: Person): ReadonlySet<string> => {
  const { email, emailDomain } = person
  const domain = emailDomain ?? (email === undefined ? undefined : domainOf(email))
  const withId = ([name, id]: readonly [string, string | undefined]) =>
    id === undefined ? [name] : [name, `${name}#${id}`]
  return new Set([
    ...singles.flatMap((key) => (person[key] === undefined ? [] : [`${key} ${person[key]}`])),
    ...(domain === undefined ? [] : [`emailDomain ${domain}`]),
    ...[...person.groups.keys()].map((key) => `group ${key}`),
    ...[...person.claims.keys()].map((key) => `claim ${key}`),
    ...[...person.texts].map(([claim, text]) => `text ${claim} ${text}`),
    ...[...person.orgs].flatMap(withId).map((org) => `org ${org}`),
    ...[...person.teams].flatMap(withId).map((team) => `team ${team}`),
  ])
}

const facts = new WeakMap<Person, ReadonlySet<string>>()

const findFacts = (person: Person): ReadonlySet<string> => {
  const known = facts.get(person) ?? listFacts(person)
  facts.set(person, known)
  return known
}

/** Whether whoever is the first is also the second. */
export const isAlso = (person: Person, other: Person): boolean => {
  const known = findFacts(person)
  const asked = findFacts(other)
  return asked.size <= known.size && [...asked].every((fact) => known.has(fact))
}

/** No entry can list it: the schema takes no such text. */
const unlisted = '\u0000'

/** Somebody of flesh and blood who is just that and no more, for rules to look at. */
export const createExample = (
  person: Person,
): { readonly identity: Identity; readonly memberships: Memberships } => {
  const { kind = 'oidc', issuer = unlisted, subject = unlisted, client, emailDomain } = person
  const email =
    person.email ?? (emailDomain === undefined ? undefined : `${unlisted}@${emailDomain}`)
  const claims: Record<string, ClaimValue> = {}
  for (const [name, list] of groupClaims(person.claims)) {
    const [first] = list
    claims[name] =
      list.length === 1 && first !== undefined
        ? (first.values[0] as ClaimValue)
        : list.flatMap(({ values }) => values.find(isText) ?? [])
  }
  for (const [name, text] of person.texts) claims[name] = text
  return {
    identity: {
      kind,
      issuer: kind === 'github' ? `https://${issuer}` : issuer,
      subject,
      name: '',
      groups: [...person.groups.values()].map(({ values }) => values[0] as string),
      claims,
      mfa: false,
      ...(email === undefined ? {} : { email }),
      ...(client === undefined ? {} : { client }),
    },
    memberships: {
      orgs: [...person.orgs].map(([login, id = unlisted]) => {
        const [orgId] = splitId(login) ?? []
        return orgId === undefined ? { login, id } : { login: unlisted, id: orgId }
      }),
      teams: [...person.teams].map(([path, id = unlisted]) => {
        const [idOfOrg, idOfTeam] = splitId(path) ?? []
        if (idOfOrg !== undefined && idOfTeam !== undefined) {
          return { org: unlisted, orgId: idOfOrg, slug: unlisted, id: idOfTeam }
        }
        const [org = '', slug = ''] = path.split('/')
        return { org, orgId: person.orgs.get(org) ?? unlisted, slug, id }
      }),
    },
  }
}

/** The domain of an address, after its last `@`; ASCII letters alone lose their case. */
export const domainOf = (email: string): string =>
  email.slice(email.lastIndexOf('@') + 1).replace(/[A-Z]/g, (letter) => letter.toLowerCase())
