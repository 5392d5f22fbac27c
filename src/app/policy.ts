import type { Log, Store } from '../audit/index.ts'
import { appendPolicy, findPolicyStart } from '../audit/policies.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Metrics } from '../http/index.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { formatProblem, type Problem } from '../lib/yaml.ts'
import type { Policy } from '../policy/index.ts'
import { openPolicy, type Watch, watchPolicy } from '../policy/watch.ts'

/** A policy that was loaded, from files that looked so, and is not yet in force. */
export interface LoadedPolicy {
  readonly policy: Policy
  readonly signature: string
}

/** How many problems of a policy that does not load an entry names. */
const maxProblems = 20

const root = 0

const optionsOf = ({ ca }: Config) => ({
  maxTtlSeconds: ca.maxTtlSeconds,
  owners: [root, process.geteuid?.() ?? root],
})

/** Loads the policy of the configuration. Code: `invalid_policy`, naming every problem. */
export const loadConfigured = async (config: Config, logger: Logger): Promise<LoadedPolicy> => {
  const { policyDir } = config
  const { result, signature } = await openPolicy(policyDir, optionsOf(config))
  if (!result.ok) {
    throw new AppError('invalid_policy', result.problems.map(formatProblem).join('\n'), {
      hint: `postern policy check ${policyDir}`,
    })
  }
  const { policy, warnings } = result
  warn(logger, policyDir, policy, warnings)
  return { policy, signature }
}

/** The policy in force, and the number of the entry by which it came into force. */
export interface EnforcedPolicy extends Watch {
  since(): number
}

/** Puts a policy on the record and in force, and from then on each that takes its place. */
export const enforcePolicy = async (given: {
  readonly config: Config
  readonly loaded: LoadedPolicy
  readonly log: Log
  readonly store: Pick<Store, 'find'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'setPolicy' | 'countReloadFailure'>
}): Promise<EnforcedPolicy> => {
  const { config, loaded, log, store, clock, logger, metrics } = given
  const { policyDir: directory } = config

  const known = await findPolicyStart(store, loaded.policy.sha256)
  /** By policy, as one is in force only some time after its entry is written. */
  const starts = new WeakMap<Policy, number>()
  const record = async (policy: Policy, start?: number) => {
    const { seq } = await appendPolicy({ log, store, time: formatTime(clock()), policy })
    starts.set(policy, start ?? seq)
    metrics.setPolicy(policy.sha256, clock())
  }
  await record(loaded.policy, known)

  const watch: Watch = watchPolicy({
    directory,
    options: optionsOf(config),
    ...loaded,
    events: {
      async onPolicy(policy, warnings) {
        const { sha256, ruleCount } = policy
        await record(policy).catch((error) => {
          metrics.countReloadFailure()
          logger.error({ sha256, detail: error.detail }, 'the new policy cannot be recorded')
          throw error
        })
        logger.info({ sha256, rules: ruleCount }, 'a new policy is in force')
        warn(logger, directory, policy, warnings)
      },
      async onFailure(problems) {
        metrics.countReloadFailure()
        for (const problem of problems.slice(0, maxProblems)) {
          logger.error({ policy: formatProblem(problem) }, 'the policy does not load')
        }
        await log.append({
          type: 'policy-error',
          time: formatTime(clock()),
          policy: watch.current().sha256,
          problems: problems.slice(0, maxProblems),
          count: problems.length,
        })
      },
    },
  })
  return Object.freeze({ ...watch, since: () => starts.get(watch.current()) as number })
}

const warn = (
  logger: Logger,
  policyDir: string,
  policy: Policy,
  warnings: readonly Problem[],
): void => {
  for (const warning of warnings) logger.warn({ policy: formatProblem(warning) }, 'policy')
  if (policy.ruleCount > 0) return
  logger.warn({ policyDir }, 'the policy has no rule: everyone is refused')
}
