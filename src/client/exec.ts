import { AppError } from '../errors.ts'
import { concat } from '../lib/bytes.ts'
import type { Limits } from './deadline.ts'
import { type Input, readInput } from './input.ts'
import type { Channel, Connection, Sink, Terminal } from './transport.ts'

export interface ExecOptions extends Limits {
  /** What the command reads; nothing, its end at once, where it is left out. */
  readonly stdin?: Input | undefined
  /** A terminal for it: `true`, or what is to be said of one. Its output is then all in `stdout`. */
  readonly pty?: boolean | Partial<Terminal> | undefined
  /** Takes the output as it comes, which is then not kept. While its promise is pending the host waits. */
  readonly onStdout?: Sink | undefined
  readonly onStderr?: Sink | undefined
  /** How many bytes of output are kept before it is an error. Default 16 MiB. */
  readonly maxOutput?: number | undefined
}

/** How a command ended, and what it said. */
export interface ExecResult {
  /** Its exit code; null where a signal ended it. */
  readonly code: number | null
  /** Like `SIGTERM`; null where it ended by itself. */
  readonly signal: string | null
  /** As UTF-8, with U+FFFD for what is none. */
  readonly stdout: string
  readonly stderr: string
  /** The same to the byte. */
  readonly stdoutBytes: Uint8Array
  readonly stderrBytes: Uint8Array
}

const defaultMaxOutput = 16 * 1024 * 1024
const defaultTerminal: Terminal = { term: 'xterm-256color', columns: 80, rows: 24 }

/**
 * Runs one command to its end. When the signal aborts, the command is sent SIGTERM, its channel closed,
 * and the signal's reason thrown. Codes: those of `Session.exec`.
 */
export const runCommand = async (
  connection: Connection,
  command: Uint8Array,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ExecResult> => {
  const { stdin = '', pty, onStdout, onStderr, maxOutput = defaultMaxOutput } = options
  const output = createCollector(maxOutput)
  const stdout = output.open()
  const stderr = output.open()
  const channel = await connection.open(
    { kind: 'exec', command, pty: readTerminal(pty) },
    { stdout: onStdout ?? stdout.add, stderr: onStderr ?? stderr.add },
    signal,
  )
  const onAbort = () => {
    channel.signal('TERM')
    channel.close(signal.reason)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    feed(channel, stdin)
    const { code, signal: name } = await channel.ended
    const stdoutBytes = stdout.join()
    const stderrBytes = stderr.join()
    return Object.freeze({
      code,
      signal: name,
      stdout: decode(stdoutBytes),
      stderr: decode(stderrBytes),
      stdoutBytes,
      stderrBytes,
    })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Sends the input as fast as it is read. A source that fails ends the command; a command may end before its input. */
const feed = async (channel: Channel, stdin: Input): Promise<void> => {
  try {
    for await (const bytes of readInput(stdin)) if (!(await channel.write(bytes))) return
    channel.finish()
  } catch (error) {
    channel.close(error instanceof Error ? error : new Error('stdin failed', { cause: error }))
  }
}

const readTerminal = (pty: ExecOptions['pty']): Terminal | undefined => {
  if (pty === undefined || pty === false) return undefined
  const terminal = { ...defaultTerminal, ...(pty === true ? {} : pty) }
  const { term, columns, rows } = terminal
  const isSize = (size: unknown) =>
    Number.isInteger(size) && Number(size) >= 1 && Number(size) <= 1000
  if (/^[A-Za-z0-9._+-]{1,64}$/.test(term) && isSize(columns) && isSize(rows)) return terminal
  throw new AppError(
    'invalid_request',
    'The pty is not valid: term is a name, columns and rows are whole numbers from 1 to 1000.',
  )
}

/** Keeps output up to a number of bytes, of both kinds together. */
export const createCollector = (most: number) => {
  let room = most
  return {
    open() {
      const parts: Uint8Array[] = []
      return {
        add(bytes: Uint8Array) {
          room -= bytes.length
          if (room < 0) throw outputTooLarge(most)
          parts.push(bytes)
        },
        join: () => concat(...parts),
      }
    },
  }
}

const outputTooLarge = (most: number): AppError =>
  new AppError('output_too_large', `There is more output than ${most} bytes.`, {
    hint: 'pass onStdout (for a file, onData) to take it as it comes, or a larger maxOutput',
  })

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const decode = (bytes: Uint8Array): string => decoder.decode(bytes)
