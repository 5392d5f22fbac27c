import { stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { type OwnFault, readOwnFile, writeOwnFile } from '../lib/own-file.ts'
import { createLogKey, type LogKey, parseLogKey } from './checkpoint.ts'

const refuse = (message: string, hint: string, cause?: unknown): AppError =>
  new AppError('invalid_config', message, { hint, ...(cause === undefined ? {} : { cause }) })

/** What to say of a file that is no key of ours, and what to do about it. */
const faults: Readonly<
  Record<Exclude<OwnFault, 'missing'>, { readonly message: string; readonly command: string }>
> = {
  unreadable: { message: 'The key of the log cannot be read.', command: 'ls -l' },
  'no file': {
    message: 'The key of the log is no file that postern has written.',
    command: 'ls -l',
  },
  foreign: { message: 'The key of the log belongs to another user.', command: 'chown $(id -u)' },
  'open to others': {
    message: 'Other users may read or change the key of the log.',
    command: 'chmod 600',
  },
}

/**
 * The key that signs checkpoints, from its file. Codes: `not_found` where there is none, else
 * `invalid_config`.
 */
export const openLogKey = async (path: string): Promise<LogKey> => {
  const found = await readOwnFile(path)
  if ('fault' in found) {
    const { fault, cause } = found
    if (fault !== 'missing') {
      throw refuse(faults[fault].message, `${faults[fault].command} ${path}`, cause)
    }
    throw new AppError('not_found', 'There is no key of the log yet.', {
      hint: '`postern serve` makes log.key in dataDir at its first start',
      cause,
    })
  }
  const key = parseLogKey(found.text.trim())
  if (key === undefined) {
    throw refuse('The key of the log is damaged.', `put ${path} back from a copy of it`)
  }
  return key
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
  await writeOwnFile(path, `${createLogKey(origin)}\n`)
  return openLogKey(path)
}
