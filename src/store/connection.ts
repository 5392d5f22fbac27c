import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import Database from 'better-sqlite3'
import { AppError } from '../errors.ts'
import { storeError } from './failures.ts'
import { migrate } from './migrations.ts'

/** How long SQLite waits for another connection's lock before it says busy, in milliseconds. */
const busyTimeout = 2000

/** What a writing connection is set to, and must answer when asked again. */
const settings = [
  { name: 'journal_mode', value: 'WAL', is: 'wal' },
  // In WAL mode better-sqlite3's build defaults to NORMAL, which a power cut robs of its last commits.
  { name: 'synchronous', value: 'FULL', is: 2 },
  // macOS: fsync alone leaves the rows in the drive's cache (fcntl(2), F_FULLFSYNC).
  { name: 'fullfsync', value: 'ON', is: 1 },
  { name: 'trusted_schema', value: 'OFF', is: 0 },
  // Without it the rows that REPLACE deletes fire no DELETE trigger.
  { name: 'recursive_triggers', value: 'ON', is: 1 },
  { name: 'cell_size_check', value: 'ON', is: 1 },
  // 25 MB of write-ahead log between checkpoints: a page that many commits have changed is copied back
  // once for all of them. A checkpoint is waited for by all who are there: tens of milliseconds, once in
  // some two thousand certificates; with 1,000 pages it is a third as long, six times as often.
  { name: 'wal_autocheckpoint', value: '6000', is: 6000 },
  // A long reader lets the write-ahead log grow; once it is gone the file is cut back to 32 MiB.
  { name: 'journal_size_limit', value: String(32 * 1024 * 1024), is: 32 * 1024 * 1024 },
] as const

/**
 * Opens the log's database for writing, at the newest version, and makes it where there is none.
 * The file is 0600. @throws AppError `log_corrupt` for a file that is no log, `invalid_config` for
 * a directory that anybody may write or a newer version, `audit_unavailable` where it cannot be opened.
 */
export const openConnection = async (path: string): Promise<Database> => {
  checkDirectory(dirname(path))
  const file = statSync(path, { throwIfNoEntry: false })
  if (file === undefined) createDatabase(path)
  // SQLite takes an empty file for a new database: the log would begin again as if nothing had been.
  else if (file.size === 0) throw storeError('log_corrupt', `${basename(path)} is empty`)
  await closeToOthers(path)
  const connection = new Database(path, { fileMustExist: true, timeout: busyTimeout })
  try {
    for (const { name, value, is } of settings) {
      connection.pragma(`${name} = ${value}`, { simple: true })
      checkSetting(name, connection.pragma(name, { simple: true }), is)
    }
    migrate(connection)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** A backup that root has put back is root's. */
const closeToOthers = async (path: string): Promise<void> => {
  try {
    await chmod(path, 0o600)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EPERM') throw cause
    throw new AppError('invalid_config', 'The log belongs to another user.', {
      detail: path,
      hint: `chown ${process.getuid?.()} ${path}`,
      cause,
    })
  }
}

/** Fails closed: a setting that did not take is a promise that would not be kept. */
export const checkSetting = (name: string, found: unknown, wanted: unknown): void => {
  if (found === wanted) return
  throw storeError('audit_unavailable', `${name} is ${found}, and must be ${wanted}`)
}

/** Made under another name and renamed: whatever is found at `path` was once whole. */
const createDatabase = (path: string): void => {
  const draft = `${path}.new`
  for (const suffix of ['', '-journal']) rmSync(`${draft}${suffix}`, { force: true })
  closeSync(openSync(draft, 'wx', 0o600))
  const connection = new Database(draft, { fileMustExist: true, timeout: busyTimeout })
  try {
    migrate(connection)
  } finally {
    connection.close()
  }
  renameSync(draft, path)
  // The new name itself must outlive a power cut.
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

const checkDirectory = (path: string): void => {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isDirectory()) {
    throw new AppError('invalid_config', 'The directory of the log does not exist.', {
      detail: path,
      hint: `mkdir -m 700 ${path}`,
    })
  }
  if ((found.mode & 0o002) !== 0) {
    throw new AppError('invalid_config', 'Anybody may write to the directory of the log.', {
      detail: path,
      hint: `chmod o-w ${path}`,
    })
  }
}
