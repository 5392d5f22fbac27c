import { AppError } from '../errors.ts'
import type { EnrolledHost, Host, HostReport, Hosts, ListedHost } from './index.ts'

/**
 * The policy's hosts and those that enrolled as one list. Nothing is kept but an index of the
 * policy's, made anew when another policy is in force: what enrols is seen at once.
 */
export const createHosts = (deps: {
  /** The hosts of the policy in force: the same array as long as it is. */
  readonly listed: () => readonly ListedHost[]
  readonly enrolled: ReadonlyMap<string, EnrolledHost>
  /**
   * Whether it had enrolled, and was taken off the list: then no login of it is opened, and nothing
   * is heard of it, wherever else it is listed.
   */
  readonly isRemoved: (name: string) => boolean
  readonly reports: ReadonlyMap<string, HostReport>
}): Hosts => {
  const { enrolled, isRemoved, reports } = deps
  let index = createIndex(deps.listed())
  const findIndex = () => {
    const listed = deps.listed()
    if (index.listed !== listed) index = createIndex(listed)
    return index
  }

  const findByName = (name: string): Host | undefined => {
    const known = findIndex().byName.get(name)
    const own = enrolled.get(name)
    if (known === undefined && own === undefined) return undefined
    if (isRemoved(name)) return Object.freeze({ ...mergeHost(name, known), logins: [] })
    return Object.freeze(mergeHost(name, known, own, reports.get(name)))
  }

  const has = (name: string) => findIndex().byName.has(name) || enrolled.has(name)

  return Object.freeze({
    has,
    findListed: (name: string) => findIndex().byName.get(name),
    find(name: string) {
      const canonical = findIndex().byAlias.get(name)
      return findByName(name) ?? (canonical === undefined ? undefined : findByName(canonical))
    },
    resolve: (name: string) => (has(name) ? name : (findIndex().byAlias.get(name) ?? name)),
    list: () =>
      [...new Set([...findIndex().byName.keys(), ...enrolled.keys()])]
        .sort()
        .map((name) => findByName(name) as Host),
  })
}

/** For a service whose certificates are for hosts on the list alone. Code: `host_unknown`. */
export const createCheckHost =
  (hosts: Hosts) =>
  (name: string): void => {
    if (hosts.has(name)) return
    throw new AppError(
      'host_unknown',
      `No host ${name} is on the list of this service: ask an administrator to invite it, or to list it in the policy.`,
    )
  }

const createIndex = (listed: readonly ListedHost[]) => ({
  listed,
  byName: new Map(listed.map((host) => [host.name, host])),
  byAlias: new Map(
    listed.flatMap(({ name, aliases }) => aliases.map((alias) => [alias, name] as const)),
  ),
})

/** The port that sshd has where nobody says another. */
const usualPort = 22

const mergeHost = (
  name: string,
  known: ListedHost | undefined,
  own?: EnrolledHost,
  report?: HostReport,
): Host => {
  const address = known?.address ?? own?.address
  return {
    name,
    aliases: known?.aliases ?? [],
    ...(address === undefined ? {} : { address }),
    port: known?.port ?? own?.port ?? usualPort,
    labels: known?.labels ?? {},
    logins: chooseFilled(known?.logins, own?.logins),
    hostKeys: chooseFilled(known?.hostKeys, own?.hostKeys),
    source: own === undefined ? 'policy' : 'enrolled',
    ...(own === undefined ? {} : { enrolledAt: own.enrolledAt }),
    ...(report === undefined ? {} : { lastSeen: report.seenAt, trustVersion: report.version }),
  }
}

const chooseFilled = (
  first: readonly string[] | undefined,
  second: readonly string[] | undefined,
): readonly string[] => (first !== undefined && first.length > 0 ? first : (second ?? []))
