import type { Change } from './diff.ts'
import { createHostWords } from './host-words.ts'
import type { Outcome } from './outcomes.ts'
import type { Person } from './people.ts'
import type { Region } from './regions.ts'
import type { Places } from './situations.ts'
import { describeWhen } from './when.ts'
import type { People } from './who-people.ts'

/** A change for some people, at one place. */
export interface Spot {
  readonly person: Person
  readonly unless: readonly Person[]
  readonly outcome: Outcome
  readonly change: Pick<Change, 'kind' | 'direction' | 'before' | 'after' | 'differences'>
  readonly region: Region
  readonly login: string
  readonly instants: readonly number[]
}

/** Joins spots into changes, in the words of the rules: each said once, of as much as it is true of. */
export const createDescriber = (
  places: Places,
): ((spots: readonly Spot[], people: People) => readonly Change[]) => {
  const describeHosts = createHostWords(places)
  const describeTimes = createTimeWords(places)
  return (spots, people) => {
    const lines = spots.map((spot) => {
      const { person, unless } = spot
      const words = {
        people: people.describe(person),
        unless: unless.map((one) => people.describe(one, person)).sort(),
      }
      return { ...spot, words }
    })
    const byPerson = Map.groupBy(lines, ({ words, login, change }) =>
      JSON.stringify([words, login, change]),
    )
    const told = [...byPerson.values()].flatMap((group) => {
      const [{ words, login, change }] = group as [(typeof lines)[number]]
      const times = new Map<Region, number[]>()
      for (const { region, instants } of group) {
        times.set(region, [...(times.get(region) ?? []), ...instants])
      }
      const byTime = Map.groupBy(times, ([, instants]) => describeTimes(new Set(instants)) ?? '')
      return [...byTime].map(([when, list]) => {
        const hosts = describeHosts(list.map(([region]) => region))
        return { words, login, change, when, hosts }
      })
    })
    return joinLogins(joinPeople(told))
  }
}

interface Told {
  readonly words: { readonly people: string; readonly unless: readonly string[] }
  readonly login: string
  readonly change: Spot['change']
  readonly when: string
  readonly hosts: readonly string[]
}

const joinPeople = (told: readonly Told[]): readonly Change[] => {
  const alike = Map.groupBy(told, ({ words, login, change, when, hosts }) =>
    JSON.stringify([words.unless, login, change, when, hosts]),
  )
  return [...alike.values()].map((group) => {
    const [{ words, login, change, when, hosts }] = group as [Told]
    return {
      ...change,
      people: [...new Set(group.map((one) => one.words.people))],
      logins: [login],
      hosts,
      ...(when === '' ? {} : { when }),
      ...(words.unless.length === 0 ? {} : { unless: words.unless }),
    }
  })
}

const joinLogins = (changes: readonly Change[]): readonly Change[] => {
  const alike = Map.groupBy(changes, ({ logins: _, ...rest }) => JSON.stringify(rest))
  return [...alike.values()].map((group) => ({
    ...(group[0] as Change),
    logins: [...new Set(group.flatMap(({ logins }) => logins))],
  }))
}

/** Says of some instants when that is, by the rules' own `when`s; undefined for always. */
const createTimeWords =
  ({ whens, instants }: Places) =>
  (times: ReadonlySet<number>): string | undefined => {
    if (times.size === instants.length) return undefined
    const is = (holds: (at: readonly boolean[]) => boolean): boolean =>
      instants.every((instant, at) => times.has(at) === holds(instant.holds))
    const numbers = [...whens.keys()]
    const words = (at: number) => describeWhen(whens[at] as (typeof whens)[number])
    for (const one of numbers) {
      if (is((holds) => holds[one] === true)) return words(one)
      if (is((holds) => holds[one] === false)) return `not ${words(one)}`
    }
    for (const one of numbers) {
      for (const other of numbers) {
        if (is((holds) => holds[one] === true && holds[other] === false)) {
          return `${words(one)} but not ${words(other)}`
        }
        if (one < other && is((holds) => holds[one] === true && holds[other] === true)) {
          return `${words(one)}, and ${words(other)}`
        }
      }
    }
    const examples = [...times].slice(0, 3).map((at) => instants[at]?.at.toISOString())
    return `at times such as ${examples.join(', ')}`
  }

/** A change as a sentence: `team acme/dev may now be deploy on db-* [dev, web.yaml:4]`. */
export const formatChange = (change: Change): string => {
  const { kind, people, hosts, logins, role, when, unless = [], differences = [] } = change
  const who = people.join('; ')
  const rule = change.after ?? change.before
  // Another rule decides now: an admin looks for what it is where that one was.
  const { before, after } = change
  const isOther = before !== undefined && after !== undefined && before.name !== after.name
  const instead = isOther ? `, in place of ${before.name}` : ''
  const by = rule === undefined ? '' : ` [${rule.name}, ${rule.file}:${rule.line}${instead}]`
  const where = [
    `on ${hosts.join(', ')}`,
    ...(when === undefined ? [] : [when]),
    ...(unless.length === 0 ? [] : [`unless also ${joinShort(unless)}`]),
  ].join(', ')
  const login = logins.join(' or ')
  const what = differences.map(({ words, direction }) => `${words} (${direction})`).join('; ')
  const words = {
    gain: role === undefined ? `may now be ${login} ${where}` : `now has the role ${role}`,
    loss: role === undefined ? `loses ${login} ${where}` : `loses the role ${role}`,
    grant: `as ${login} ${where}: ${what}`,
  } as const satisfies Record<Change['kind'], string>
  return `${who} ${words[kind]}${by}`
}

const maxShort = 3

const joinShort = (items: readonly string[]): string =>
  items.length <= maxShort
    ? items.join(' or ')
    : `${items.slice(0, maxShort).join(' or ')} or ${items.length - maxShort} more`
