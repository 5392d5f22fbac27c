import type { Log } from './index.ts'
import { listEntries } from './read.ts'
import type { Store } from './store.ts'

/**
 * Records that a policy came into force. Its files' texts go in with the first entry of its SHA-256
 * alone. Resolves once the entry is durable. @throws AppError `audit_unavailable`
 */
export const appendPolicy = async (given: {
  readonly log: Log
  readonly store: Pick<Store, 'find'>
  /** RFC 3339 UTC. */
  readonly time: string
  readonly policy: {
    readonly sha256: string
    readonly ruleCount: number
    readonly files: Readonly<Record<string, string>>
  }
}): Promise<{ readonly seq: number }> => {
  const { log, store, time } = given
  const { sha256, ruleCount, files } = given.policy
  const known = await store.find({ type: 'policy', policy: sha256 }, 1)
  const texts = known.length > 0 ? {} : { files }
  return log.append({ type: 'policy', time, policy: sha256, rules: ruleCount, ...texts })
}

const pageSize = 100

/**
 * Since which entry this policy has been in force without another one between; undefined where the
 * newest `policy` entry names another. Each start writes one, also for the same policy.
 */
export const findPolicyStart = async (
  store: Pick<Store, 'find'>,
  sha256: string,
): Promise<number | undefined> => {
  let start: number | undefined
  for (;;) {
    const found = await listEntries(store, { type: 'policy' }, pageSize, start)
    for (const { seq, entry } of found) {
      if (entry.policy !== sha256) return start
      start = seq
    }
    if (found.length < pageSize) return start
  }
}
