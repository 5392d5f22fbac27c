import { type FileHandle, open, readFile } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { type Checkpoint, openCheckpoint, splitNotes, type Verifier } from './checkpoint.ts'

/** The file that remembers every checkpoint: best on another disk than the log. */
export interface CheckpointFile {
  /** The newest that was found at the opening, with the note it came in. */
  readonly newest: { readonly checkpoint: Checkpoint; readonly note: string } | undefined
  /** On the disk when this resolves. One call at a time. */
  append(note: string): Promise<void>
  close(): Promise<void>
}

/** Of a file that grows for years only the end is read. */
const tailBytes = 64 * 1024

/**
 * Opens the file of checkpoints, and makes it where there is none. What a power cut has left of an
 * unfinished note at its end goes. Code: `invalid_config` where it cannot be written, holds
 * something else, or ends with a checkpoint that the key has not signed.
 */
export const openCheckpointFile = async (
  path: string,
  verifier: Verifier,
): Promise<CheckpointFile> => {
  const file = await openFile(path)
  try {
    const { newest, end } = await readEnd(file, path, verifier)
    await file.truncate(end)
    let position = end
    return Object.freeze({
      newest,
      async append(note: string) {
        // At its place rather than at the end: what a failed write has left there is written over.
        const bytes = Buffer.from(`${note}\n`)
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(
            bytes,
            done,
            bytes.length - done,
            position + done,
          )
          done += bytesWritten
        }
        await file.sync()
        position += bytes.length
      },
      close: () => file.close(),
    })
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * Every checkpoint of a file, oldest first; none where there is no file. Code: `invalid_checkpoint`
 * where one is not signed by the key, or the file holds something else.
 */
export const listCheckpoints = async (
  path: string,
  verifier: Verifier,
): Promise<readonly Checkpoint[]> =>
  (await readNotes(path)).map((note) => openCheckpoint(note, verifier))

/** The newest alone, whose signature alone is verified: a year has half a million. Codes: as listCheckpoints */
export const findNewestCheckpoint = async (
  path: string,
  verifier: Verifier,
): Promise<Checkpoint | undefined> => {
  const note = (await readNotes(path)).at(-1)
  return note === undefined ? undefined : openCheckpoint(note, verifier)
}

const readNotes = async (path: string): Promise<readonly string[]> => {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_checkpoint', 'The checkpoint cannot be read.', { detail, cause })
  }
  const notes = splitNotes(bytes)
  // What is no note at all is refused in the words that say what one is.
  return notes.length === 0 ? [Buffer.from(bytes).toString()] : notes.map(({ note }) => note)
}

const openFile = async (path: string): Promise<FileHandle> => {
  try {
    await (await open(path, 'a', 0o644)).close()
    return await open(path, 'r+')
  } catch (cause) {
    throw new AppError('invalid_config', 'The file of checkpoints cannot be written.', {
      detail: String(cause),
      hint: `name a file that can be written under audit.checkpoints; now it is ${path}`,
      cause,
    })
  }
}

const readEnd = async (file: FileHandle, path: string, verifier: Verifier) => {
  const { size } = await file.stat()
  const start = Math.max(0, size - tailBytes)
  const bytes = Buffer.alloc(size - start)
  await file.read(bytes, 0, bytes.length, start)
  const last = splitNotes(bytes).at(-1)
  if (last === undefined) {
    if (start > 0 || !isUnfinished(bytes.toString(), verifier.origin)) {
      throw new AppError('invalid_config', 'The file of checkpoints holds something else.', {
        hint: `name another under audit.checkpoints, or move ${path} away`,
      })
    }
    return { newest: undefined, end: 0 }
  }
  try {
    const checkpoint = openCheckpoint(last.note, verifier)
    // The empty line after it may be all that is missing.
    const end = start + last.end
    return { newest: { checkpoint, note: last.note }, end: Math.min(end + 1, size) }
  } catch (cause) {
    throw new AppError(
      'invalid_config',
      'The newest checkpoint is not signed by the key of this log.',
      {
        hint: `put log.key back into dataDir, or move ${path} away to begin without its checkpoints`,
        cause,
      },
    )
  }
}

/** Nothing, what a power cut leaves of a file (zeros), or the beginning of a first note. */
const isUnfinished = (text: string, origin: string): boolean =>
  /^\0*$/.test(text) || text.startsWith(`${origin}\n`) || origin.startsWith(text)
