import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { AppError } from '../errors.ts'
import { toStoreError } from './failures.ts'
import { checkVersion } from './migrations.ts'
import { createSqlite, type WholeStore } from './sqlite.ts'

/**
 * Opens the log for reading, beside a running service or after it has stopped; `append` always
 * rejects. Works in a directory that may not be written too, unless the service was killed there.
 * @throws AppError `not_found` where there is no log; otherwise as `openStore`.
 */
export const openReader = async (path: string): Promise<WholeStore> => {
  checkReadable(path)
  try {
    const connection = openReadable(path)
    checkVersion(connection)
    return createSqlite(connection)
  } catch (error) {
    throw toStoreError(error)
  }
}

/**
 * Copies the log to a new file, as it is at this moment, while the service goes on writing. The
 * copy is one file, 0600, on the disk when this resolves.
 * @throws AppError as `openReader`, and `already_exists` where something of that name is.
 */
export const copyLog = async (path: string, target: string): Promise<void> => {
  checkReadable(path)
  try {
    closeSync(openSync(target, 'wx', 0o600))
  } catch (cause) {
    throw refuseTarget(cause as NodeJS.ErrnoException)
  }
  try {
    const connection = openReadable(path)
    try {
      // sqlite.org/lang_vacuum: one read transaction; the target may exist where it is empty.
      connection.prepare('VACUUM INTO ?').run(target)
    } finally {
      connection.close()
    }
    for (const name of [target, dirname(target)]) syncFile(name)
  } catch (error) {
    rmSync(target, { force: true })
    throw toStoreError(error)
  }
}

const refuseTarget = (cause: NodeJS.ErrnoException): AppError =>
  cause.code === 'EEXIST'
    ? new AppError('already_exists', 'A file of that name exists already; nothing was written.', {
        hint: 'name another file',
        cause,
      })
    : new AppError('invalid_config', 'The file cannot be written.', {
        detail: cause.message,
        cause,
      })

const syncFile = (path: string): void => {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const checkReadable = (path: string): void => {
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code !== 'ENOENT') {
      throw new AppError('audit_unavailable', 'The log may not be read by this user.', {
        detail: message,
        hint: 'run the command as the user that the service runs as',
        cause,
      })
    }
    throw new AppError('not_found', 'There is no log yet.', {
      detail: message,
      hint: 'check dataDir in the configuration; `postern serve` makes the log at its first start',
      cause,
    })
  }
}

const openReadable = (path: string): Database => {
  try {
    const connection = new Database(path, { readonly: true, fileMustExist: true, timeout: 2000 })
    connection.prepare('SELECT version FROM migrations').all()
    return connection
  } catch (error) {
    // WAL wants its shared memory beside the file, even to read. Without a write-ahead log the file
    // is whole by itself, and a copy in memory needs nothing beside it.
    if (!isDirectoryClosed(error) || existsSync(`${path}-wal`)) throw error
    const bytes = readFileSync(path)
    // Its format versions (sqlite.org/fileformat2, offsets 18 and 19): 1, no write-ahead log.
    bytes.fill(1, 18, 20)
    return new Database(bytes, { readonly: true })
  }
}

const isDirectoryClosed = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  /^SQLITE_(READONLY_DIRECTORY|CANTOPEN)/.test(String(error.code))
