import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from '../command.ts'
import { formatUnit } from '../templates/unit.ts'

const defaultConfig = '/etc/postern/postern.yaml'

export const systemd: Command = {
  name: 'systemd',
  summary: 'print a hardened systemd unit for this installation',
  examples: [
    'postern systemd > /etc/systemd/system/postern.service',
    'postern systemd --config /srv/postern/postern.yaml',
  ],
  async run({ output, env, cwd, configFile }) {
    const config = resolve(cwd, configFile ?? env['POSTERN_CONFIG'] ?? defaultConfig)
    const script = process.argv[1] ?? fileURLToPath(new URL('../../main.js', import.meta.url))
    output.text(
      formatUnit({
        node: process.execPath,
        script: resolve(cwd, script),
        config,
        dataDir: join(dirname(config), 'data'),
      }),
    )
    return 0
  },
}
