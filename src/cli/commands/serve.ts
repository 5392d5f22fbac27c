import { url as inspectorUrl } from 'node:inspector'
import { type Command, readConfig } from '../command.ts'
import { checkProcess, closeProcess, limitStop, onHangup, waitForSignal } from '../process.ts'

/** The 10 s that requests in flight may take, and a moment to close the log. */
const stopSeconds = 12

export const serve: Command = {
  name: 'serve',
  summary: 'run the service until SIGTERM or SIGINT; SIGHUP reads the policy again',
  examples: ['postern serve', 'postern serve --config /etc/postern/postern.yaml'],
  options: [
    {
      flags: '--accept-clock',
      summary: 'the clock is right, although it stands before the newest certificate',
    },
    {
      flags: '--accept-rollback',
      summary: 'the log ends before its newest checkpoint, and what it has lost is lost',
    },
    {
      flags: '--accept-ca',
      summary: 'sign with the key of ca.userKey, although the log names another as active',
    },
  ],
  async run(context, _argument, options) {
    closeProcess()
    checkProcess({
      env: context.env,
      execArgv: process.execArgv,
      isInspected: inspectorUrl() !== undefined,
    })
    const config = await readConfig(context)
    const { build } = await import('../../app.ts')
    const accepted = {
      clock: options['acceptClock'] === true,
      rollback: options['acceptRollback'] === true,
      caKey: options['acceptCa'] === true,
    }
    const app = await build(config, {}, accepted)
    const stopped = waitForSignal()
    onHangup(app.reload)
    try {
      const { url } = await app.listen()
      context.output.line(`postern: ready on ${url}`)
      await stopped
      limitStop(stopSeconds)
    } finally {
      await app.close()
    }
    return 0
  },
}
