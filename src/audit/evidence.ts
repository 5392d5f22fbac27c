import { AppError } from '../errors.ts'
import { encodeBase64 } from '../lib/bytes.ts'
import { type Checkpoint, type LogKey, signCheckpoint } from './checkpoint.ts'
import type { CheckpointFile } from './checkpoint-file.ts'
import type { Evidence } from './index.ts'
import type { Head, Row, Store } from './store.ts'
import type { Tiles } from './tiles.ts'
import { isSameHash, listConsistencyRanges, listInclusionRanges, type TreeHash } from './tree.ts'

/** The log as a tree that signs what it is, kept beside the log by its one writer. */
export interface Keeper extends Evidence {
  /** What the checkpoints say was lost, where an older log was put back and that is accepted. */
  readonly lost: Lost | undefined
  /** To be told of rows once they are durable, in order. Never throws. */
  onWritten(rows: readonly Row[]): void
  /** Signs and keeps the log as it is, and then every minute. Rejects where that fails the first time. */
  start(): Promise<void>
  /** Signs what was written since, and closes the files. */
  close(): Promise<void>
}

/** The entries that a checkpoint counted and the log no longer has. */
export interface Lost {
  readonly checkpoint: Checkpoint
  readonly from: number
  readonly to: number
}

const readSize = 500
/** A log longer than this without a checkpoint (of an older postern) is read while it serves. */
const waitedFor = 20_000
const everyEntries = 1_000
const everySeconds = 60
/** A tree that is made anew is written as it grows, for it may be larger than the memory. */
const flushedEvery = 20_000

/**
 * Compares the log with its newest checkpoint, and goes on from there. What a start can see at once:
 * that the log is shorter (`log_rollback`, unless `acceptRollback`), or that the entry a checkpoint
 * ends with is another; through the chain that entry speaks for all before it (`log_corrupt`).
 * Everything is read only where the tree's files are gone or damaged.
 */
export const openKeeper = async (deps: {
  readonly store: Pick<Store, 'head' | 'read'>
  readonly key: LogKey
  readonly tiles: Tiles
  readonly file: CheckpointFile
  readonly acceptRollback: boolean
  /** Hears of a checkpoint that could not be kept. */
  readonly tell: (error: unknown) => void
}): Promise<Keeper> => {
  const { store, key, tiles, file } = deps
  const newest = file.newest?.checkpoint
  const head = await store.head()
  const lost = newest && findLost(newest, head)
  const isLoaded = newest !== undefined && (await tiles.load(newest))
  if (lost !== undefined) {
    const last = isLoaded && head !== undefined ? await tiles.findLeaf(head.seq - 1) : undefined
    if (last !== undefined && !isSameHash(last, toLeaf(head as Head)))
      throw diverged(newest as Checkpoint)
    if (!deps.acceptRollback) throw rolledBack(lost)
    // What the lost entries had added goes: the tree is made of the log as it is now.
    await tiles.load({ size: 0, root: new Uint8Array() })
  }
  /** What the tree must still be found to agree with. */
  let expected = lost === undefined && !isLoaded ? newest : undefined
  if (lost === undefined && newest !== undefined && newest.size > 0) {
    const [row] = await store.read(newest.size, 1)
    const leaf = isLoaded ? await tiles.findLeaf(newest.size - 1) : undefined
    if (row?.seq !== newest.size || (leaf !== undefined && !isSameHash(leaf, toLeaf(row)))) {
      throw diverged(newest)
    }
  }

  let published = lost === undefined ? file.newest : undefined
  let attempted = published?.checkpoint.size ?? 0
  let fault: string | undefined
  let timer: NodeJS.Timeout | undefined
  let publishing: Promise<void> | undefined
  let isClosing = false

  const addRows = (rows: readonly Row[]): void => {
    for (const row of rows) {
      if (row.seq !== tiles.size() + 1) continue
      tiles.add(toLeaf(row))
      if (expected === undefined || tiles.size() !== expected.size) continue
      if (!isSameHash(tiles.root(), expected.root)) throw diverged(expected)
      expected = undefined
    }
  }

  /** Whatever was not heard of: the log of an older postern, or rows of a commit that seemed to fail. */
  const catchUp = async (): Promise<void> => {
    let isMore = true
    while (isMore) {
      const rows = await store.read(tiles.size() + 1, readSize)
      addRows(rows)
      if (tiles.size() % flushedEvery < readSize) await tiles.flush()
      // A tree that is far behind is not waited for at the end: the next start goes on with it.
      isMore = rows.length === readSize && !isClosing
    }
  }

  const publish = async (): Promise<void> => {
    await catchUp()
    const checkpoint = { origin: key.origin, size: tiles.size(), root: tiles.root() }
    attempted = checkpoint.size
    if (checkpoint.size === published?.checkpoint.size && fault === undefined) return
    const note = signCheckpoint(key, checkpoint)
    try {
      await tiles.flush()
      await file.append(note)
    } catch (cause) {
      throw notKept(cause)
    }
    published = { checkpoint, note }
    fault = undefined
  }
  const publishOnce = (): Promise<void> => {
    publishing ??= publish().finally(() => {
      publishing = undefined
    })
    return publishing
  }
  const publishOrTell = (): void => {
    publishOnce().catch((error: unknown) => {
      fault = error instanceof AppError ? (error.detail ?? error.message) : String(error)
      deps.tell(error)
    })
  }

  const sizeOf = (size = published?.checkpoint.size): number => {
    if (published === undefined || size === undefined) {
      throw new AppError('audit_unavailable', 'There is no checkpoint yet: try again shortly.', {
        detail: 'the tree is being made',
        retryAfter: 5,
      })
    }
    if (size > published.checkpoint.size) {
      throw new AppError(
        'invalid_request',
        `The newest checkpoint counts ${published.checkpoint.size} entries: ask for no more than those.`,
      )
    }
    return size
  }

  return Object.freeze({
    lost,
    onWritten(rows: readonly Row[]) {
      // Of rows that don't follow, catchUp hears.
      if (rows[0]?.seq === tiles.size() + 1) addRows(rows)
      if (tiles.size() - attempted >= everyEntries) publishOrTell()
    },
    async start() {
      const { seq = 0 } = (await store.head()) ?? {}
      const isFar = seq - tiles.size() > waitedFor && expected === undefined
      if (isFar) publishOrTell()
      else await publishOnce()
      timer = setInterval(publishOrTell, everySeconds * 1000)
      timer.unref()
    },
    check: () =>
      fault === undefined ? ({ ok: true } as const) : ({ ok: false, reason: fault } as const),
    checkpoint: () => {
      sizeOf()
      return published?.note as string
    },
    async proveInclusion(seq: number, asked?: number) {
      const size = sizeOf(asked)
      if (seq < 1 || seq > size) {
        throw new AppError('invalid_request', `There is no entry ${seq} among the first ${size}.`)
      }
      const [leaf, root, hashes] = await Promise.all([
        tiles.hashRange({ start: seq - 1, end: seq }),
        tiles.hashRange({ start: 0, end: size }),
        Promise.all(listInclusionRanges(seq - 1, size).map(tiles.hashRange)),
      ])
      return {
        seq,
        size,
        leaf: encodeBase64(leaf),
        root: encodeBase64(root),
        hashes: hashes.map(encodeBase64),
      }
    },
    async proveConsistency(from: number, asked?: number) {
      const to = sizeOf(asked)
      if (from < 1 || from > to) {
        throw new AppError('invalid_request', `Ask from a size between 1 and ${to}.`)
      }
      const [fromRoot, root, hashes] = await Promise.all([
        tiles.hashRange({ start: 0, end: from }),
        tiles.hashRange({ start: 0, end: to }),
        Promise.all(listConsistencyRanges(from, to).map(tiles.hashRange)),
      ])
      return {
        from,
        to,
        fromRoot: encodeBase64(fromRoot),
        root: encodeBase64(root),
        hashes: hashes.map(encodeBase64),
      }
    },
    async close() {
      clearInterval(timer)
      isClosing = true
      try {
        // One that is under way may have begun before the last entries.
        await publishing?.catch(() => {})
        if (timer !== undefined) await publishOnce()
      } catch (error) {
        deps.tell(error)
      } finally {
        await tiles.close()
        await file.close()
      }
    },
  })
}

const toLeaf = ({ hash }: Pick<Row, 'hash'>): TreeHash => Buffer.from(hash, 'hex')

const findLost = (checkpoint: Checkpoint, head: Head | undefined): Lost | undefined => {
  const from = (head?.seq ?? 0) + 1
  return from > checkpoint.size ? undefined : { checkpoint, from, to: checkpoint.size }
}

const rolledBack = ({ from, to }: Lost): AppError =>
  new AppError(
    'log_rollback',
    `The log ends at entry ${from - 1}, and its newest checkpoint counts ${to}: an older log was put back, or its newest entries were removed.`,
    {
      hint: 'put the newest log back; where that one is lost for good: postern serve --accept-rollback',
    },
  )

const notKept = (cause: unknown): AppError =>
  new AppError('audit_unavailable', 'The checkpoint of the log cannot be kept.', {
    detail: cause instanceof Error ? cause.message : String(cause),
    hint: 'make room where audit.checkpoints and dataDir are',
    cause,
  })

const diverged = ({ size }: Checkpoint): AppError =>
  new AppError('log_corrupt', `The log is not the one whose first ${size} entries were signed.`, {
    hint: 'postern audit verify --against FILE, with the file of checkpoints (audit.checkpoints)',
  })
