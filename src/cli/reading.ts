import type { Store } from '../audit/index.ts'
import type { Config } from '../config.ts'
import { formatTime, systemClock } from '../lib/clock.ts'
import { parseDuration } from '../lib/duration.ts'
import { type Context, type Option, readConfig } from './command.ts'

// How commands read the log: beside a running service, and as far back as they are told to.

/** Opens the log of the configuration, and closes it whatever comes of the reading. */
export const withLog = async <T>(
  context: Context,
  read: (store: Store, config: Config) => Promise<T>,
): Promise<T> => {
  const config = await readConfig(context)
  const { openLog } = await import('../app.ts')
  const store = await openLog(config)
  try {
    return await read(store, config)
  } finally {
    await store.close()
  }
}

/** The start of a span, as entries write their times; undefined where the text is no time at all. */
export const parseSince = (text: string): string | undefined => {
  const seconds = parseDuration(text)
  if (seconds !== undefined) return formatTime(new Date(systemClock().getTime() - seconds * 1000))
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(text)
  const at = new Date(text)
  return isTime && !Number.isNaN(at.getTime()) ? formatTime(at) : undefined
}

export const sinceOption: Option = {
  flags: '--since <time>',
  summary: 'not older than 24h, 2026-11-22, or 2026-11-22T10:00:00Z',
  check: (text) =>
    parseSince(text) === undefined
      ? 'Write a duration as 24h, or a time as 2026-11-22T10:00:00Z.'
      : undefined,
}
