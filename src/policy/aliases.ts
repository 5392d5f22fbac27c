import type { Path } from '../lib/yaml.ts'
import { type Finding, hasLabel, type Names } from './consistency.ts'
import type { KnownHost } from './index.ts'
import { createMatcher, isPattern } from './match.ts'
import type { HostShape } from './values.ts'

/** The name of the host that is meant by a name or an alias; the text itself where it is neither. */
export const resolveHost = (hosts: readonly KnownHost[], text: string): string =>
  hosts.find(({ name, aliases }) => name === text || aliases.includes(text))?.name ?? text

/**
 * Finds entries that speak of a host by an alias. An ask for an alias is taken for one for the name
 * before any rule is read: such an entry would match nothing, and what it should refuse would be
 * allowed.
 */
export const createAliasFindings = ({ hosts, hostGroups }: Pick<Names, 'hosts' | 'hostGroups'>) => {
  const byAlias = new Map(
    hosts.flatMap((host) => host.aliases.map((alias) => [alias, host] as const)),
  )
  const holds = (entry: HostShape, host: KnownHost): boolean => {
    if (typeof entry === 'string') return createMatcher(entry, { crossDots: true })(host.name)
    if ('label' in entry) return hasLabel(host, entry.label)
    return (hostGroups.get(entry.hostGroup) ?? []).some((one) => holds(one, host))
  }
  /** An alias that a pattern of a rule that denies matches, of a host that the rule does not hold. */
  const findMissed = (pattern: string, entries: readonly HostShape[]) => {
    const isMatch = createMatcher(pattern, { crossDots: true })
    return [...byAlias].find(
      ([alias, host]) => isMatch(alias) && !entries.some((entry) => holds(entry, host)),
    )
  }

  /** The patterns of an entry, or of the group that it names. */
  const listPatterns = (entry: HostShape): readonly string[] => {
    if (typeof entry === 'string') return isPattern(entry) ? [entry] : []
    return 'label' in entry ? [] : (hostGroups.get(entry.hostGroup) ?? []).flatMap(listPatterns)
  }

  return (under: Path, entries: readonly HostShape[], isDeny: boolean): readonly Finding[] => {
    if (byAlias.size === 0) return []
    return entries.flatMap((entry, at) => {
      const path = [...under, at]
      const host = typeof entry === 'string' ? byAlias.get(entry) : undefined
      if (host !== undefined) {
        const message = `is an alias of ${host.name}, and an ask for it is taken for one for that; write the name`
        return [{ path, message }]
      }
      // What a group may hold for a rule that allows, it may not for one that denies.
      const patterns = isDeny ? listPatterns(entry) : []
      const found = patterns.map((one) => findMissed(one, entries)).find((one) => one !== undefined)
      if (found === undefined) return []
      const [alias, missed] = found
      const message = `matches ${alias}, an ask for which is taken for one for ${missed.name}, and not that; name that host as well`
      return [{ path, message }]
    })
  }
}
