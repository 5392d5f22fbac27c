import { AppError } from '../errors.ts'
import { type Clock, formatTime } from '../lib/clock.ts'

/** A clock that certificates may be dated by. */
export interface TrustedClock {
  /** The time. @throws AppError `clock_untrusted` while it may be wrong. */
  readonly now: Clock
  close(): void
}

/** By how much the clock may be set while the service runs, in milliseconds. */
const maxStep = 5 * 60_000
/** How long a clock that was set by more must run steadily before it is believed. */
const settleTime = 60_000
/** What "steadily" leaves to a clock that is being slewed. */
const steadyStep = 1_000

/**
 * Watches the clock against one that is never set. Two things make it untrusted:
 *
 * - it was set by over 5 minutes, either way, while the service ran. This settles when it is set
 *   back, or has run steadily for 60 s: whoever set it meant it.
 * - it stands over 5 minutes before a time it was trusted at, or at which the newest certificate was
 *   issued: tokens that have ended would be taken again. This settles when the clock is right, and by
 *   no waiting; where it was that time that was wrong, `postern serve --accept-clock` says so.
 *
 * Looks once a second, so that a clock set while nobody asks is not taken for a steady one later.
 */
export const createTrustedClock = (deps: {
  readonly clock: Clock
  /** Milliseconds that never step. */
  readonly monotonic: () => number
  /** When the newest certificate was issued, as the log has it. */
  readonly newest: Date | undefined
  /** Hears why, when trust is lost; undefined when it is back. */
  readonly tell: (reason: string | undefined) => void
}): TrustedClock => {
  const { clock, monotonic, tell } = deps
  let reference = clock().getTime() - monotonic()
  let moved: { readonly offset: number; readonly at: number } | undefined
  let newest = deps.newest?.getTime() ?? Number.NEGATIVE_INFINITY
  let told: string | undefined

  const judge = (now: number): string | undefined => {
    const at = monotonic()
    const offset = now - at
    const step = offset - reference
    if (Math.abs(step) <= maxStep) moved = undefined
    else if (moved === undefined || Math.abs(offset - moved.offset) > steadyStep) {
      moved = { offset, at }
    }
    if (moved !== undefined && at - moved.at < settleTime) {
      return `it was set by ${Math.round(step / 1000)} s`
    }
    if (moved !== undefined) reference = offset
    moved = undefined
    if (now < newest - maxStep) {
      return `it has been at ${formatTime(new Date(newest))} before`
    }
    newest = Math.max(newest, now)
    return undefined
  }

  const read = (): { readonly date: Date; readonly reason: string | undefined } => {
    const date = clock()
    const reason = judge(date.getTime())
    if ((reason === undefined) !== (told === undefined)) tell(reason)
    told = reason
    return { date, reason }
  }
  read()
  const watch = setInterval(read, 1_000).unref()

  return Object.freeze({
    now: () => {
      const { date, reason } = read()
      if (reason === undefined) return date
      throw new AppError(
        'clock_untrusted',
        'The clock of the service may be wrong, so nothing is issued: try again in a minute.',
        { detail: `the clock: ${reason}`, retryAfter: 60 },
      )
    },
    close: () => clearInterval(watch),
  })
}
