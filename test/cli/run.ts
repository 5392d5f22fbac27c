import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/index.ts'

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line in this process. */
export const runCli = async (
  argv: readonly string[],
  given: {
    readonly cwd: string
    readonly env?: Readonly<Record<string, string>>
    readonly isTTY?: boolean
  },
): Promise<Outcome> => {
  const { cwd, env = {}, isTTY = false } = given
  const written = { stdout: '', stderr: '' }
  const sink = (name: keyof typeof written) => ({
    isTTY,
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await run(argv, { stdout: sink('stdout'), stderr: sink('stderr'), env, cwd })
  return { code, ...written }
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  /** Resolves with the first line on stdout; rejects where the process ends without one. */
  readonly firstLine: Promise<string>
}

/** Starts the real binary, with nothing of this process's environment but the path. */
export const startCli = (
  argv: readonly string[],
  given: {
    readonly cwd: string
    readonly env?: Readonly<Record<string, string>>
    readonly nodeFlags?: readonly string[]
  },
): Running => {
  const child = spawn(process.execPath, [...(given.nodeFlags ?? []), main, ...argv], {
    cwd: given.cwd,
    env: { PATH: process.env['PATH'], ...given.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = { stdout: '', stderr: '' }
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => resolve({ code, ...written }))
  })
  child.stderr.on('data', (bytes: Buffer) => {
    written.stderr += bytes.toString()
  })
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (bytes: Buffer) => {
      written.stdout += bytes.toString()
      const end = written.stdout.indexOf('\n')
      if (end >= 0) resolve(written.stdout.slice(0, end))
    })
    child.once('close', () => reject(new Error(`ended early: ${written.stderr}`)))
  })
  firstLine.catch(() => {})
  return { child, ended, firstLine }
}

/** Writes files by their relative path, 0600, and answers the directory. */
export const writeFiles = (dir: string, files: Readonly<Record<string, string>>): string => {
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, text)
    chmodSync(path, 0o600)
  }
  return dir
}
