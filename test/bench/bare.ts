import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { adapter } from './adapters/postern.ts'
import { flags, type Site } from './service.ts'
import { readProcess, type Target } from './target.ts'

const program = fileURLToPath(new URL('./bare-server.ts', import.meta.url))

/** What any service on this Node costs that speaks HTTP, verifies a token and signs, and does nothing else. */
export const startBare = async (site: Site): Promise<Target & { stop(): void }> => {
  const child = spawn(process.execPath, [...flags, program, site.issuer], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the bare server ended with ${code}`)))
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()))
  })
  return {
    url,
    adapter,
    publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx',
    mintTokens: site.mintTokens,
    readUsage: () => readProcess(child.pid as number),
    stop() {
      child.kill()
    },
  }
}
