import { rmSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { findPlaces } from '../../desk/places.ts'
import {
  formatSshConfig,
  installSshConfig,
  isHostPattern,
  uninstallSshConfig,
} from '../../desk/ssh-config.ts'
import { AppError } from '../../errors.ts'
import type { Command } from '../command.ts'

export const sshConfig: Command = {
  name: 'ssh-config',
  summary: 'let plain ssh get certificates by itself; prints what ssh would be told',
  options: [
    { flags: '--install', summary: 'write it, and one Include at the top of ~/.ssh/config' },
    { flags: '--uninstall', summary: 'take both away again' },
    {
      flags: '--hosts <patterns>',
      summary:
        'these hosts are Postern’s, whether or not the service lists them: web-*.example.com,…',
      check: (text) =>
        text.split(',').every(isHostPattern)
          ? undefined
          : 'Write patterns as web-*.example.com, with commas between them.',
    },
  ],
  examples: [
    'postern ssh-config --install',
    'postern ssh-config --install --hosts "*.example.com,*.example.net"',
    'postern ssh-config --uninstall',
  ],
  async run({ output, env }, _argument, { install, uninstall, hosts }) {
    const places = findPlaces(env)
    const home = env['HOME'] ?? ''
    if ((install === true || uninstall === true) && !isAbsolute(home)) {
      throw new AppError('unsafe_place', 'There is no home directory to find ~/.ssh/config in.', {
        hint: 'set HOME to its absolute path',
      })
    }
    if (uninstall === true) {
      const { file, isChanged } = uninstallSshConfig(places, home, (path) =>
        rmSync(path, { force: true }),
      )
      output.note(isChanged ? `taken out of ${file}` : `${file} has no such line`)
      return 0
    }
    const main = process.argv[1]
    if (main === undefined) throw new AppError('usage', 'The program has no path of its own.')
    const text = formatSshConfig({
      places,
      argv: [process.execPath, main],
      hosts: typeof hosts === 'string' ? hosts.split(',') : [],
    })
    if (install !== true) {
      output.text(text)
      return 0
    }
    const { file, isChanged } = installSshConfig(places, home, text)
    output.note(isChanged ? `${file} includes it now` : `${file} includes it already`)
    return 0
  },
}
