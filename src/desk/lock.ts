import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** A lock that is held; releasing it twice is harmless. */
export interface Lock {
  release(): void
}

/**
 * Takes the lock of a path, or answers undefined where a living process has it. The file holds the pid and
 * when that process started, for numbers come again: after a power cut, or in a container, another has it. It
 * appears whole; one whose process has ended is set aside by exactly one of those who find it.
 */
export const takeLock = (path: string): Lock | undefined => {
  const own = `${path}.${process.pid}`
  writeFileSync(own, `${process.pid} ${findStart(process.pid)}\n`, { mode: 0o600 })
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
      if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true })
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
  const holder = readHolder(path)
  if (holder === undefined) return false
  const { pid, start } = holder
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return start === '' || start === findStart(pid)
}

interface Holder {
  readonly pid: number
  /** Empty where nobody could tell. */
  readonly start: string
}

const readHolder = (path: string): Holder | undefined => {
  try {
    const [first = '', start = ''] = readFileSync(path, 'utf8').trim().split(' ')
    const pid = Number(first)
    return Number.isInteger(pid) && pid > 0 ? { pid, start } : undefined
  } catch {
    return undefined
  }
}

/** When a process started, in the system's own count (Linux: proc_pid_stat(5), field 22); empty where it is not told. */
const findStart = (pid: number): string => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name, in brackets, and may hold spaces and brackets itself.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
