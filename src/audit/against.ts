import type { Checkpoint } from './checkpoint.ts'
import { hashBody } from './entry.ts'
import type { Row } from './store.ts'
import { createFrontier, isSameHash, type TreeHash } from './tree.ts'
import { type ReadRows, type Verdict, verifyLog } from './verify.ts'

/** Up to `limit` hashes of entries, from number `from` on. */
export type ReadLeaves = (from: number, limit: number) => Promise<readonly TreeHash[]>

const chunk = 500

/**
 * Checks the whole log, and that it begins with exactly what the checkpoint was signed over. So it
 * finds what a chain alone cannot know: that entries were cut off the end, or that all of them from
 * some entry on were written anew. Of entries after the checkpoint it says what verifyLog says.
 *
 * The first bad entry is named exactly where the chain breaks there, or where `leaves` still lead to
 * the checkpoint's root. A log made anew without them is found all the same, and the first entry
 * after the last of `earlier` that still holds is named: none before it was changed.
 *
 * @throws AppError `audit_unavailable` where the log cannot be read.
 */
export const verifyAgainst = async (given: {
  readonly read: ReadRows
  readonly checkpoint: Checkpoint
  /** Older checkpoints of the same log, in any order. */
  readonly earlier?: readonly Checkpoint[]
  /** The hashes that the tree was made of, as the service keeps them beside the log. */
  readonly leaves?: ReadLeaves
  readonly onProgress?: (seq: number) => void
  readonly onRow?: (row: Row) => void
}): Promise<Verdict> => {
  const { read, checkpoint, leaves, onProgress } = given
  const points = [...(given.earlier ?? []), checkpoint].toSorted((a, b) => a.size - b.size)
  const bySize = Map.groupBy(points, ({ size }) => size)
  const frontier = createFrontier()
  /** The sizes at which a checkpoint was signed over this very log. */
  const held = new Set<number>()
  const compare = (): void => {
    const size = frontier.size()
    const roots = bySize.get(size) ?? []
    if (roots.some(({ root }) => isSameHash(frontier.root(), root))) held.add(size)
  }
  compare()
  const verdict = await verifyLog(read, {
    ...(onProgress === undefined ? {} : { onProgress }),
    onRow: (row) => {
      given.onRow?.(row)
      if (frontier.size() >= checkpoint.size) return
      frontier.add(Buffer.from(row.hash, 'hex'))
      compare()
    },
  })

  const faults = [
    verdict.ok ? undefined : verdict,
    verdict.ok && frontier.size() < checkpoint.size
      ? lack(frontier.size() + 1, checkpoint)
      : undefined,
  ].filter((fault) => fault !== undefined)
  // After an accepted rollback older checkpoints speak of entries that were given up: the newest decides.
  const isSigned = held.has(checkpoint.size)
  if (faults.length === 0 && isSigned) return verdict
  const changed = leaves && (await findChanged(read, leaves, checkpoint))
  if (changed !== undefined) faults.push(changed)
  else if (frontier.size() === checkpoint.size && !isSigned) {
    const last = Math.max(0, ...held)
    faults.push(suspect(last + 1, points.find(({ size }) => size > last) ?? checkpoint))
  }
  return faults.toSorted((a, b) => a.seq - b.seq)[0] as Verdict
}

type Fault = Extract<Verdict, { ok: false }>

const lack = (seq: number, { size }: Checkpoint): Fault => ({
  ok: false,
  seq,
  reason: `it is missing: the checkpoint counts ${size} entries`,
})

const suspect = (seq: number, { size }: Checkpoint): Fault => ({
  ok: false,
  seq,
  reason: `from it to entry ${size} the log was written anew: they are not what the checkpoint was signed over`,
})

/** The first entry that is not the one whose hash was signed; undefined where the hashes lead elsewhere themselves. */
const findChanged = async (
  read: ReadRows,
  leaves: ReadLeaves,
  { size, root }: Checkpoint,
): Promise<Fault | undefined> => {
  const frontier = createFrontier()
  for (let from = 1; from <= size; from += chunk) {
    const hashes = await leaves(from, Math.min(chunk, size - from + 1))
    for (const hash of hashes) frontier.add(hash)
  }
  if (frontier.size() !== size || !isSameHash(frontier.root(), root)) return undefined
  for (let from = 1; from <= size; from += chunk) {
    const hashes = await leaves(from, Math.min(chunk, size - from + 1))
    // A damaged file has been named by verifyLog, and nothing is to be read behind the damage.
    const rows = await read(from, hashes.length).catch(() => [])
    const at = hashes.findIndex((hash, n) => {
      const row = rows[n]
      const found = row?.seq === from + n ? Buffer.from(hashBody(row.body), 'hex') : undefined
      return found === undefined || !isSameHash(found, hash)
    })
    if (at >= 0) {
      const reason = 'it is not the entry that the checkpoint was signed over'
      return { ok: false, seq: from + at, reason }
    }
  }
  return undefined
}
