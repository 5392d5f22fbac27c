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
    },
    destination,
  )

/**
 * Lines of one turn of the event loop as one write: each is a system call that holds every request.
 * What waits when the process ends, however it comes to that by itself, is written before.
 */
export const createBatches = (destination: Destination): Destination => {
  let waiting = ''
  const flush = () => {
    const lines = waiting
    waiting = ''
    if (lines !== '') destination.write(lines)
  }
  process.once('exit', flush)
  return Object.freeze({
    write(line: string) {
      if (waiting === '') setImmediate(flush)
      waiting += line
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

/** The members of an event, and theirs, without the values of secret names. Most events have none, and stay as they are. */
const redact = (event: Record<string, unknown>): Record<string, unknown> => {
  let clean = event
  const set = (name: string, value: unknown) => {
    if (clean === event) clean = { ...event }
    clean[name] = value
  }
  for (const name of Object.keys(event)) {
    const value = event[name]
    if (secretNames.has(name)) set(name, censor)
    else if (typeof value === 'object' && value !== null && hasSecret(value)) {
      set(
        name,
        Object.fromEntries(
          Object.entries(value).map(([inner, held]) => [
            inner,
            secretNames.has(inner) ? censor : held,
          ]),
        ),
      )
    }
  }
  return clean
}

const hasSecret = (value: object): boolean =>
  Object.keys(value).some((name) => secretNames.has(name))
