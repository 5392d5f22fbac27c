import { closeSync, openSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { AppError } from '../errors.ts'
import { toStoreError } from './failures.ts'

/** Held for as long as the process lives, or until `close`. */
export interface Lock {
  close(): void
}

/** A connection that nobody holds would be collected, and its lock with it. */
const held = new Set<Database>()

/**
 * Makes sure that one service alone writes to a directory: an exclusive transaction on a file
 * that holds nothing. The kernel drops the lock with the process, even after kill -9, so a stale one
 * never needs a hand. @throws AppError `already_running` where another process holds it
 */
export const openLock = (path: string): Lock => {
  try {
    // A file that exists must not be opened here: closing it would drop a lock of this process (POSIX).
    if (statSync(path, { throwIfNoEntry: false }) === undefined) createFile(path)
    const connection = new Database(path, { fileMustExist: true, timeout: 0 })
    try {
      connection.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      connection.close()
      throw error
    }
    held.add(connection)
    return Object.freeze({
      close: () => {
        held.delete(connection)
        connection.close()
      },
    })
  } catch (error) {
    if (!isBusy(error)) throw toStoreError(error)
    throw new AppError('already_running', 'Another postern is running on this data directory.', {
      detail: `${path} is locked`,
      hint: `stop the process that holds ${path} (\`fuser ${path}\` names it), or give this one a dataDir of its own`,
      cause: error,
    })
  }
}

const createFile = (path: string): void => {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    // Two may start at once; which of them made the file says nothing about who gets the lock.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
