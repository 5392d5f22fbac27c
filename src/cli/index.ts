import { readFileSync } from 'node:fs'
import { Command as Commander, CommanderError, InvalidArgumentError } from 'commander'
import { AppError, exitOf } from '../errors.ts'
import type { Command, Context, Options } from './command.ts'
import { agent } from './commands/agent.ts'
import { auditList, auditShow } from './commands/audit.ts'
import { auditReconcile } from './commands/audit-reconcile.ts'
import { auditExport, auditSearch } from './commands/audit-search.ts'
import { auditKey, auditVerify } from './commands/audit-verify.ts'
import { backup } from './commands/backup.ts'
import { caList, caShow } from './commands/ca.ts'
import { caActivate, caNext, caRemove, caRetire } from './commands/ca-steps.ts'
import { certList, certShow } from './commands/cert.ts'
import { doctor } from './commands/doctor.ts'
import { freeze, unfreeze } from './commands/freeze.ts'
import { helpCommand } from './commands/help.ts'
import { hostInvite, hostList, hostRemove, hostShow } from './commands/host.ts'
import { init } from './commands/init.ts'
import { login, logout } from './commands/login.ts'
import { policyCheck } from './commands/policy-check.ts'
import { policyDiff } from './commands/policy-diff.ts'
import { policyExplain } from './commands/policy-explain.ts'
import { policyPin } from './commands/policy-pin.ts'
import { policyReplay } from './commands/policy-replay.ts'
import { policyTest } from './commands/policy-test.ts'
import { reach } from './commands/reach.ts'
import { ready } from './commands/ready.ts'
import { revocations, revoke, unrevoke } from './commands/revoke.ts'
import { schemasCommand } from './commands/schemas.ts'
import { serve } from './commands/serve.ts'
import { ssh } from './commands/ssh.ts'
import { sshConfig } from './commands/ssh-config.ts'
import { systemd } from './commands/systemd.ts'
import { whoCan } from './commands/who-can.ts'
import { whoami } from './commands/whoami.ts'
import { createOutput, type Output, type Sink } from './output.ts'

/** Every command there is, in the order `--help` lists them. */
export const commands: readonly Command[] = [
  serve,
  init,
  caShow,
  caList,
  caNext,
  caActivate,
  caRetire,
  caRemove,
  policyCheck,
  policyTest,
  policyPin,
  policyExplain,
  policyDiff,
  policyReplay,
  revoke,
  unrevoke,
  revocations,
  freeze,
  unfreeze,
  hostList,
  hostShow,
  hostInvite,
  hostRemove,
  certList,
  certShow,
  whoCan,
  reach,
  doctor,
  auditList,
  auditShow,
  auditSearch,
  auditExport,
  auditVerify,
  auditKey,
  auditReconcile,
  backup,
  schemasCommand,
  systemd,
  helpCommand,
  login,
  logout,
  whoami,
  ssh,
  sshConfig,
  ready,
  agent,
]

/** The groups that a command's first word names. */
const groups: Readonly<Record<string, string>> = {
  ca: 'the keys of the CA',
  policy: 'the policy files',
  host: 'the hosts that trust the CA',
  cert: 'the certificates that were issued',
  audit: 'the log; also while the service runs',
}

/** The part of the process that the command line touches. */
export interface Io {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/**
 * Runs one command line (without node and script) and answers the exit code: 0 ok, 1 found or
 * refused, 2 usage, 3 a login that nobody can account for (audit reconcile), 78 configuration. It
 * never throws, and never ends the process.
 */
export const run = async (argv: readonly string[], io: Io): Promise<number> => {
  const output = createOutput(io)
  let exitCode = 0
  const program = createProgram(output, async (command, configFile, operands, options) => {
    const context: Context = { output, env: io.env, cwd: io.cwd, configFile }
    const [argument, second] = operands
    exitCode = await command.run(context, argument, options, second, operands)
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    await output.settle()
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return describeUsage(error, output, argv)
    output.error(error)
    return error instanceof AppError ? exitOf(error.code) : 1
  }
}

type Act = (
  command: Command,
  configFile: string | undefined,
  given: readonly string[],
  options: Options,
) => Promise<void>

const createProgram = (output: Output, act: Act): Commander => {
  const program = new Commander('postern')
    .description('An SSH certificate authority: a token in, a short-lived certificate out.')
    .version(readVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .option('--config <file>', 'the configuration (default: $POSTERN_CONFIG, or postern.yaml)')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: output.text,
      writeErr: output.help,
      // Told by describeUsage, in our own form.
      outputError: () => {},
    })
    .exitOverride()
  addExamples(program, [
    'postern init /etc/postern',
    'postern serve --config /etc/postern/postern.yaml',
    'postern audit list --type deny --since 24h',
  ])
  const parents = new Map<string, Commander>()
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ')
    let parent = program
    if (second !== undefined) {
      parent = parents.get(first) ?? addGroup(program, first)
      parents.set(first, parent)
    }
    addCommand(parent.command(second ?? first), command, act)
  }
  return program
}

const addGroup = (program: Commander, name: string): Commander => {
  const group = program
    .command(name)
    .description(groups[name] ?? '')
    .helpCommand(false)
  const inGroup = commands.filter((command) => command.name.startsWith(`${name} `))
  addExamples(
    group,
    inGroup.map(({ examples }) => examples[0] as string),
  )
  return group
}

const addCommand = (target: Commander, command: Command, act: Act): void => {
  target.description(command.summary)
  for (const argument of [command.argument, command.second, command.rest]) {
    if (argument !== undefined) target.argument(argument.name, argument.summary)
  }
  for (const { flags, summary, check } of command.options ?? []) {
    target.option(flags, summary, (text: string) => {
      const problem = check?.(text)
      if (problem !== undefined) throw new InvalidArgumentError(problem)
      return text
    })
  }
  addExamples(target, command.examples)
  target.action(async () => {
    const { config, ...options } = target.optsWithGlobals<Record<string, string | true>>()
    await act(command, config === undefined ? undefined : String(config), target.args, options)
  })
}

const addExamples = (target: Commander, examples: readonly string[]): void => {
  const lines = examples.map((example) => `  $ ${example}\n`).join('')
  target.addHelpText('after', `\nExamples:\n${lines}`)
}

/** Commander has thrown for help and version as well, after printing them. */
const describeUsage = (error: CommanderError, output: Output, argv: readonly string[]): number => {
  if (error.exitCode === 0) return 0
  // A command or group alone: its help has been printed in place of a result.
  if (error.code === 'commander.help') return exitOf('usage')
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const nearest = /Did you mean (?:one of )?(.+)\?/.exec(suggestion ?? '')?.[1]
  output.error(
    new AppError('usage', `${message.replace(/\.$/, '')}.`, {
      hint:
        nearest === undefined
          ? `postern ${findCommandName(argv)}--help`
          : `did you mean ${nearest}?`,
    }),
  )
  return exitOf('usage')
}

/** The command whose name the words begin with, and a space; nothing where none is. */
const findCommandName = (argv: readonly string[]): string => {
  const found = commands.find(({ name }) => name.split(' ').every((word, at) => argv[at] === word))
  return found === undefined ? '' : `${found.name} `
}

/** From package.json, which stands two levels up from here in src as in dist. */
const readVersion = (): string => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
