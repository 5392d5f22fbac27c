import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { AppError } from '../../src/errors.ts'
import { type Lock, openLock } from '../../src/store/index.ts'

/** A directory that belongs to one running demo. */
export interface Place {
  /** The checkout, where commands are run. */
  readonly root: string
  readonly dir: string
  /** The directory as commands name it, relative to the root. */
  readonly shown: string
  /** A path inside, absolute. */
  path(name: string): string
  close(): void
}

/** Of other demos, in directories of their own inside the first. */
const numbered = /^[2-9]$/

/**
 * Takes `.demo/` and empties it; where another demo runs in it, `.demo/2`, and so on. The lock is
 * the kernel's, so one that was killed is in nobody's way.
 */
export const openPlace = (root: string): Place => {
  const first = join(root, '.demo')
  for (const dir of [first, ...[2, 3, 4, 5, 6, 7, 8, 9].map((n) => join(first, String(n)))]) {
    const lock = findLock(dir)
    if (lock === undefined) continue
    for (const name of readdirSync(dir)) {
      if (!name.startsWith('lock') && !numbered.test(name)) {
        rmSync(join(dir, name), { recursive: true })
      }
    }
    return Object.freeze({
      root,
      dir,
      shown: relative(root, dir),
      path: (name: string) => join(dir, name),
      close: () => lock.close(),
    })
  }
  throw new Error('nine demos run already: end one of them')
}

const findLock = (dir: string): Lock | undefined => {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    accessSync(dir, constants.W_OK)
    if (existsSync(join(dir, 'lock'))) accessSync(join(dir, 'lock'), constants.W_OK)
  } catch (cause) {
    throw new Error(`${dir} can't be written: remove it, or run the demo as its owner`, { cause })
  }
  try {
    return openLock(join(dir, 'lock'))
  } catch (error) {
    if (error instanceof AppError && error.code === 'already_running') return undefined
    throw error
  }
}
