import { constants, type Dirent, type Stats } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Problem } from '../lib/yaml.ts'
import { type PolicyOptions, type PolicyResult, parsePolicy } from './parse.ts'
import { sortProblems } from './sources.ts'

const maxFileBytes = 1024 * 1024
const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.yaml$/

export interface LoadOptions extends PolicyOptions {
  /**
   * User ids that may own what is decided by; whoever owns a file can write it. Where they are absent
   * nobody's files are refused: a laptop's `policy check` decides nothing.
   */
  readonly owners?: readonly number[]
}

/**
 * Reads the `*.yaml` directly in a directory as one policy. Never throws for what it finds there:
 * a directory or file that can't be read is a problem like any other.
 */
export const loadPolicy = async (
  directory: string,
  { owners, ...options }: LoadOptions = {},
): Promise<PolicyResult> => {
  const fail = (message: string): PolicyResult => ({
    ok: false,
    problems: [{ file: directory, line: 1, column: 1, message }],
  })
  let entries: readonly Dirent[]
  const cautions: Problem[] = []
  /** What is wrong with whoever may write there; what may be meant is a caution. */
  const findFault = (found: Stats, file: string): string | undefined => {
    if (owners !== undefined && isSharedWithGroup(found)) {
      cautions.push({ file, line: 1, column: 1, message: groupWrites(found) })
    }
    return findForeign(found, owners)
  }
  try {
    entries = await readdir(directory, { withFileTypes: true })
    const fault = findFault(await stat(directory), directory)
    if (fault !== undefined) return fail(fault)
  } catch (cause) {
    return fail(
      `the policy directory can't be read (${codeOf(cause)}); create it, or mend policyDir`,
    )
  }
  const names = entries.map(({ name }) => name)
  const result = await parseNamed(
    names,
    (name) => readPolicyFile(join(directory, name), (found) => findFault(found, name)),
    options,
  )
  return result.ok
    ? { ...result, warnings: [...sortProblems(cautions), ...result.warnings] }
    : result
}

/**
 * Files of a directory, wherever it is kept, as one policy. `read` answers the bytes of one, or in
 * words what is wrong with it.
 */
export const parseNamed = async (
  all: readonly string[],
  read: (name: string) => Promise<Uint8Array | string>,
  options: PolicyOptions = {},
): Promise<PolicyResult> => {
  // Hidden files are editors' and mounts' own; anything else that looks like YAML was meant to count.
  const names = all.filter((name) => /\.ya?ml$/i.test(name) && !name.startsWith('.'))
  const files: Record<string, Uint8Array> = {}
  const problems: Problem[] = []
  for (const name of names) {
    const found = fileName.test(name)
      ? await read(name)
      : `is not read by this name: call it NAME.yaml, of letters, digits, ".", "_" and "-"`
    if (typeof found !== 'string') files[name] = found
    else problems.push({ file: name, line: 1, column: 1, message: found })
  }
  const result = parsePolicy(files, options)
  if (problems.length === 0) return result
  return { ok: false, problems: sortProblems([...problems, ...(result.ok ? [] : result.problems)]) }
}

/**
 * The bytes, or what is wrong. Links are followed: a mounted directory is often made of them. Opened
 * first and then looked at, so that nothing can be swapped in between.
 */
const readPolicyFile = async (
  path: string,
  findFault: (found: Stats) => string | undefined,
): Promise<Uint8Array | string> => {
  let file: FileHandle | undefined
  try {
    // Without O_NONBLOCK, opening a pipe nobody writes to would wait for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await file.stat()
    if (!found.isFile()) return 'is not a file; move it away'
    if (found.size > maxFileBytes) return 'the file is larger than 1 MiB; split it'
    const fault = findFault(found)
    if (fault !== undefined) return fault
    return await file.readFile()
  } catch (cause) {
    return `can't be read (${codeOf(cause)})`
  } finally {
    await file?.close()
  }
}

const findForeign = (
  { mode, uid }: Stats,
  owners: readonly number[] | undefined,
): string | undefined => {
  if ((mode & 0o002) !== 0) {
    return 'anyone on this machine may write here, and so grant themselves anything: chmod o-w'
  }
  if (owners === undefined || owners.includes(uid)) return undefined
  return `belongs to the user ${uid}, who is neither root nor the service's own and may grant themselves anything: chown root`
}

/** Many systems give each user a group of their own, of the same number: nobody else is in it. */
const isSharedWithGroup = ({ mode, uid, gid }: Stats): boolean =>
  (mode & 0o020) !== 0 && gid !== 0 && gid !== uid

const groupWrites = ({ gid }: Stats): string =>
  `everybody in the group ${gid} may write here, and so grant themselves anything: chmod g-w, unless that is meant`

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
