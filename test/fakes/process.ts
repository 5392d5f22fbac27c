import { type SpawnOptions, spawn } from 'node:child_process'

/** Runs a program to its end. @throws with its stderr where it does not end with 0. */
export const run = async (
  file: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> => {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${stderr}`)
  return { stdout, stderr }
}
