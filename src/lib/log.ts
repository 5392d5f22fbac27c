import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Where lines go, one or more whole ones at a time. */
export interface Destination {
  write(lines: string): void
}

/**
 * The service's log: one JSON line an event, on stderr, so that stdout keeps the ready line alone.
 * Tokens, keys and cookies are never passed to it; the redaction is the second line of defence.
 */
export const createLogger = (level: string, destination: Destination = openStderr()): Logger =>
  pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: redact },
      serializers: { err: (error) => redactMembers(pino.stdSerializers.err(error)) },
    },
    destination,
  )

/** Linux writes as much to a pipe in one piece, or not at all: no line is cut, or mixed with another process's. */
const wholeBytes = 4096

/**
 * Lines of one turn of the event loop as one write, or a few: each is a system call that holds every
 * request. What waits at an exit is written before; SIGKILL, an abort and a signal before it has a handler
 * lose the turn's lines.
 */
export const createBatches = (destination: Destination): Destination => {
  let waiting = ''
  let bytes = 0
  const flush = () => {
    const lines = waiting
    waiting = ''
    bytes = 0
    if (lines !== '') destination.write(lines)
  }
  process.once('exit', flush)
  return Object.freeze({
    write(line: string) {
      const length = Buffer.byteLength(line)
      if (bytes + length > wholeBytes) flush()
      if (waiting === '') setImmediate(flush)
      waiting += line
      bytes += length
    },
  })
}

let stderr: Destination | undefined
/** One for the process, whatever number of services it holds: lines stay in their order. */
const openStderr = (): Destination => {
  stderr ??= createBatches(process.stderr)
  return stderr
}

const secretNames: ReadonlySet<string> = new Set(['authorization', 'cookie', 'token'])
const censor = '[redacted]'

/**
 * The members of an event, and theirs, without the values of secret names. Most events have none, and
 * stay as they are. An error is written first: a copy of its members would lose its message.
 */
const redact = (event: Record<string, unknown>): Record<string, unknown> => {
  let clean = event
  for (const name of Object.keys(event)) {
    const value = event[name]
    const shown = secretNames.has(name) ? censor : name === 'err' ? value : redactMembers(value)
    if (shown === value) continue
    if (clean === event) clean = { ...event }
    clean[name] = shown
  }
  return clean
}

const redactMembers = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (!Object.keys(value).some((name) => secretNames.has(name))) return value
  const members = Object.entries(value)
  return Object.fromEntries(
    members.map(([name, held]) => [name, secretNames.has(name) ? censor : held]),
  )
}
