import { resolve } from 'node:path'
import { verifyAgainst } from '../../audit/against.ts'
import { type Checkpoint, parseVerifierKey } from '../../audit/checkpoint.ts'
import { listCheckpoints } from '../../audit/checkpoint-file.ts'
import type { Store } from '../../audit/index.ts'
import { listEntries } from '../../audit/read.ts'
import { openLeaves } from '../../audit/tiles.ts'
import { verifyLog } from '../../audit/verify.ts'
import type { Config } from '../../config.ts'
import { AppError } from '../../errors.ts'
import { encodeBase64 } from '../../lib/bytes.ts'
import { type Command, jsonOption, type Options, readConfig } from '../command.ts'
import { withLog } from '../reading.ts'

export const auditVerify: Command = {
  name: 'audit verify',
  summary: 'read the whole log, and name the first entry that is not as it was written',
  options: [
    {
      flags: '--against <file>',
      summary: 'a checkpoint kept elsewhere (default: the file in audit.checkpoints)',
    },
    {
      flags: '--signed-by <line>',
      summary: 'the key that signed it, as audit key prints it (default: log.key in dataDir)',
    },
    jsonOption,
  ],
  examples: [
    'postern audit verify',
    'postern audit verify --against /mnt/other/checkpoint.txt',
    'postern audit verify --json',
  ],
  async run(context, _argument, options) {
    const { output } = context
    return withLog(context, async (store, config) => {
      const last = (await store.head())?.seq ?? 0
      const points = await readCheckpoints(config, context.cwd, options)
      const verdict = await verifyBy(config, store, points, (seq) =>
        output.progress(`verified ${seq} of ${last}`),
      )
      output.progress('')
      const checkpoint = points.at(-1)
      if (options['json'] === true) {
        const signed = checkpoint && { size: checkpoint.size, root: encodeBase64(checkpoint.root) }
        output.json({ ...verdict, ...(signed === undefined ? {} : { checkpoint: signed }) })
        return verdict.ok ? 0 : 1
      }
      if (!verdict.ok) {
        throw new AppError(
          'log_corrupt',
          `Entry ${verdict.seq} does not verify: ${verdict.reason}.`,
          await explainByRollback(store, checkpoint),
        )
      }
      const { count, head } = verdict
      output.line(`ok: ${count} ${count === 1 ? 'entry' : 'entries'}`)
      if (checkpoint !== undefined) {
        output.line(`signed: ${checkpoint.size} ${encodeBase64(checkpoint.root)}`)
      }
      if (head !== undefined) output.line(`newest: ${head.seq} ${head.hash}`)
      return 0
    })
  },
}

export const auditKey: Command = {
  name: 'audit key',
  summary: "print the key that the log's checkpoints are verified with",
  options: [jsonOption],
  examples: ['postern audit key', 'postern audit key > /mnt/other/postern.key'],
  async run(context, _argument, { json }) {
    const config = await readConfig(context)
    const { readVerifierKey } = await import('../../app/evidence.ts')
    const verifierKey = await readVerifierKey(config)
    if (json === true) context.output.json({ verifierKey })
    else context.output.line(verifierKey)
    return 0
  },
}

/**
 * The checkpoints to judge by, the newest last. The log's own may be missing: nothing was served yet, or this user
 * may not read the key. One that is named may not.
 */
const readCheckpoints = async (
  config: Config,
  cwd: string,
  { against, signedBy }: Options,
): Promise<readonly Checkpoint[]> => {
  const { readVerifierKey } = await import('../../app/evidence.ts')
  const isNamed = typeof against === 'string'
  const file = isNamed ? resolve(cwd, against) : config.audit.checkpoints
  const text =
    typeof signedBy === 'string'
      ? signedBy
      : await readVerifierKey(config).catch((error: unknown) => {
          if (isNamed) throw error
          return undefined
        })
  if (text === undefined) return []
  const found = await listCheckpoints(file, parseVerifierKey(text))
  if (isNamed && found.length === 0) {
    throw new AppError('invalid_checkpoint', 'There is no file of that name.', {
      detail: file,
      hint: 'curl -fsS https://postern.example.com/v1/audit/checkpoint > checkpoint.txt',
    })
  }
  return found
}

/** Whoever kept a checkpoint of a log that was given up since learns that the log says so itself. */
const explainByRollback = async (
  store: Pick<Store, 'find'>,
  checkpoint: Checkpoint | undefined,
): Promise<{ readonly hint?: string }> => {
  if (checkpoint === undefined) return {}
  // A log that does not verify may not be readable either.
  const rollbacks = await listEntries(store, { type: 'rollback' }, 100).catch(() => [])
  for (const { seq, entry } of rollbacks) {
    if (entry.type !== 'rollback') continue
    const { from, to } = entry.lost
    if (checkpoint.size < from || checkpoint.size > to) continue
    const hint = `entry ${seq} says that entries ${from} to ${to} of an earlier log were given up, and the checkpoint counts some of those: judge by a newer one as well`
    return { hint }
  }
  return {}
}

const verifyBy = async (
  config: Config,
  store: Pick<Store, 'read'>,
  points: readonly Checkpoint[],
  onProgress: (seq: number) => void,
) => {
  const checkpoint = points.at(-1)
  if (checkpoint === undefined) return verifyLog(store.read, { onProgress })
  const { findTree } = await import('../../app/evidence.ts')
  const leaves = await openLeaves(findTree(config))
  try {
    const witness = leaves === undefined ? {} : { leaves: leaves.read }
    const given = { read: store.read, checkpoint, earlier: points.slice(0, -1), onProgress }
    return await verifyAgainst({ ...given, ...witness })
  } finally {
    await leaves?.close()
  }
}
