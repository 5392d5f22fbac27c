import { resolve } from 'node:path'
import { type Command, jsonOption, readConfig } from '../command.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'copy the log to a file while the service runs, verified and signed; no key is in it',
  argument: { name: '<file>', summary: 'a file that is not there yet' },
  options: [jsonOption],
  examples: ['postern backup /mnt/other/postern-2026-11-22.db'],
  async run(context, argument, { json }) {
    const { output, cwd } = context
    const config = await readConfig(context)
    const { backupLog } = await import('../../app/backup.ts')
    const target = resolve(cwd, argument as string)
    const { count, checkpoint } = await backupLog(config, target, (seq) =>
      output.progress(`verified ${seq}`),
    )
    output.progress('')
    if (json === true) output.json({ file: target, checkpoint, entries: count })
    else {
      output.line(`ok: ${count} ${count === 1 ? 'entry' : 'entries'} in ${target}`)
      output.line(`signed: ${checkpoint}`)
      output.note(
        'no key is in it: keep copies of ca.userKey, and of keys, trust.key and log.key in dataDir, apart from it',
      )
    }
    return 0
  },
}
