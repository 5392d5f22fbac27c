import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/**
 * The service's log: one JSON line an event, on stderr, so that stdout keeps the ready line alone.
 * Tokens, keys and cookies are never passed to it; the redaction is the second line of defence.
 */
export const createLogger = (
  level: string,
  destination: { write(line: string): void } = process.stderr,
): Logger =>
  pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['authorization', 'cookie', 'token', '*.authorization', '*.cookie', '*.token'],
        censor: '[redacted]',
      },
    },
    destination,
  )
