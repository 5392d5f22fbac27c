import { dirname } from 'node:path'
import type { Dice } from './report.ts'
import type { Event } from './trace.ts'

/** What a power cut leaves: the files' contents by path. */
export type Image = ReadonlyMap<string, Buffer>

type Write = Extract<Event, { kind: 'write' }>
type Change = Write | Extract<Event, { kind: 'truncate' }>

interface File {
  durable: Buffer
  /** Not synced yet: any of it may be on the disk, and the rest not. */
  pending: readonly Change[]
}

type Names = Map<string, File>
/** Makes, moves or removes a name. */
type Naming = (names: Names) => void

/** The disk's own unit: of a write that is cut off some of these are there and others not. */
const sector = 512

/**
 * A file system that promises as little as POSIX does: a write is on the disk for certain once its
 * file was synced, a name once its directory was. Until then each write may be there or not, in any
 * order, and in part; names come in their own order.
 */
export const createDisk = () => {
  const names: Names = new Map()
  const durableNames: Names = new Map()
  /** By directory. */
  const namings = new Map<string, readonly Naming[]>()
  /** How much was pending when the running sync of a path began: that much it covers. */
  const covered = new Map<string, number>()

  const fileAt = (path: string): File => {
    const file = names.get(path)
    if (file === undefined) throw new Error(`${path} was written before it was made`)
    return file
  }
  const listNamings = (directory: string) => namings.get(directory) ?? []
  const rename = (path: string, naming: Naming) => {
    naming(names)
    namings.set(dirname(path), [...listNamings(dirname(path)), naming])
  }
  const add = (path: string, event: Change) => {
    const file = fileAt(path)
    file.pending = [...file.pending, event]
  }
  const finishSync = (path: string) => {
    const count = covered.get(path) ?? 0
    const file = names.get(path)
    if (file === undefined) {
      for (const naming of listNamings(path).slice(0, count)) naming(durableNames)
      namings.set(path, listNamings(path).slice(count))
      return
    }
    file.durable = applyChanges(file.durable, file.pending.slice(0, count))
    file.pending = file.pending.slice(count)
  }

  return Object.freeze({
    apply(event: Event): void {
      switch (event.kind) {
        case 'create': {
          const file: File = { durable: Buffer.alloc(0), pending: [] }
          if (!names.has(event.path)) rename(event.path, (all) => void all.set(event.path, file))
          return
        }
        case 'unlink':
          rename(event.path, (all) => void all.delete(event.path))
          return
        case 'rename':
          rename(event.path, (all) => {
            const file = all.get(event.path)
            all.delete(event.path)
            if (file !== undefined) all.set(event.to, file)
          })
          return
        case 'write':
        case 'truncate':
          add(event.path, event)
          return
        case 'append':
          add(event.path, { ...event, kind: 'write', at: lengthOf(fileAt(event.path)) })
          return
        case 'sync': {
          const pending = names.get(event.path)?.pending ?? listNamings(event.path)
          covered.set(event.path, pending.length)
          return
        }
        case 'synced':
          finishSync(event.path)
          return
        case 'deliver':
      }
    },
    /** Only what was synced; or, with dice, with some of what was not. */
    cut(dice?: Dice): Image {
      const found: Names = new Map(durableNames)
      for (const list of namings.values()) {
        for (const naming of list.slice(0, dice?.below(list.length + 1) ?? 0)) naming(found)
      }
      return new Map(
        [...found].map(([path, { durable, pending }]) => [
          path,
          dice === undefined ? durable : applyChanges(durable, loseSome(pending, dice)),
        ]),
      )
    },
  })
}

const lengthOf = ({ durable, pending }: File): number => applyChanges(durable, pending).length

const applyChanges = (bytes: Buffer, changes: readonly Change[]): Buffer => {
  let length = bytes.length
  const ends = changes.map((event) => (event.kind === 'write' ? event.at + event.data.length : 0))
  const room = Buffer.alloc(Math.max(length, ...ends))
  bytes.copy(room)
  for (const event of changes) {
    if (event.kind === 'write') {
      event.data.copy(room, event.at)
      length = Math.max(length, event.at + event.data.length)
    } else {
      // What lies beyond the end reads as zeros if the file grows again.
      room.fill(0, event.length)
      length = event.length
    }
  }
  return room.subarray(0, length)
}

const loseSome = (pending: readonly Change[], dice: Dice): readonly Change[] => {
  const share = dice.pick([0.1, 0.5, 0.9, 1])
  return pending
    .filter(() => dice.isLikely(share))
    .flatMap((event) => (event.kind === 'write' && dice.isLikely(0.2) ? tear(event, dice) : event))
}

/** Some of the sectors of one write. */
const tear = (event: Write, dice: Dice): readonly Write[] => {
  const count = Math.ceil(event.data.length / sector)
  return Array.from({ length: count }, (_, n) => n * sector)
    .filter(() => dice.isLikely(0.5))
    .map((from) => ({
      ...event,
      at: event.at + from,
      data: event.data.subarray(from, from + sector),
    }))
}
