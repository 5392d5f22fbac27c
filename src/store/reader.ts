import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Store } from '../audit/store.ts'
import { AppError } from '../errors.ts'
import { createBuilder } from './connection.ts'
import { toStoreError } from './failures.ts'
import { checkVersion } from './migrations.ts'
import { createSqlite } from './sqlite.ts'

/**
 * Opens the log for reading, beside a running service or after it has stopped; `append` always
 * rejects. Works in a directory that may not be written too, unless the service was killed there.
 * @throws AppError `not_found` where there is no log; otherwise as `openStore`.
 */
export const openReader = async (path: string): Promise<Store> => {
  checkReadable(path)
  try {
    const connection = openReadable(path)
    await checkVersion(createBuilder(connection))
    return createSqlite(connection)
  } catch (error) {
    throw toStoreError(error)
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
