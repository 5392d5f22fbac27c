import { AppError } from '../errors.ts'
import { encodeUtf8 } from '../lib/bytes.ts'
import type { Answer } from './answer.ts'
import { type Limits, runWithin } from './deadline.ts'
import { sessionClosed } from './errors.ts'
import { createCollector, type ExecOptions, type ExecResult, runCommand } from './exec.ts'
import { type Input, readInput } from './input.ts'
import { createPlaces } from './places.ts'
import { type Command, encodeCommand } from './quote.ts'
import { openSftp, type Sftp } from './sftp.ts'
import type { Channel, Connection, Sink } from './transport.ts'

export interface PutOptions extends Limits {
  /** The permissions of a file that is made anew, like `0o755`, less the login's umask. */
  readonly mode?: number | undefined
}

export interface GetOptions extends Limits {
  /** Takes the content as it comes; `get` then answers no bytes. While its promise is pending no more is read. */
  readonly onData?: Sink | undefined
  /** How many bytes are kept before it is an error. Default 16 MiB. */
  readonly maxOutput?: number | undefined
}

/** A login on a host, until it is closed. */
export interface Session {
  /** The certificate it logged in by. The session may outlive it: sshd looks at the login only. */
  readonly certificate: Answer
  /**
   * Runs a command, and resolves with how it ended, whatever its code. A list of arguments is quoted
   * for a POSIX shell; `{ command }` is text for the login's shell as it is; nothing is for a login whose
   * certificate runs one command. As many at once as you like: ten run, the others wait. Codes: `invalid_command`,
   * `channel_refused`, `connection_cut`, `output_too_large`, `timeout`, `aborted`, `session_closed`,
   * and whatever `stdin`, `onStdout` and `onStderr` throw.
   */
  exec(command?: Command, options?: ExecOptions): Promise<ExecResult>
  /** Writes a file, made anew or emptied first; broken off, it leaves what has arrived. Codes: `transfer_failed`, and those of `exec`. */
  put(path: string | Uint8Array, content: Input, options?: PutOptions): Promise<void>
  /** Reads a file. Codes: `transfer_failed`, and those of `exec`. */
  get(path: string | Uint8Array, options?: GetOptions): Promise<Uint8Array>
  /** Ends what runs, logs out, and wipes the key. Never rejects. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** OpenSSH lets this many run over one connection (sshd_config(5), MaxSessions). */
const mostAtOnce = 10
const defaultMaxOutput = 16 * 1024 * 1024

export const createSession = (deps: {
  readonly connection: Connection
  readonly certificate: Answer
  /** Wipes the key. */
  readonly wipe: () => void
}): Session => {
  const { connection, certificate, wipe } = deps
  const places = createPlaces(mostAtOnce)
  const closing = new AbortController()
  const isForced = Object.hasOwn(certificate.criticalOptions, 'force-command')
  let closed: Promise<void> | undefined

  /** One thing done on a channel, within its limits and the life of the session. */
  const run = <T>(limits: Limits, what: string, work: (signal: AbortSignal) => Promise<T>) => {
    const { signal, timeout } = limits
    return runWithin({ signal, timeout }, what, (own) => {
      const either = AbortSignal.any([own, closing.signal])
      either.throwIfAborted()
      return places.use(() => work(either), either)
    })
  }
  const transfer = (limits: Limits, what: string, work: (sftp: Sftp) => Promise<void>) =>
    run(limits, what, async (signal) => {
      let channel: Channel | undefined
      const onAbort = () => channel?.close(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        const sftp = await openSftp(async (sinks) => {
          channel = await connection.open({ kind: 'subsystem', name: 'sftp' }, sinks, signal)
          if (signal.aborted) onAbort()
          return channel
        })
        await work(sftp)
      } finally {
        signal.removeEventListener('abort', onAbort)
        channel?.close(sessionClosed())
      }
    })

  const close = () => {
    closing.abort(sessionClosed())
    wipe()
    closed ??= connection.close()
    return closed
  }
  return Object.freeze({
    certificate,
    async exec(command: Command = isForced ? { command: '' } : [], options: ExecOptions = {}) {
      const bytes = encodeCommand(command)
      return run(options, 'The command', (signal) => runCommand(connection, bytes, options, signal))
    },
    put(path: string | Uint8Array, content: Input, options: PutOptions = {}) {
      return transfer(options, 'The transfer', (sftp) =>
        sftp.put(encodePath(path), readInput(content), options.mode),
      )
    },
    async get(path: string | Uint8Array, options: GetOptions = {}) {
      const { onData, maxOutput = defaultMaxOutput } = options
      const content = createCollector(maxOutput).open()
      await transfer(options, 'The transfer', (sftp) =>
        sftp.get(encodePath(path), onData ?? content.add),
      )
      return content.join()
    },
    close,
    [Symbol.asyncDispose]: close,
  })
}

const encodePath = (path: string | Uint8Array): Uint8Array => {
  const bytes = typeof path === 'string' ? encodeUtf8(path) : path
  if (bytes.length > 0 && bytes.length <= 4096 && !bytes.includes(0)) return bytes
  throw new AppError('invalid_request', 'The path is not valid: 1 to 4096 bytes, none of them NUL.')
}
