import { constants, type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../errors.ts'
import { createLogKey, type LogKey, parseLogKey } from './checkpoint.ts'

const refuse = (message: string, hint: string, cause?: unknown): AppError =>
  new AppError('invalid_config', message, { hint, ...(cause === undefined ? {} : { cause }) })

/**
 * The key that signs checkpoints, from its file. Opened first and then looked at, so that nothing
 * can be swapped in between. Codes: `not_found` where there is none, else `invalid_config`.
 */
export const openLogKey = async (path: string): Promise<LogKey> => {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw refuse('The key of the log cannot be read.', `ls -l ${path}`, cause)
    }
    throw new AppError('not_found', 'There is no key of the log yet.', {
      hint: '`postern serve` makes log.key in dataDir at its first start',
      cause,
    })
  }
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > 4096) {
      throw refuse('The key of the log is no file that postern has written.', `ls -l ${path}`)
    }
    if (found.uid !== process.getuid?.()) {
      throw refuse('The key of the log belongs to another user.', `chown $(id -u) ${path}`)
    }
    if ((found.mode & 0o077) !== 0) {
      throw refuse('Other users may read or change the key of the log.', `chmod 600 ${path}`)
    }
    const key = parseLogKey((await file.readFile('utf8')).trim())
    if (key === undefined) {
      throw refuse('The key of the log is damaged.', `put ${path} back from a copy of it`)
    }
    return key
  } finally {
    await file.close()
  }
}

/**
 * The key of the log, made at the first start: 0600, on the disk when this resolves. Where there are
 * checkpoints already it is never made anew, for nobody could tell the log from a forged one then.
 */
export const openOrCreateLogKey = async (given: {
  readonly path: string
  readonly origin: string
  /** The file of checkpoints. */
  readonly checkpoints: string
}): Promise<LogKey> => {
  const { path, origin, checkpoints } = given
  try {
    return await openLogKey(path)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
  }
  const signed = await stat(checkpoints).catch(() => undefined)
  if (signed !== undefined && signed.size > 0) {
    throw refuse(
      'The key of the log is gone, and there are checkpoints it has signed.',
      `put ${path} back from a copy of it, or move ${checkpoints} away to begin without its checkpoints`,
    )
  }
  // Under another name first: after a power cut the key is there whole, or not at all.
  const draft = `${path}.new`
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${createLogKey(origin)}\n`)
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
  return openLogKey(path)
}
