import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../errors.ts'

/** Where a running service takes the orders of its admins. */
export const findAdminSocket = (dataDir: string): string => join(dataDir, 'admin.sock')

/** A path must fit sockaddr_un's 108 bytes with its final NUL (unix(7)). */
const maxSocketPath = 107

/**
 * Refuses a data directory that could not hold the admin socket, or in which anyone on this machine
 * could put a log or a socket in place of ours. Code: `invalid_config`.
 */
export const checkDataDir = (dataDir: string): void => {
  if ((statSync(dataDir).mode & 0o002) !== 0) {
    throw new AppError('invalid_config', 'dataDir can be written by everyone on this machine.', {
      hint: `chmod 700 ${dataDir}`,
    })
  }
  if (Buffer.byteLength(findAdminSocket(dataDir)) > maxSocketPath) {
    throw new AppError('invalid_config', 'dataDir is too long a path for the admin socket in it.', {
      hint: `name a directory whose path has at most ${maxSocketPath - '/admin.sock'.length} bytes`,
    })
  }
}

/** The user this process runs as; its number where it has no name, as in some containers. */
export const findUser = (): string => {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
