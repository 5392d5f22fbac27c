import { z } from 'zod'
import { checkedText, filledList, strictShape } from '../lib/shape.ts'

const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
type Weekday = (typeof weekdays)[number]

/** When a rule speaks, as its file says it. Every part given must hold; all of it in one zone. */
export interface When {
  /** The first day, `2026-11-01`. */
  readonly since?: string | undefined
  /** The last day, with it. */
  readonly through?: string | undefined
  readonly days?: readonly Weekday[] | undefined
  /** `08:00-18:00`: from the one, up to but not with the other; past midnight where the end is the earlier. */
  readonly between?: string | undefined
  /** An IANA zone, or UTC. */
  readonly zone: string
}

/** Whether a text is a day of the calendar, `2026-11-30`. */
export const isDay = (text: string): boolean => {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  // Date.parse may roll the 31st of a short month over; a real day comes back as it went in.
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text)
}

const date = checkedText((text) =>
  isDay(text) ? undefined : 'must be a day of the calendar, as 2026-11-30',
)

const window = checkedText((text) => {
  const minutes = parseWindow(text)
  if (minutes === undefined) return 'must be two times of the day, as "08:00-18:00"'
  return minutes.start === minutes.end
    ? 'starts and ends at the same time; leave it out'
    : undefined
})

const zone = checkedText((text) =>
  isZone(text) ? undefined : 'must be an IANA time zone, as Europe/Berlin or UTC',
)

/** The schema of `when`. The zone is never guessed: it is required. */
export const when = strictShape(
  {
    since: date.optional(),
    through: date.optional(),
    days: filledList(
      z.enum(weekdays, { error: `must be one of ${weekdays.join(', ')}` }),
    ).optional(),
    between: window.optional(),
    zone,
  },
  'when',
).superRefine(({ since, through, days, between }, context) => {
  if (since === undefined && through === undefined && !days && !between) {
    context.addIssue({
      code: 'custom',
      message: 'says no time: add since, through, days or between, or leave it out',
    })
  }
  if (since !== undefined && through !== undefined && since > through) {
    context.addIssue({ code: 'custom', path: ['through'], message: 'lies before since' })
  }
})

const parseWindow = (
  text: string,
): { readonly start: number; readonly end: number } | undefined => {
  const match = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/.exec(text)
  if (match === null) return undefined
  const [, hour, minute, endHour, endMinute] = match
  const end = endHour === undefined ? 24 * 60 : Number(endHour) * 60 + Number(endMinute)
  return { start: Number(hour) * 60 + Number(minute), end }
}

/** Those that were found to be zones: asking takes longer than reading a rule. */
const zones = new Set<string>()

const isZone = (text: string): boolean => {
  if (zones.has(text)) return true
  // Intl takes offsets too, which know nothing of summer time.
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(text)) return false
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text })
    zones.add(text)
    return true
  } catch {
    return false
  }
}

/** A moment as the clocks on the wall of a zone show it. */
interface WallTime {
  /** Whole days since 1970-01-01 by the zone's calendar. */
  readonly day: number
  readonly minute: number
}

const dayLength = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

const findFormat = (timeZone: string): Intl.DateTimeFormat => {
  const known = formats.get(timeZone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  formats.set(timeZone, format)
  return format
}

const readWallTime = (at: Date, timeZone: string): WallTime => {
  const parts: Record<string, number> = {}
  for (const { type, value } of findFormat(timeZone).formatToParts(at)) parts[type] = Number(value)
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts
  return { day: Date.UTC(year, month - 1, day) / dayLength, minute: hour * 60 + minute }
}

/** One moment, asked by many rules: each zone's wall clock is read once. */
export type Moment = (timeZone: string) => WallTime

export const createMoment = (at: Date): Moment => {
  const read = new Map<string, WallTime>()
  return (timeZone) => {
    const known = read.get(timeZone)
    if (known !== undefined) return known
    const time = readWallTime(at, timeZone)
    read.set(timeZone, time)
    return time
  }
}

/**
 * A `when` as a function of the moment. Times are those of the clock on the wall: an hour that summer
 * time repeats counts twice, one that it skips not at all. A window past midnight belongs wholly
 * to the day it starts on, for `days`, `since` and `through` alike.
 */
export const createWhen = ({
  since,
  through,
  days,
  between,
  zone,
}: When): ((moment: Moment) => boolean) => {
  const first = since === undefined ? Number.NEGATIVE_INFINITY : toDay(since)
  const last = through === undefined ? Number.POSITIVE_INFINITY : toDay(through)
  const onDays = days === undefined ? undefined : new Set<string>(days)
  const window = between === undefined ? undefined : parseWindow(between)
  return (moment) => {
    const { day: today, minute } = moment(zone)
    let day = today
    if (window !== undefined) {
      const { start, end } = window
      if (start < end ? minute < start || minute >= end : minute < start && minute >= end)
        return false
      if (start > end && minute < end) day--
    }
    // 1970-01-01 was a Thursday.
    const weekday = weekdays[(((day + 4) % 7) + 7) % 7] as string
    return day >= first && day <= last && (onDays === undefined || onDays.has(weekday))
  }
}

const minuteLength = 60_000

/**
 * When a `when` that holds at `at` next ceases to, if before `until`. It is looked for at each end of
 * the window and each midnight; where summer time begins or ends in between, at each minute.
 */
export const findWhenEnd = (when: When): ((at: Date, until: Date) => Date | undefined) => {
  const holds = createWhen(when)
  const ends = [0, ...(when.between === undefined ? [] : [parseWindow(when.between)?.end ?? 0])]
  return (at, until) => {
    const first = readWallTime(at, when.zone)
    const start = Math.floor(at.getTime() / minuteLength)
    const last = Math.ceil(until.getTime() / minuteLength)
    const offset = (time: WallTime, minutes: number) => time.day * 1440 + time.minute - minutes
    const isSteady =
      offset(first, start) === offset(readWallTime(new Date(last * minuteLength), when.zone), last)
    for (let minute = start + 1; minute < last; minute++) {
      const wall = (first.minute + minute - start) % 1440
      if (isSteady && !ends.includes(wall)) continue
      const end = new Date(minute * minuteLength)
      if (!holds(createMoment(end))) return end
    }
    return undefined
  }
}

const toDay = (date: string): number => Date.parse(`${date}T00:00:00Z`) / dayLength

/** A `when` in words, for the person it speaks of. */
export const describeWhen = ({ since, through, days, between, zone }: When): string =>
  [
    ...(since === undefined ? [] : [`from ${since}`]),
    ...(through === undefined ? [] : [`through ${through}`]),
    ...(days === undefined ? [] : [`on ${days.join(', ')}`]),
    ...(between === undefined ? [] : [`between ${between.replace('-', ' and ')}`]),
    `(${zone})`,
  ].join(' ')
