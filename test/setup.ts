import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePackages } from './tools.ts'

/**
 * Runs once, before every test: two test processes must not run apt-get at once. A tool that is
 * missing and can't be installed ends the run, by the name of its package. Hundreds of commands and
 * services are started from the sources; what is compiled for one of them serves the others.
 */
export default async (): Promise<() => void> => {
  const cache = mkdtempSync(join(tmpdir(), 'postern-compiled-'))
  process.env['NODE_COMPILE_CACHE'] = cache
  await ensurePackages(
    [
      'curl',
      'openssh-client',
      'openssh-server',
      'openssh-tests',
      'git',
      'rsync',
      'strace',
      'libfaketime',
    ],
    (line) => process.stderr.write(`${line}\n`),
  )
  return () => rmSync(cache, { recursive: true, force: true })
}
