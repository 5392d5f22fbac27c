import { type Config, loadConfig } from '../config.ts'
import type { Output } from './output.ts'

/** What a command works with; everything of the process that it may touch. */
export interface Context {
  readonly output: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** `--config`, where it was given. */
  readonly configFile: string | undefined
}

/** Option values as given: text, true for a flag, undefined where absent. */
export type Options = Readonly<Record<string, string | true | undefined>>

export interface Option {
  /** As commander reads them: `--limit <number>`. */
  readonly flags: string
  readonly summary: string
  /** What is wrong with the value, if anything. */
  readonly check?: (text: string) => string | undefined
}

/** One row of the command table. */
export interface Command {
  /** `serve`, or `audit list` for a command in a group. */
  readonly name: string
  readonly summary: string
  readonly argument?: { readonly name: string; readonly summary: string }
  /** Behind the first. */
  readonly second?: { readonly name: string; readonly summary: string }
  /** Behind those: `[command...]` takes all there are. */
  readonly rest?: { readonly name: string; readonly summary: string }
  readonly options?: readonly Option[]
  readonly examples: readonly string[]
  /** Answers the exit code: 0 ok, 1 found or refused. Failures are thrown as AppError. */
  run(
    context: Context,
    argument: string | undefined,
    options: Options,
    second?: string,
    /** Every operand as it was given. */
    operands?: readonly string[],
  ): Promise<number>
}

export const jsonOption: Option = { flags: '--json', summary: 'print one JSON document' }

/** The configuration, its warnings told. */
export const readConfig = async (context: Context): Promise<Config> => {
  const { config, warnings } = await loadConfig({
    file: context.configFile,
    env: context.env,
    cwd: context.cwd,
  })
  for (const warning of warnings) context.output.warning(warning)
  return config
}
