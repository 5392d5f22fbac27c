import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runDemo } from './demo.ts'

const usage = `Usage: npm run demo [-- --once]

From a token to a login, on this machine: starts the service, an OIDC issuer and two sshds on loopback,
tells each step, and stays up for you to try it, until Ctrl-C.

  --once      end after the last step: with 0 if every step did what it should, else with 1
  -h, --help  print this help

Everything it makes is in .demo/ (as root, sshd also wants the empty directory /run/sshd).
It needs OpenSSH's sshd: where that is missing, root on Debian or Ubuntu gets it installed,
without a service being started; elsewhere the command to run is printed.
`

const { stdout, stderr } = process

const readArgs = () => {
  try {
    const options = { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
    return parseArgs({ options }).values
  } catch (error) {
    stderr.write(`error: ${error instanceof Error ? error.message : error}\n\n${usage}`)
    return undefined
  }
}

const args = readArgs()
if (args === undefined) process.exit(2)
if (args.help === true) {
  stdout.write(usage)
  process.exit(0)
}

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopping.abort())
}
// npm passes a signal on to the shell it runs us by, which dies of it without passing it on to us.
const parent = process.ppid
const isOrphaned = () => process.env['npm_lifecycle_event'] === 'demo' && process.ppid !== parent
setInterval(() => isOrphaned() && stopping.abort(), 500).unref()
// A terminal that has been closed takes no more lines, and everything still has to be ended.
stdout.on('error', () => {})

process.exit(
  await runDemo({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    once: args.once === true,
    write: (text) => stdout.write(text),
    isColoured: stdout.isTTY === true && !process.env['NO_COLOR'],
    stop: stopping.signal,
  }),
)
