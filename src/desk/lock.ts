import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** A lock that is held; releasing it twice is harmless. */
export interface Lock {
  release(): void
}

/**
 * Takes the lock of a path, or answers undefined where a living process has it. The file holds the
 * pid, and appears whole; one whose process has ended is set aside by exactly one of those who find it.
 */
export const takeLock = (path: string): Lock | undefined => {
  const own = `${path}.${process.pid}`
  writeFileSync(own, `${process.pid}\n`, { mode: 0o600 })
  try {
    for (let tries = 0; tries < 3; tries++) {
      if (link(own, path)) return createLock(path)
      if (isHeld(path)) return undefined
      setAside(path, `${own}.stale`)
    }
    return undefined
  } finally {
    rmSync(own, { force: true })
  }
}

const createLock = (path: string): Lock =>
  Object.freeze({
    release() {
      if (readPid(path) === process.pid) rmSync(path, { force: true })
    },
  })

const link = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Somebody may have taken the lock since it was found stale: then it is given back. */
const setAside = (path: string, aside: string): void => {
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  if (isHeld(aside)) link(aside, path)
  rmSync(aside, { force: true })
}

const isHeld = (path: string): boolean => {
  const pid = readPid(path)
  if (pid === undefined) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const readPid = (path: string): number | undefined => {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim())
    return Number.isInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}
