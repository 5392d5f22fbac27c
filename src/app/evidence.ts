import { join } from 'node:path'
import { parseVerifierKey } from '../audit/checkpoint.ts'
import { openCheckpointFile } from '../audit/checkpoint-file.ts'
import { type Keeper, openKeeper } from '../audit/evidence.ts'
import type { Log, Store } from '../audit/index.ts'
import { openLogKey, openOrCreateLogKey } from '../audit/log-key.ts'
import { openTiles } from '../audit/tiles.ts'
import { verifyTail } from '../audit/verify.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { encodeBase64 } from '../lib/bytes.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'

/** The key that signs the log's checkpoints. It is not the CA's, and opens nothing. */
export const findLogKey = (config: Config): string => join(config.dataDir, 'log.key')

/** The hashes of the log's tree: made of the log, and made again where they are gone. */
export const findTree = (config: Config): string => join(config.dataDir, 'tree')

/** The line by which others verify the log's checkpoints. Code: `not_found` before the first start. */
export const readVerifierKey = async (config: Config): Promise<string> =>
  (await openLogKey(findLogKey(config))).verifierKey

/** How many of the newest entries are verified at every start; `postern audit verify` reads all. */
const tailLength = 1_000

/** Code: `log_corrupt` where the newest entries do not verify. */
export const checkTail = async (store: Store): Promise<void> => {
  const verdict = await verifyTail(store, tailLength)
  if (verdict.ok) return
  throw new AppError('log_corrupt', `Entry ${verdict.seq} of the log does not verify.`, {
    detail: verdict.reason,
    hint: 'postern audit verify',
  })
}

/**
 * The log as evidence: its key, its tree and its checkpoints. Codes: `log_rollback`, `log_corrupt`,
 * `invalid_config`, `audit_unavailable`.
 */
export const openEvidence = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'head' | 'read'>
  readonly logger: Logger
  readonly accepted: { readonly rollback?: boolean }
}): Promise<Keeper> => {
  const { config, store, logger, accepted } = given
  const { checkpoints } = config.audit
  const key = await openOrCreateLogKey({
    path: findLogKey(config),
    origin: `${new URL(config.publicUrl).host}/log`,
    checkpoints,
  })
  const file = await openCheckpointFile(checkpoints, parseVerifierKey(key.verifierKey))
  const tiles = await openTiles(findTree(config))
  const acceptRollback = accepted.rollback === true
  const tell = (err: unknown) => logger.error({ err, file: checkpoints }, 'no checkpoint was kept')
  try {
    const keeper = await openKeeper({ store, key, tiles, file, acceptRollback, tell })
    if (keeper.lost !== undefined) {
      const { from, to } = keeper.lost
      logger.warn(
        { from, to },
        'entries are given up: order anew what they revoked, froze or enrolled',
      )
    }
    return keeper
  } catch (error) {
    await tiles.close()
    await file.close()
    throw error
  }
}

/** Puts an accepted rollback on the record, where there is one. Code: `audit_unavailable` */
export const recordRollback = async (given: {
  readonly config: Config
  readonly evidence: Pick<Keeper, 'lost'>
  readonly log: Log
  readonly clock: Clock
}): Promise<void> => {
  const { lost } = given.evidence
  if (lost === undefined) return
  const now = given.clock()
  // By then the longest that a lost entry can have spoken of has ended.
  const expired = new Date(now.getTime() + given.config.ca.maxTtlSeconds * 1000)
  await given.log.append({
    type: 'rollback',
    time: formatTime(now),
    checkpoint: { size: lost.checkpoint.size, root: encodeBase64(lost.checkpoint.root) },
    lost: { from: lost.from, to: lost.to },
    expiredBy: formatTime(expired),
  })
}
