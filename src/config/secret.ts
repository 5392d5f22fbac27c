import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../errors.ts'
import { decodeUtf8 } from '../lib/bytes.ts'

const maxBytes = 64 * 1024

/**
 * The text of a secret's file, without its final newline. The file that is checked is the one that
 * is read, also behind a symlink. `credentialsDir` is systemd's `$CREDENTIALS_DIRECTORY`: there
 * the group bits are only the mask of an access list that names the service alone (systemd.exec(5)).
 * Code: `invalid_config` where it cannot be read, is empty, or others could read it too.
 */
export const readSecret = async (
  path: string,
  credentialsDir = process.env['CREDENTIALS_DIRECTORY'],
): Promise<string> => {
  const refuse = (what: string, hint: string, cause?: unknown) =>
    new AppError('invalid_config', `The secret file ${path} ${what}.`, { hint, cause })

  let file: FileHandle
  try {
    // Without O_NONBLOCK, opening a pipe nobody writes to would wait for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw refuse('cannot be read', 'make the file, readable by the service alone', cause)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw refuse('is not a file', 'name the file that holds the secret')
    const isCredential = dirname(path) === credentialsDir
    if ((stat.mode & (isCredential ? 0o007 : 0o077)) !== 0) {
      throw refuse('can be read or written by others', `chmod 600 ${path}`)
    }
    if (stat.size > maxBytes) throw refuse('is larger than 64 KiB', 'name the right file')
    const text = decodeUtf8(await file.readFile())?.replace(/\r?\n$/, '')
    if (text === undefined) throw refuse('is not text', 'write the secret as UTF-8')
    if (text.trim() === '') throw refuse('is empty', 'write the secret into it')
    return text
  } finally {
    await file.close()
  }
}
