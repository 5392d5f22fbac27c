import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { AppError } from '../errors.ts'

const run = promisify(execFile)

/** Policy files are far smaller; a repository's other files are not read. */
const maxBytes = 64 * 1024 * 1024

/** The files directly in a directory, as a commit has them. */
export interface Commit {
  readonly names: readonly string[]
  /** The bytes, or in words what is wrong. */
  read(name: string): Promise<Uint8Array | string>
}

/**
 * Opens a directory as a commit has it. Only git's objects are read: nothing is checked out, and no
 * hook or filter of the repository runs. Code: `not_found`.
 */
export const openCommit = async (
  dir: string,
  revision: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Commit> => {
  const git = async (...argv: readonly string[]): Promise<Buffer> => {
    const options = { encoding: 'buffer', maxBuffer: maxBytes, env: { ...env } } as const
    const { stdout } = await run('git', ['-C', dir, ...argv], options)
    return stdout
  }
  const refuse = (message: string, cause: unknown) =>
    new AppError('not_found', message, { hint: `git -C ${dir} log --oneline`, cause })
  let commit: string
  try {
    const argv = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`]
    commit = (await git(...argv)).toString().trim()
  } catch (cause) {
    throw refuse(`${JSON.stringify(revision)} is no commit of the repository of ${dir}.`, cause)
  }
  const entries = new Map<string, { readonly mode: string; readonly id: string }>()
  for (const line of (await git('ls-tree', '-z', commit, './')).toString().split('\0')) {
    const match = /^([0-7]{6}) [a-z]+ ([0-9a-f]{40,64})\t(.+)$/s.exec(line)
    const [, mode = '', id = '', name = ''] = match ?? []
    if (match !== null) entries.set(name, { mode, id })
  }
  return {
    names: [...entries.keys()],
    async read(name) {
      const entry = entries.get(name)
      if (entry === undefined || !entry.mode.startsWith('100')) {
        return 'is not a file in this commit; links are not followed there'
      }
      return git('cat-file', 'blob', entry.id)
    },
  }
}
