import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { openAgent } from '../../desk/agent.ts'
import { type AgentAnswer, askAgent, askStartedAgent, toError } from '../../desk/control.ts'
import type { Held } from '../../desk/keeper.ts'
import { findJobCredential } from '../../desk/login/index.ts'
import { readHost, readLogin, type Target } from '../../desk/names.ts'
import { findPlaces, type Places, replaceFile } from '../../desk/places.ts'
import { findSession } from '../../desk/session.ts'
import { quote } from '../../desk/ssh-config.ts'
import { AppError } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { systemFetch } from '../../lib/fetch.ts'
import type { Command, Context } from '../command.ts'
import { withSpinner } from '../spinner.ts'
import { findUrl, serviceOption } from './login.ts'

/** Ours, before any connection; ssh's own is 255, and everything else is the remote command's. */
const refusedExit = 254
const timeoutMs = 15_000

export const ssh: Command = {
  name: 'ssh',
  summary:
    'log in with a certificate; exits with the remote command’s code, 255 for ssh, 254 for us',
  argument: { name: '<target>', summary: 'the host, or LOGIN@HOST' },
  rest: { name: '[command...]', summary: 'what to run there, behind --; a shell if left out' },
  options: [
    serviceOption,
    { flags: '--reason <text>', summary: 'why, for the log and for rules that want it' },
    {
      flags: '--port <port>',
      summary: 'where sshd listens, if the service does not say',
      check: (text) => (/^[1-9][0-9]{0,4}$/.test(text) ? undefined : 'Write a port, as 2222.'),
    },
    {
      flags: '--address <address>',
      summary: 'where the host is reached, if the service does not say',
      check: (text) =>
        /^[A-Za-z0-9][A-Za-z0-9.:-]*$/.test(text) ? undefined : 'Write an address or a host name.',
    },
    { flags: '--known-hosts <file>', summary: 'the host’s keys, if the service does not say' },
  ],
  examples: [
    'postern ssh deploy@web-1.example.com',
    'postern ssh runner@runner-17.example.com --reason "install" -- ./install.sh --fast',
  ],
  async run(context, target = '', options, _second, operands = []) {
    const { output } = context
    const command = operands.slice(1)
    try {
      const wanted = readTarget(target)
      return await withPlaces(context, options['url'], async (places, ask) => {
        const { reason } = options
        const answer = await withSpinner(output, 'getting a certificate', () =>
          ask({
            kind: 'ready',
            ...wanted,
            name: wanted.host,
            ours: true,
            ...(typeof reason === 'string' ? { reason } : {}),
          }),
        )
        if (!answer.ok) throw toError(answer)
        const held = answer as AgentAnswer & Held
        const settings = listSettings(context, places, held, wanted.host, options)
        return runSsh(
          [
            ...settings.flatMap((setting) => ['-o', setting]),
            '-l',
            wanted.login,
            '--',
            wanted.host,
          ],
          command,
          context,
        )
      })
    } catch (error) {
      output.error(error)
      return refusedExit
    }
  },
}

/** `LOGIN@HOST`; the login here is the login there if it is left out. */
const readTarget = (text: string): Target => {
  const at = text.lastIndexOf('@')
  const host = readHost(text.slice(at + 1))
  return { host, login: readLogin(at < 0 ? userInfo().username : text.slice(0, at)) }
}

type Ask = (request: Parameters<typeof askAgent>[1]) => Promise<AgentAnswer>

/** With the desk's agent; in a CI job, where nobody has logged in, with one that ends with the command. */
const withPlaces = async (
  context: Context,
  url: string | true | undefined,
  work: (places: Places, ask: Ask) => Promise<number>,
): Promise<number> => {
  const { env, output } = context
  const places = findPlaces(env)
  const job = output.isTerminal ? undefined : findJobCredential(env)
  if (findSession(places) !== undefined) {
    return work(places, (request) => askStartedAgent(places, request, timeoutMs))
  }
  if (job === undefined || (await askAgent(places, { kind: 'list' }, timeoutMs)) !== undefined) {
    return work(places, async (request) => {
      const answer = await askAgent(places, request, timeoutMs)
      if (answer !== undefined) return answer
      throw new AppError('not_logged_in', 'You are not logged in.', { hint: 'postern login' })
    })
  }
  const dir = mkdtempSync(join(tmpdir(), 'postern-'))
  const own = findPlaces({ XDG_STATE_HOME: dir })
  const agent = await openAgent({
    places: own,
    clock: systemClock,
    monotonic: () => performance.now(),
    fetch: systemFetch,
  })
  try {
    const ask: Ask = async (request) => (await askAgent(own, request, timeoutMs)) as AgentAnswer
    await ask({ kind: 'login', session: { url: findUrl(context, places, url), credential: job } })
    return await work(own, ask)
  } finally {
    agent?.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** What ssh is told beside the user's own configuration; what stands here goes before it. */
const listSettings = (
  { output }: Context,
  places: Places,
  held: Held,
  host: string,
  options: Readonly<Record<string, string | true | undefined>>,
): readonly string[] => {
  const address = options['address'] ?? held.address
  const port = options['port'] ?? held.port
  const { knownHosts: file = writeKnownHosts(held, host) } = options
  return [
    `IdentityAgent=${quote(places.agentSocket)}`,
    'IdentitiesOnly=yes',
    `IdentityFile=${quote(held.file)}`,
    'ForwardAgent=no',
    ...(output.isTerminal ? [] : ['BatchMode=yes']),
    ...(address === undefined ? [] : [`HostName=${address}`, `HostKeyAlias=${host}`]),
    ...(port === undefined ? [] : [`Port=${port}`]),
    ...(file === undefined
      ? []
      : [`UserKnownHostsFile=${quote(String(file))}`, 'StrictHostKeyChecking=yes']),
  ]
}

/** The service's lines under the name that ssh looks for, which is the host's without its port. */
const writeKnownHosts = ({ knownHosts, file }: Held, host: string): string | undefined => {
  if (knownHosts === undefined) return undefined
  const path = `${file}.known_hosts`
  const lines = knownHosts.split('\n').map((line) => line.replace(/^(@[a-z-]+ )?\S+/, `$1${host}`))
  replaceFile(path, `${lines.join('\n')}\n`)
  return path
}

/** What ends a job. */
const passed = ['SIGTERM', 'SIGHUP'] as const

/** ssh's exit code, or what a shell would say of the signal that ended it. */
const runSsh = (
  args: readonly string[],
  command: readonly string[],
  { env }: Context,
): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn('ssh', [...args, ...command], { stdio: 'inherit', env: { ...env } })
    // The terminal sends it to ssh as well, and ssh decides.
    const leave = () => {}
    // These come to us alone: ssh would go on, and what it runs there.
    const pass = (signal: NodeJS.Signals) => child.kill(signal)
    process.on('SIGINT', leave)
    for (const signal of passed) process.on(signal, pass)
    const settle = (report: () => void) => {
      process.off('SIGINT', leave)
      for (const signal of passed) process.off(signal, pass)
      report()
    }
    child.once('error', (error) => settle(() => reject(error)))
    child.once('close', (code, signal) =>
      settle(() => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))),
    )
  })
