import { parseEntry } from '../audit/entry.ts'
import type { Store } from '../audit/index.ts'
import { searchLog } from '../audit/search.ts'
import type { Config } from '../config.ts'
import { readRegistry } from '../enrol/read.ts'
import { AppError } from '../errors.ts'
import { createHosts } from '../hosts/list.ts'
import { formatProblem } from '../lib/yaml.ts'
import { loadPolicy } from '../policy/load.ts'

/** A host that certificates were asked for, and what became of it. */
export interface AskedHost {
  readonly host: string
  readonly allowed: number
  readonly refused: number
  /** RFC 3339 UTC. */
  readonly last: string
}

/** How many hosts are told apart: whoever asks for made-up names fills no memory. */
const mostHosts = 10_000

/**
 * The hosts asked for since a time that stand neither in the policy files nor among those that
 * enrolled, the most asked for first. Code: `invalid_policy`.
 */
export const findUnknownHosts = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'find' | 'findAfter'>
  readonly since: string | undefined
}): Promise<readonly AskedHost[]> => {
  const { config, store, since } = given
  const result = await loadPolicy(config.policyDir)
  if (!result.ok) {
    throw new AppError('invalid_policy', result.problems.map(formatProblem).join('\n'))
  }
  const { enrolled, isRemoved } = await readRegistry(store)
  const { policy } = result
  const listed = () => policy.hosts
  const hosts = createHosts({ listed, enrolled, isRemoved, reports: new Map() })
  const found = new Map<string, AskedHost>()
  const filters = ['allow', 'deny'].map((type) => ({
    type,
    ...(since === undefined ? {} : { since }),
  }))
  for await (const rows of searchLog({ store, filters, order: 'newest', pageSize: 1_000 })) {
    for (const row of rows) {
      const { entry } = parseEntry(row)
      if ((entry.type !== 'allow' && entry.type !== 'deny') || entry.ask === undefined) continue
      const { host } = entry.ask
      if (hosts.find(host) !== undefined) continue
      const known = found.get(host)
      if (known === undefined && found.size >= mostHosts) continue
      const isAllowed = entry.type === 'allow'
      found.set(host, {
        host,
        allowed: (known?.allowed ?? 0) + (isAllowed ? 1 : 0),
        refused: (known?.refused ?? 0) + (isAllowed ? 0 : 1),
        last: known?.last ?? entry.time,
      })
    }
  }
  return [...found.values()].sort((a, b) => b.allowed + b.refused - a.allowed - a.refused)
}
