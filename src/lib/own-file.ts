import { constants, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Why a file of the service's own cannot be used. */
export type OwnFault = 'missing' | 'unreadable' | 'no file' | 'foreign' | 'open to others'

/**
 * The text of a file that this user alone may read and change, or why it is not so. Opened first and
 * then looked at, so that nothing can be swapped in between.
 */
export const readOwnFile = async (
  path: string,
  maxBytes = 4096,
): Promise<{ readonly text: string } | { readonly fault: OwnFault; readonly cause?: unknown }> => {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    return { fault: isMissing ? 'missing' : 'unreadable', cause }
  }
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > maxBytes) return { fault: 'no file' }
    if (found.uid !== process.getuid?.()) return { fault: 'foreign' }
    if ((found.mode & 0o077) !== 0) return { fault: 'open to others' }
    return { text: await file.readFile('utf8') }
  } finally {
    await file.close()
  }
}

/** Writes a file, 0600: after a power cut it is there whole, or as it was before. On the disk when this resolves. */
export const writeOwnFile = async (path: string, text: string): Promise<void> => {
  const draft = `${path}.new`
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  // The name is an entry of the directory, and durable only with it.
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
