import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Checkpoint } from './checkpoint.ts'
import {
  emptyRoot,
  hashNode,
  isSameHash,
  joinNodes,
  listNodes,
  type Range,
  type TreeHash,
} from './tree.ts'

/** A tile is a complete subtree of 256 leaves; above it everything is kept in memory. */
const tileLevel = 8
const tileSize = 2 ** tileLevel
const hashBytes = 32

/**
 * The tree over the whole log, in two files that only grow: `leaves`, the hash of every entry, and
 * `tiles`, the root of every 256 of them, 32 bytes each. In memory are the tiles and what stands
 * above them (64 bytes for 256 entries) and the leaves that no tile holds yet.
 *
 * The files are made of the log and trusted no further than a checkpoint vouches for them: `load`
 * takes what leads to its root, and otherwise everything is to be added anew.
 */
export interface Tiles {
  size(): number
  /** The next leaf. One in 256 costs about 0.1 ms, the others nothing. */
  add(leaf: TreeHash): void
  /** The root of the tree as it is. */
  root(): TreeHash
  /** The leaf at that index; undefined where it is not on the disk. */
  findLeaf(index: number): Promise<TreeHash | undefined>
  /** The hash over leaves that `flush` has written. */
  hashRange(range: Range): Promise<TreeHash>
  /** Takes from the files what the checkpoint vouches for; false, and an empty tree, where they don't lead to its root. */
  load(checkpoint: Pick<Checkpoint, 'size' | 'root'>): Promise<boolean>
  /** Writes what was added. Not fsynced: the log can always say it again. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** Opens the files of a tree, and makes them where there are none. The tree is empty until `load`. */
export const openTiles = async (directory: string): Promise<Tiles> => {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const leafFile = await openFile(join(directory, 'leaves'))
  const tileFile = await openFile(join(directory, 'tiles'))

  /** At index k the roots of the complete subtrees of 2^(8+k) leaves, left to right. */
  let levels: TreeHash[][] = [[]]
  /** The leaves after the last complete tile. */
  let tail: TreeHash[] = []
  /** What the files do not hold yet. */
  let unwritten: TreeHash[] = []
  const written = { leaves: 0, tiles: 0 }

  const countTiles = (): number => levels[0]?.length ?? 0
  const size = (): number => countTiles() * tileSize + tail.length

  const addTile = (root: TreeHash): void => {
    let carried = root
    for (let level = 0; ; level++) {
      const row = levels[level] ?? []
      levels[level] = row
      // Of its own memory, for it stays: what came from the pool would keep a whole slab of it.
      row.push(new Uint8Array(carried))
      if (row.length % 2 === 1) return
      carried = hashNode(row.at(-2) as TreeHash, carried)
    }
  }

  const addToTail = (leaf: TreeHash): void => {
    tail.push(leaf)
    if (tail.length < tileSize) return
    addTile(reduceTile(tail))
    tail = []
  }

  const readLeaves = (from: number, count: number) => readHashes(leafFile, from, count)

  const findNode = async (level: number, index: number): Promise<TreeHash> => {
    const kept = level < tileLevel ? undefined : levels[level - tileLevel]?.[index]
    if (kept !== undefined) return kept
    const count = 2 ** level
    const leaves = level < tileLevel ? await readLeaves(index * count, count) : []
    if (leaves.length !== count) throw new TypeError('a node beyond the tree was asked for')
    return reduceTile(leaves)
  }

  const root = (): TreeHash => {
    const kept = listNodes({ start: 0, end: countTiles() }).map(
      ({ level, index }) => levels[level]?.[index] as TreeHash,
    )
    const rest = listNodes({ start: 0, end: tail.length }).map(({ level, index }) =>
      reduceTile(tail.slice(index * 2 ** level, (index + 1) * 2 ** level)),
    )
    return size() === 0 ? emptyRoot : joinNodes([...kept, ...rest])
  }

  return Object.freeze({
    size,
    add(leaf: TreeHash) {
      unwritten.push(leaf)
      addToTail(leaf)
    },
    root,
    findLeaf: async (index: number) => (await readLeaves(index, 1))[0],
    hashRange: async (range: Range) =>
      joinNodes(
        await Promise.all(listNodes(range).map((node) => findNode(node.level, node.index))),
      ),

    async load(checkpoint: Pick<Checkpoint, 'size' | 'root'>) {
      const wanted = checkpoint.size
      const tiles = Math.floor(wanted / tileSize)
      levels = [[]]
      unwritten = []
      for (const tile of await readHashes(tileFile, 0, tiles)) addTile(tile)
      tail = [...(await readLeaves(tiles * tileSize, wanted % tileSize))]
      const isGood = size() === wanted && isSameHash(root(), checkpoint.root)
      if (!isGood) {
        levels = [[]]
        tail = []
      }
      written.leaves = size()
      written.tiles = countTiles()
      return isGood
    },

    async flush() {
      const leaves = unwritten
      const tiles = (levels[0] ?? []).slice(written.tiles)
      try {
        unwritten = []
        await writeHashes(leafFile, written.leaves, leaves)
        await writeHashes(tileFile, written.tiles, tiles)
      } catch (error) {
        unwritten = [...leaves, ...unwritten]
        throw error
      }
      written.leaves += leaves.length
      written.tiles += tiles.length
    },

    async close() {
      await leafFile.close()
      await tileFile.close()
    },
  })
}

/** The hashes of a log's entries as its tree's files have them, for whoever verifies the log. */
export interface Leaves {
  /** Up to `limit` of them from entry number `from` on. */
  read(from: number, limit: number): Promise<readonly TreeHash[]>
  close(): Promise<void>
}

/** Undefined where there are none to be read. */
export const openLeaves = async (directory: string): Promise<Leaves | undefined> => {
  const file = await open(join(directory, 'leaves'), 'r').catch(() => undefined)
  return (
    file && {
      read: (from: number, limit: number) => readHashes(file, from - 1, limit),
      close: () => file.close(),
    }
  )
}

/** The root over the leaves of a complete subtree. */
const reduceTile = (leaves: readonly TreeHash[]): TreeHash => {
  let row = leaves
  while (row.length > 1) {
    const above: TreeHash[] = []
    for (let at = 0; at < row.length; at += 2) {
      above.push(hashNode(row[at] as TreeHash, row[at + 1] as TreeHash))
    }
    row = above
  }
  return row[0] as TreeHash
}

/** For reading and writing anywhere: made where it is missing, never cut. */
const openFile = async (path: string): Promise<FileHandle> => {
  await (await open(path, 'a', 0o600)).close()
  return open(path, 'r+')
}

/** As many hashes as the file has there. */
const readHashes = async (
  file: FileHandle,
  from: number,
  count: number,
): Promise<readonly TreeHash[]> => {
  const bytes = new Uint8Array(count * hashBytes)
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(
      bytes,
      filled,
      bytes.length - filled,
      from * hashBytes + filled,
    )
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return Array.from({ length: Math.floor(filled / hashBytes) }, (_, at) =>
    bytes.slice(at * hashBytes, (at + 1) * hashBytes),
  )
}

const writeHashes = async (
  file: FileHandle,
  from: number,
  hashes: readonly TreeHash[],
): Promise<void> => {
  const bytes = Buffer.concat(hashes)
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(
      bytes,
      done,
      bytes.length - done,
      from * hashBytes + done,
    )
    done += bytesWritten
  }
}
