import { isDeepStrictEqual } from 'node:util'
import { findShared, findUncovered, type GlobSet } from '../globs.ts'
import { createMatcher } from '../match.ts'
import type { AllowShape } from '../schema.ts'
import { type Ground, type Looked, place, type Remark } from './ground.ts'
import { createNeighbours } from './neighbours.ts'
import { areShared, isWithin } from './terms.ts'

// Rules that get in each other's way. The first rule whose selectors hold decides, so what an earlier
// one takes whole never reaches a later one.

export const listShadows = (ground: Ground): readonly Remark[] => {
  const { rules } = ground
  const findNeighbours = createNeighbours(rules)
  return rules.flatMap((looked, index) => {
    const earlier = findNeighbours(index).map((other) => rules[other] as Looked)
    if (looked.rule.hosts.length === 0) {
      return [never(looked, 'no known host has what its hosts ask for', 'name other hosts')]
    }
    return [...listSpared(looked), ...listTaken(looked, earlier.filter(isSteady(looked)), ground)]
  })
}

const never = (looked: Looked, why: string, advice: string): Remark => ({
  entry: looked.entry,
  path: ['name'],
  level: 'error',
  code: 'never-matches',
  message: `the rule ${looked.rule.ref.name} can never match: ${why}`,
  advice,
})

/** A deny rule that spares everybody it names. */
const listSpared = (looked: Looked): readonly Remark[] => {
  const { shape } = looked.rule
  if (!('deny' in shape) || shape.except === undefined) return []
  const isAll = shape.who.every((one) =>
    shape.except?.some((other) => isDeepStrictEqual(one, other)),
  )
  return isAll
    ? [never(looked, 'it spares everybody it names', 'name somebody else in except')]
    : []
}

/** Rules that take what they take at any time the looked-at one speaks, and spare nobody. */
const isSteady =
  ({ rule }: Looked) =>
  ({ rule: other }: Looked): boolean =>
    (other.kind === 'allow' || other.shape.except === undefined) &&
    (other.shape.when === undefined || isDeepStrictEqual(other.shape.when, rule.shape.when)) &&
    (rule.kind === 'allow' || other.kind === 'deny')

const globsOf = ({ rule }: Looked, patterns = rule.hosts): GlobSet => ({
  patterns,
  crossDots: rule.kind === 'deny',
})

/** What an earlier rule takes of a later one, entry by entry. */
interface Cover {
  readonly by: Looked
  readonly who: readonly boolean[]
  readonly hosts: readonly boolean[]
  readonly logins: readonly boolean[]
}

const findCover = (looked: Looked, by: Looked): Cover | undefined => {
  const leaves = by.who.flat()
  const who = looked.who.map((entry) =>
    entry.every((leaf) => leaves.some((other) => isWithin(leaf, other))),
  )
  if (!who.includes(true)) return undefined
  const logins = looked.rule.shape.logins.map((login) => isLoginWithin(looked, login, by))
  if (!logins.includes(true)) return undefined
  const hosts = looked.hosts.map((patterns) =>
    patterns.every((pattern) => isHostWithin(looked, pattern, by)),
  )
  return hosts.includes(true) ? { by, who, hosts, logins } : undefined
}

/** Of nearly all pairs one name shows that it is not so, and no other is looked for. */
const isHostWithin = (looked: Looked, pattern: string, by: Looked): boolean =>
  createListMatcher(by)(pattern.replace(/[*?]/g, 'a')) &&
  findUncovered('host', globsOf(looked, [pattern]), [globsOf(by)]) === undefined

type Login = AllowShape['logins'][number]

const isLoginWithin = ({ rule }: Looked, login: Login, { rule: by }: Looked): boolean =>
  by.shape.logins.some((other) => {
    if (typeof login !== 'string') return other === '*' || isDeepStrictEqual(login, other)
    if (typeof other !== 'string') return false
    if (by.kind === 'allow') return login === other
    if (rule.kind === 'allow') return createMatcher(other, { crossDots: true })(login)
    const sets = [login, other].map((pattern) => ({ patterns: [pattern], crossDots: true }))
    return findUncovered('login', sets[0] as GlobSet, sets.slice(1)) === undefined
  })

const listTaken = (
  looked: Looked,
  earlier: readonly Looked[],
  ground: Ground,
): readonly Remark[] => {
  const covers = earlier.flatMap((by) => findCover(looked, by) ?? [])
  const { who, hosts } = looked
  const { logins } = looked.rule.shape
  const isTaken = (w: number, h: number, l: number) =>
    covers.some((cover) => cover.who[w] && cover.hosts[h] && cover.logins[l])
  const axes = { who: [...who.keys()], hosts: [...hosts.keys()], logins: [...logins.keys()] }
  const isAll = (fixed: Partial<Record<keyof typeof axes, number>>) =>
    axes.who
      .filter((w) => w === (fixed.who ?? w))
      .every((w) =>
        axes.hosts
          .filter((h) => h === (fixed.hosts ?? h))
          .every((h) =>
            axes.logins.filter((l) => l === (fixed.logins ?? l)).every((l) => isTaken(w, h, l)),
          ),
      )
  if (covers.length > 0 && isAll({})) return [createShadow(looked, covers)]
  const parts = (['who', 'hosts', 'logins'] as const).flatMap((key) =>
    axes[key].length < 2
      ? []
      : axes[key]
          .filter((at) => key !== 'hosts' || hosts[at]?.length !== 0)
          .filter((at) => isAll({ [key]: at }))
          .map((at) => ({ key, at })),
  )
  const dead = parts.flatMap(({ key, at }): readonly Remark[] => {
    const by = covers.find((cover) => cover[key][at])?.by
    if (by === undefined || hasSameGrant(looked, by) || isException(by, looked, ground)) return []
    return [
      {
        entry: looked.entry,
        path: [key, at],
        level: 'warning',
        code: 'partly-shadowed',
        message: `this entry of ${key} never counts: ${place(by.rule)} ${verb(by)} all of it first`,
        advice: 'move this rule up, or take the entry out',
      },
    ]
  })
  return [...dead, ...(parts.length > 0 ? [] : listOverlaps(looked, earlier, ground))]
}

const verb = ({ rule }: Looked): string => (rule.kind === 'deny' ? 'denies' : 'decides')

const createShadow = (looked: Looked, covers: readonly Cover[]): Remark => {
  const { entry, rule } = looked
  const by = [...new Set(covers.map((cover) => cover.by))]
  const host = findUncovered('host', globsOf(looked), []) ?? rule.hosts[0]
  const places = by.map((one) => place(one.rule)).join(' and ')
  const how = by.length === 1 ? verb(by[0] as Looked) : 'decide'
  const [login] = rule.shape.logins
  return {
    entry,
    path: ['name'],
    level: rule.kind === 'deny' ? 'warning' : 'error',
    code: 'never-matches',
    message: `the rule ${rule.ref.name} can never match: ${places} ${how} first, as for ${typeof login === 'string' ? `${login} on ` : ''}${host}`,
    advice: `put it before ${by[0]?.rule.ref.name}, narrow that one, or take this one out`,
  }
}

/** What a rule gives and asks for, without whom and where. */
const grantOf = ({ rule }: Looked): object => {
  const { name: _, who: _w, hosts: _h, logins: _l, when: _t, ...grant } = rule.shape
  return grant
}

const hasSameGrant = (a: Looked, b: Looked): boolean => isDeepStrictEqual(grantOf(a), grantOf(b))

/**
 * Allow rules that cross: each has asks of its own, and those of both fall to the earlier. A narrow
 * rule before a wide one is the ordinary way to write an exception, and no crossing.
 */
const listOverlaps = (
  looked: Looked,
  earlier: readonly Looked[],
  ground: Ground,
): readonly Remark[] => {
  if (looked.rule.kind === 'deny') return []
  const { entry, rule } = looked
  for (const other of earlier) {
    if (other.rule.kind === 'deny' || hasSameGrant(looked, other)) continue
    const login = rule.shape.logins.find((one) =>
      other.rule.shape.logins.some((two) => isDeepStrictEqual(one, two)),
    )
    if (login === undefined) continue
    const isShared = looked.who
      .flat()
      .some((leaf) => other.who.flat().some((two) => areShared(leaf, two)))
    if (!isShared || isException(other, looked, ground)) continue
    const host = findShared('host', [globsOf(looked), globsOf(other)])
    if (host === undefined) continue
    const words = typeof login === 'string' ? login : `the claim ${login.claim}`
    return [
      {
        entry,
        path: ['name'],
        level: 'warning',
        code: 'overlap',
        message: `the rules ${rule.ref.name} and ${place(other.rule)} overlap: both name the same people as ${words} on ${host}, where the earlier, ${other.rule.ref.name}, decides`,
        advice: 'split their hosts or people, or put the narrower one first',
      },
    ]
  }
  return []
}

/**
 * Whether an earlier allow rule lies wholly within a later one. Where the hosts are known by name,
 * those count, and not the names that nobody has.
 */
const isException = (earlier: Looked, later: Looked, { names }: Ground): boolean => {
  if (earlier.rule.kind === 'deny') return false
  const leaves = later.who.flat()
  const isHost = createListMatcher(later)
  const known = names.hosts.map(({ name }) => name).filter(createListMatcher(earlier))
  return (
    earlier.who.flat().every((leaf) => leaves.some((other) => isWithin(leaf, other))) &&
    earlier.rule.shape.logins.every((login) => isLoginWithin(earlier, login, later)) &&
    (known.length > 0
      ? known.every(isHost)
      : findUncovered('host', globsOf(earlier), [globsOf(later)]) === undefined)
  )
}

const createListMatcher = (looked: Looked): ((host: string) => boolean) => {
  const { patterns, crossDots } = globsOf(looked)
  const matchers = patterns.map((pattern) => createMatcher(pattern, { crossDots }))
  return (host) => matchers.some((matches) => matches(host))
}
