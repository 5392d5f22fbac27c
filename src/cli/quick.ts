import { parseArgs } from 'node:util'
import { AppError, exitOf } from '../errors.ts'
import type { Command, Context } from './command.ts'
import { agent } from './commands/agent.ts'
import { ready } from './commands/ready.ts'
import type { Io } from './index.ts'
import { createOutput } from './output.ts'

const commands: Readonly<Record<string, Command>> = { ready, agent }

/**
 * Runs `ready` or `agent` without the rest of the command line, which takes half a second to load.
 * Whatever is not exactly one of them (help, a mistake) goes there all the same.
 */
export const run = async (argv: readonly string[], io: Io): Promise<number> => {
  const given = parse(argv)
  const command = commands[argv[0] ?? '']
  if (given === undefined || command === undefined) {
    const whole = await import('./index.ts')
    return whole.run(argv, io)
  }
  const output = createOutput(io)
  const context: Context = { output, env: io.env, cwd: io.cwd, configFile: undefined }
  const [first, second] = given.names
  try {
    return await command.run(context, first, given.options, second, given.names)
  } catch (error) {
    output.error(error)
    return error instanceof AppError ? exitOf(error.code) : 1
  }
}

const parse = (argv: readonly string[]) => {
  const [name, ...args] = argv
  try {
    const options = name === 'ready' ? { ours: { type: 'boolean' } as const } : {}
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const isWhole =
      name === 'ready' ? [2, 3].includes(positionals.length) : positionals.length === 0
    return isWhole
      ? {
          names: positionals,
          options: { ours: values['ours'] === true ? (true as const) : undefined },
        }
      : undefined
  } catch {
    return undefined
  }
}
