import { ensurePackages } from './tools.ts'

/**
 * Runs once, before every test: two test processes must not run apt-get at once. A tool that is
 * missing and can't be installed ends the run, by the name of its package.
 */
export default (): Promise<void> =>
  ensurePackages(
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
