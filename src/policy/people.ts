import type { ClaimValue, Identity, Memberships } from '../identity/index.ts'
import type { GithubShape, OidcShape, WhoShape } from './who-schema.ts'

// People as policies know them: not persons, but what somebody must at least be for an entry to name
// them. Whoever is more than that is named all the same, for entries only ever ask for something.

/** Values that every entry of both policies lists together or not at all: one stands for all. */
interface Alike {
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
  readonly orgs: ReadonlyMap<string, string | undefined>
  readonly teams: ReadonlyMap<string, string | undefined>
}

/** Somebody of whom nothing is known. */
export const anybody: Person = Object.freeze({
  groups: new Map(),
  claims: new Map(),
  texts: new Map(),
  orgs: new Map(),
  teams: new Map(),
})

/** Turns the entries of a `who` into people; made for all the entries that are to be compared. */
export interface People {
  list(entries: readonly WhoShape[]): readonly Person[]
  /** In words: `team acme/dev`. Only what is not in `beside`, where that is given. */
  describe(person: Person, beside?: Person): string
}

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
      orgs: [...person.orgs].map(([login, id = unlisted]) => ({ login, id })),
      teams: [...person.teams].map(([path, id = unlisted]) => {
        const [org = '', slug = ''] = path.split('/')
        return { org, orgId: person.orgs.get(org) ?? unlisted, slug, id }
      }),
    },
  }
}

const domainOf = (email: string): string =>
  email.slice(email.lastIndexOf('@') + 1).replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** `entries`: all that will be asked about, of both policies. */
export const createPeople = (entries: readonly WhoShape[]): People => {
  const findAlike = createAlike(entries)
  const logins = new Map(
    entries.flatMap((entry) =>
      typeof entry === 'object' && 'github' in entry && entry.github.id !== undefined
        ? [[entry.github.id, entry.github.login] as const]
        : [],
    ),
  )
  const describe = (person: Person, beside: Person = anybody): string => {
    const { kind, issuer, subject, email, emailDomain, client, groups, claims, texts } = person
    const fresh = <T>(map: ReadonlyMap<string, T>, known: ReadonlyMap<string, T>) =>
      [...map].filter(([name, value]) => !known.has(name) || known.get(name) !== value)
    const id = (text: string | undefined) => (text === undefined ? '' : ` (id ${text})`)
    const teams = fresh(person.teams, beside.teams)
    const ofTeams = new Set(teams.map(([path]) => path.split('/')[0]))
    const login = subject === undefined ? undefined : logins.get(subject)
    const parts = [
      subject !== beside.subject && subject !== undefined
        ? kind === 'github'
          ? `GitHub user ${subject}${login === undefined ? '' : ` (${login})`}`
          : `subject ${subject}`
        : '',
      email !== beside.email && email !== undefined ? `email ${email}` : '',
      emailDomain !== beside.emailDomain && emailDomain !== undefined && email === undefined
        ? `an email at ${emailDomain}`
        : '',
      ...fresh(groups, beside.groups).map(([, { values }]) => `group ${values.join(' or ')}`),
      ...fresh(claims, beside.claims).map(
        ([, { claim, values }]) => `${claim} ${values.join(' or ')}`,
      ),
      ...teams.map(([path, teamId]) => `team ${path}${id(teamId)}`),
      ...fresh(person.orgs, beside.orgs)
        .filter(([org]) => !ofTeams.has(org))
        .map(([org, orgId]) => `org ${org}${id(orgId)}`),
      client !== beside.client && client !== undefined ? `client ${client}` : '',
    ].filter((part) => part !== '')
    const isUsual = issuer === undefined || issuer === beside.issuer || issuer === 'github.com'
    const where = isUsual ? '' : `${kind === 'github' ? ' on ' : ' of '}${issuer}`
    const own = fresh(texts, beside.texts).map(([claim]) => `whose ${claim} is the login`)
    return [`${parts.join(' with ') || 'everyone'}${where}`, ...own].join(' ')
  }
  const listed = new WeakMap<readonly WhoShape[], readonly Person[]>()
  return Object.freeze({
    describe,
    list(shapes: readonly WhoShape[]) {
      const persons = listed.get(shapes) ?? shapes.flatMap((one) => listPersons(one, findAlike))
      listed.set(shapes, persons)
      return persons
    },
  })
}

type FindAlike = (issuer: string, name: string, values: readonly unknown[]) => readonly Alike[]

/** Groups the values of each group or claim by the entries that list them. */
const createAlike = (entries: readonly WhoShape[]): FindAlike => {
  const seen = new Map<string, Map<string | number | boolean, number[]>>()
  const note = (place: string, values: readonly (string | number | boolean)[], list: number) => {
    const known = seen.get(place) ?? new Map<string | number | boolean, number[]>()
    seen.set(place, known)
    for (const value of values) known.set(value, [...(known.get(value) ?? []), list])
  }
  const lists = new Map<string, number>()
  for (const entry of entries) {
    if (typeof entry === 'string' || !('oidc' in entry)) continue
    const { issuer, groups, claims = {} } = entry.oidc
    for (const [name, values] of [[groupKey, groups ?? []], ...Object.entries(claims)] as const) {
      const place = JSON.stringify([issuer, name])
      // Rules that list the same are one list: else many of them would take long to compare.
      const text = JSON.stringify([place, values])
      if (values.length === 0 || lists.has(text)) continue
      lists.set(text, lists.size)
      note(place, values, lists.size)
    }
  }
  const alike = new Map(
    [...seen].map(([place, known]) => {
      const byLists = Map.groupBy(known, ([, ids]) => ids.join())
      return [place, [...byLists.values()].map((group) => group.map(([value]) => value))] as const
    }),
  )
  return (issuer, name, values) => {
    const wanted = new Set(values)
    const parts = alike.get(JSON.stringify([issuer, name])) ?? []
    return parts.filter((part) => wanted.has(part[0])).map((part) => ({ values: part }))
  }
}

/** No claim has this name: an empty one is refused. */
const groupKey = ''

const listPersons = (shape: WhoShape, findAlike: FindAlike): readonly Person[] => {
  if (shape === 'everyone') return [anybody]
  if ('github' in shape) return [createGithubPerson(shape.github)]
  return 'oidc' in shape ? listOidcPersons(shape.oidc, findAlike) : []
}

const createGithubPerson = (shape: GithubShape): Person => {
  const { id, orgId, team, teamId, app, server = 'github.com' } = shape
  const path = team?.toLowerCase()
  const orgs = [shape.org?.toLowerCase(), path?.split('/')[0]]
  return {
    ...anybody,
    kind: 'github',
    issuer: server,
    ...(id === undefined ? {} : { subject: id }),
    ...(app === undefined ? {} : { client: app }),
    orgs: new Map(orgs.flatMap((org) => (org === undefined ? [] : [[org, orgId] as const]))),
    teams: new Map(path === undefined ? [] : [[path, teamId]]),
  }
}

const listOidcPersons = (shape: OidcShape, findAlike: FindAlike): readonly Person[] => {
  const { issuer, subject, email, emailDomain, groups, claims = {}, client } = shape
  const base: Person = {
    ...anybody,
    kind: 'oidc',
    issuer,
    ...(subject === undefined ? {} : { subject }),
    ...(email === undefined ? {} : { email }),
    ...(emailDomain === undefined ? {} : { emailDomain }),
    ...(client === undefined ? {} : { client }),
  }
  const wanted = [
    ...(groups === undefined ? [] : [[groupKey, groups] as const]),
    ...Object.entries(claims),
  ]
  return wanted.reduce<readonly Person[]>(
    (persons, [name, values]) =>
      persons.flatMap((person) =>
        findAlike(issuer, name, values).map((alike) => {
          const key = JSON.stringify([name, alike.values[0]])
          return name === groupKey
            ? { ...person, groups: new Map([...person.groups, [key, alike]]) }
            : { ...person, claims: new Map([...person.claims, [key, { ...alike, claim: name }]]) }
        }),
      ),
    email !== undefined && emailDomain !== undefined && domainOf(email) !== emailDomain
      ? []
      : [base],
  )
}
