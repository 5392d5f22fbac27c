import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { verifyAgainst } from '../audit/against.ts'
import { parseVerifierKey, signCheckpoint } from '../audit/checkpoint.ts'
import { findNewestCheckpoint } from '../audit/checkpoint-file.ts'
import { openLogKey } from '../audit/log-key.ts'
import { createFrontier } from '../audit/tree.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { copyLog, openReader } from '../store/index.ts'
import { findLogKey } from './evidence.ts'

/**
 * Copies the log to `target` while the service runs, verifies the copy whole, also against the
 * newest checkpoint there was, and signs what it holds as `target`.checkpoint. The CA key and the
 * key of the log are not in it. Answers how many entries it holds.
 *
 * Codes: `already_exists`, `not_found` before the first start, `log_corrupt` where the log does not
 * verify: then nothing is left behind, for it would stand in for a good backup.
 */
export const backupLog = async (
  config: Config,
  target: string,
  onProgress: (seq: number) => void,
): Promise<{ readonly count: number; readonly checkpoint: string }> => {
  const key = await openLogKey(findLogKey(config))
  const verifier = parseVerifierKey(key.verifierKey)
  // Read before the copy is made, which then holds all that it counts.
  const newest = await findNewestCheckpoint(config.audit.checkpoints, verifier)
  const checkpoint = `${target}.checkpoint`
  for (const path of [target, checkpoint]) await checkAbsent(path)

  const draft = `${target}.partial`
  await rm(draft, { force: true })
  await copyLog(join(config.dataDir, 'postern.db'), draft).catch((error: unknown) => {
    throw explainTarget(error, target)
  })
  try {
    const frontier = createFrontier()
    const onRow = ({ hash }: { readonly hash: string }) => frontier.add(Buffer.from(hash, 'hex'))
    const reader = await openReader(draft)
    try {
      const nothing = { origin: key.origin, size: 0, root: frontier.root() }
      const checkpoint = newest ?? nothing
      const verdict = await verifyAgainst({ read: reader.read, checkpoint, onRow, onProgress })
      if (!verdict.ok) {
        throw new AppError(
          'log_corrupt',
          `No backup was made: entry ${verdict.seq} does not verify: ${verdict.reason}.`,
          { hint: 'postern audit verify' },
        )
      }
    } finally {
      await reader.close()
    }
    const count = frontier.size()
    await writeNew(checkpoint, signCheckpoint(key, { size: count, root: frontier.root() }))
    await rename(draft, target).catch(async (error: unknown) => {
      // Alone it would keep the next backup from this name.
      await rm(checkpoint, { force: true })
      throw error
    })
    await syncDirectory(dirname(target))
    return { count, checkpoint }
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** Where the copy cannot be written, the log and the configuration are not to blame. */
const explainTarget = (error: unknown, target: string): unknown => {
  if (!(error instanceof AppError)) return error
  const { code, detail = '' } = error
  if (detail.startsWith('SQLITE_FULL')) {
    return new AppError('audit_unavailable', 'The backup cannot be written: there is no room.', {
      hint: `make room in ${dirname(target)}, or name a file elsewhere`,
      cause: error,
    })
  }
  if (code !== 'invalid_config' || !/^E[A-Z]+: /.test(detail)) return error
  return new AppError('not_found', 'The backup cannot be written there.', {
    detail,
    hint: 'name a file in a directory that exists and may be written',
    cause: error,
  })
}

const checkAbsent = async (path: string): Promise<void> => {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return
  throw new AppError('already_exists', `${path} exists already; nothing was written.`, {
    hint: 'name another file: postern backup FILE',
  })
}

const writeNew = async (path: string, text: string): Promise<void> => {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (error) {
    // Half a checkpoint would keep the next backup from this name.
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
