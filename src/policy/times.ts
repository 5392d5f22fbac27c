import { createMoment, createWhen, type Moment, type When } from './when.ts'

/** A moment, and which of some `when`s hold at it, in their order. */
export interface Instant {
  readonly at: Date
  readonly moment: Moment
  readonly holds: readonly boolean[]
}

const dayMillis = 86_400_000
const minuteMillis = 60_000

/**
 * Every combination of `when`s that comes about, each with one moment at which it does; one moment
 * where there are none. A `when` changes only at a midnight and at the ends of its window, and
 * from week to week only at its dates: so those are all the moments that must be looked at. Where
 * there are several zones, whose clocks part and meet in the course of a year, it is each day of the
 * years around the dates.
 */
export const listInstants = (whens: readonly When[]): readonly Instant[] => {
  const checks = whens.map(createWhen)
  const zones = [...new Set(whens.map(({ zone }) => zone))]
  const days = listDays(whens, zones.length > 1 ? 370 : 8)
  const found = new Map<string, Instant>()
  for (const at of listMoments(zones, days, whens)) {
    const moment = createMoment(at)
    const holds = checks.map((check) => check(moment))
    const key = holds.map(Number).join('')
    if (!found.has(key)) found.set(key, { at, moment, holds })
  }
  return [...found.values()]
}

/** Days since 1970 around each date that is named; around a day of no meaning where none is. */
const listDays = (whens: readonly When[], around: number): readonly number[] => {
  const dates = whens.flatMap(({ since, through }) =>
    [since, through].flatMap((date) => (date === undefined ? [] : [Date.parse(date) / dayMillis])),
  )
  const days = new Set<number>()
  for (const date of dates.length > 0 ? dates : [Date.parse('2026-01-07') / dayMillis]) {
    for (let day = date - around; day <= date + around; day++) days.add(day)
  }
  return [...days].sort((a, b) => a - b)
}

const listMoments = function* (
  zones: readonly string[],
  days: readonly number[],
  whens: readonly When[],
): Generator<Date> {
  // No `when` at all: any moment is like any other.
  if (zones.length === 0) yield new Date(0)
  for (const zone of zones) {
    const ours = whens.filter((when) => when.zone === zone)
    const minutes = new Set([0, ...ours.flatMap(({ between }) => readMinutes(between))])
    for (const day of days) {
      for (const minute of minutes) yield findInstant(day * dayMillis + minute * minuteMillis, zone)
    }
  }
}

const readMinutes = (between: string | undefined): readonly number[] =>
  (between?.split('-') ?? []).map((time) => {
    const [hour = 0, minute = 0] = time.split(':').map(Number)
    return hour * 60 + minute
  })

/** The instant at which a zone's clock shows a time, given as if it were UTC. */
const findInstant = (wall: number, zone: string): Date => {
  const shown = (at: number) => {
    const { day, minute } = createMoment(new Date(at))(zone)
    return day * dayMillis + minute * minuteMillis
  }
  // The offset at the first guess may be that of before or after a change of the clocks.
  const guess = wall - (shown(wall) - wall)
  return new Date(guess - (shown(guess) - wall))
}
