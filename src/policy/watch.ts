import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Problem } from '../lib/yaml.ts'
import type { Policy } from './index.ts'
import { type LoadOptions, loadPolicy } from './load.ts'
import type { PolicyResult } from './parse.ts'

/** The policy in force, kept up with its files. */
export interface Watch {
  current(): Policy
  /** Why the files as they are now are not in force; empty where they are. */
  listProblems(): readonly Problem[]
  /** Reads the files now, without waiting for them to come to rest. Never rejects. */
  reload(): Promise<void>
  /** Looks no more; resolves once nothing is being read. */
  close(): Promise<void>
}

/** What becomes of a change; each is awaited before the next look. */
export interface WatchEvents {
  /** A new policy is about to be in force. Where this rejects, it is not, and is tried again in 5 s. */
  onPolicy(policy: Policy, warnings: readonly Problem[]): Promise<void>
  /** The files do not load: once for each distinct failure; again in 5 s where this rejects. */
  onFailure(problems: readonly Problem[]): Promise<void>
}

/** A first load, and what the files looked like right before it. */
export interface Opened {
  readonly result: PolicyResult
  readonly signature: string
}

export const openPolicy = async (directory: string, options: LoadOptions = {}): Promise<Opened> => {
  const signature = await readSignature(directory)
  return { result: await loadPolicy(directory, options), signature }
}

const intervalMillis = 250
/** In looks: what could not be read or recorded may be so later, without a change of the files. */
const retryEvery = 20
/** How often `reload` reads files that change while it does. */
const maxReads = 5

/**
 * Looks at the files four times a second, rather than be told of events: those of links, mounts and
 * network file systems do not come, or come for the wrong file. A change is read once two looks in a
 * row have seen the same, so that what is still being written is not read, and counts only if the
 * files were the same again afterwards: two versions are never mixed.
 *
 * A policy is swapped whole. Whatever does not load leaves the last good one in force, and so does a
 * directory that is gone, or that has lost all of its files: a volume that was unmounted leaves an
 * empty one behind.
 */
export const watchPolicy = (given: {
  readonly directory: string
  readonly options: LoadOptions
  /** In force, from files that looked so. */
  readonly policy: Policy
  readonly signature: string
  readonly events: WatchEvents
}): Watch => {
  const { directory, options, events } = given
  let policy = given.policy
  let problems: readonly Problem[] = []
  let reported: string | undefined
  /** What the last load was of, and what the last look saw. */
  let loaded = given.signature
  let seen = given.signature
  let looks = 0

  const fail = async (found: readonly Problem[]): Promise<void> => {
    problems = found
    const key = JSON.stringify(found)
    if (key === reported) return
    reported = key
    await events.onFailure(found).catch(() => {
      reported = undefined
    })
  }

  const settle = async (result: PolicyResult): Promise<void> => {
    if (!result.ok) return fail(result.problems)
    const next = result.policy
    if (isEmpty(next) && !isEmpty(policy)) return fail([emptied(directory)])
    if (next.sha256 !== policy.sha256) {
      try {
        await events.onPolicy(next, result.warnings)
      } catch {
        problems = [unrecorded(directory)]
        return
      }
      policy = next
    }
    problems = []
    reported = undefined
  }

  /** Whether the files held still while they were read. */
  const load = async (signature: string): Promise<boolean> => {
    const result = await loadPolicy(directory, options).catch(() => faulty(directory))
    if ((await readSignature(directory)) !== signature) return false
    loaded = signature
    await settle(result)
    return true
  }

  const look = async (): Promise<void> => {
    looks += 1
    const signature = await readSignature(directory)
    const isSettled = signature === seen
    const isDue = problems.length > 0 && looks % retryEvery === 0
    seen = signature
    if (isSettled && (signature !== loaded || isDue)) await load(signature)
  }

  const reload = async (): Promise<void> => {
    for (let reads = 0; reads < maxReads; reads += 1) {
      if (await load(await readSignature(directory))) return
    }
  }

  let last: Promise<void> = Promise.resolve()
  const queue = (work: () => Promise<void>): Promise<void> => {
    last = last.then(work)
    return last
  }
  let timer: NodeJS.Timeout | undefined
  const schedule = () => {
    timer = setTimeout(async () => {
      await queue(look)
      if (timer !== undefined) schedule()
    }, intervalMillis).unref()
  }
  schedule()

  return Object.freeze({
    current: () => policy,
    listProblems: () => problems,
    reload: () => queue(reload),
    close() {
      clearTimeout(timer)
      timer = undefined
      return last
    },
  })
}

/** Without a single file; one without rules is somebody's decision. */
const isEmpty = ({ files }: Policy): boolean => Object.keys(files).length === 0

const about = (file: string, message: string): Problem => ({ file, line: 1, column: 1, message })

const emptied = (directory: string): Problem =>
  about(
    directory,
    'the policy directory has lost all its files; put them back, or write one without rules',
  )

/** No file may end a service that runs, also where it meets a mistake of ours. */
const faulty = (directory: string): PolicyResult => ({
  ok: false,
  problems: [about(directory, 'something went wrong on our side while the files were read')],
})

const unrecorded = (directory: string): Problem =>
  about(directory, 'the new policy cannot be recorded in the log, and waits until it can')

/**
 * All by which a change of the files shows, links followed: another inode, owner, size, mode or time. A
 * change of the content alone, within the file system's clock tick, does not show by itself.
 */
const readSignature = async (directory: string): Promise<string> => {
  const names = await readdir(directory).catch(codeOf)
  if (typeof names === 'string') return names
  const files = names.filter((name) => /\.ya?ml$/i.test(name) && !name.startsWith('.')).sort()
  const parts = await Promise.all([
    describe(directory, ''),
    ...files.map((name) => describe(join(directory, name), name)),
  ])
  return parts.join('\n')
}

const describe = async (path: string, name: string): Promise<string> => {
  const found = await stat(path, { bigint: true }).catch(codeOf)
  if (typeof found === 'string') return `${name} ${found}`
  const { dev, ino, mode, uid, size, mtimeNs, ctimeNs } = found
  // Files that are no policy come and go in a directory, and change its times.
  return name === ''
    ? `${dev} ${ino} ${mode} ${uid}`
    : `${name} ${dev} ${ino} ${mode} ${size} ${mtimeNs} ${ctimeNs}`
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
