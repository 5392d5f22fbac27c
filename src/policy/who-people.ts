import { type Alike, anybody, byId, domainOf, type Person } from './people.ts'
import type { GithubShape, OidcShape, WhoShape } from './who-schema.ts'

// The entries of `who` as people, and people in the words of such entries.

/** Turns the entries of a `who` into people; made for all the entries that are to be compared. */
export interface People {
  list(entries: readonly WhoShape[]): readonly Person[]
  /** In words: `team acme/dev`. Only what is not in `beside`, where that is given. */
  describe(person: Person, beside?: Person): string
}

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
    const teams = dropNamed(fresh(person.teams, beside.teams), (path, teamId) => {
      const orgId = person.orgs.get(path.split('/')[0] ?? '')
      return orgId === undefined ? undefined : byId(orgId, teamId)
    })
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
      ...dropNamed(fresh(person.orgs, beside.orgs), (_, orgId) => byId(orgId))
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

type Place = readonly [string, string | undefined]

/** Without the ids of those that stand there by their name as well. */
const dropNamed = (
  places: readonly Place[],
  find: (name: string, id: string) => string | undefined,
): readonly Place[] => {
  const named = new Set(places.map(([name, id]) => (id === undefined ? undefined : find(name, id))))
  return places.filter(([name]) => !named.has(name))
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
    .filter((org) => org !== undefined)
    .map((org) => [org, orgId] as const)
  return {
    ...anybody,
    kind: 'github',
    issuer: server,
    ...(id === undefined ? {} : { subject: id }),
    ...(app === undefined ? {} : { client: app }),
    // Whoever is in one that has a name and an id is in the one of that id, whatever it is called.
    orgs: new Map([...orgs, ...(orgId === undefined ? [] : [[byId(orgId), undefined] as const])]),
    teams: new Map([
      ...(path === undefined ? [] : [[path, teamId] as const]),
      ...(orgId === undefined || teamId === undefined
        ? []
        : [[byId(orgId, teamId), undefined] as const]),
    ]),
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
