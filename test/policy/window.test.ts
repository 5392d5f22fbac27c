import { describe, expect, test } from 'vitest'
import { ask, load, none, rule, rules, staff } from './kit.ts'

/** The ttl granted at a moment by a rule of 2 h with this `when`, and whether it was cut. */
const grant = (when: Readonly<Record<string, unknown>>, at: string, ttl = '2h') => {
  const decision = load(rules(rule('a', { ttl, when }))).evaluate({
    identity: staff,
    memberships: none,
    ask: ask('web-1', 'deploy'),
    at: new Date(at),
  })
  if (decision.kind === 'deny') return 'deny'
  const { ttlSeconds, shortenedBy } = decision.grant
  return shortenedBy === undefined ? ttlSeconds : `cut to ${ttlSeconds}`
}

const berlin = (between: string, more = {}) => ({ between, zone: 'Europe/Berlin', ...more })

describe('a certificate ends with the time its rule speaks of', () => {
  test.each<[string, Record<string, unknown>, string, number | string]>([
    ['well before the end', berlin('08:00-18:00'), '2026-11-24T09:00:00Z', 7200],
    ['exactly to the end', berlin('08:00-18:00'), '2026-11-24T15:00:00Z', 7200],
    ['a second too long', berlin('08:00-18:00'), '2026-11-24T15:00:01Z', 'cut to 7199'],
    ['in its last minute', berlin('08:00-18:00'), '2026-11-24T16:59:30Z', 'cut to 30'],
    ['in its last half second', berlin('08:00-18:00'), '2026-11-24T16:59:59.500Z', 'cut to 1'],
    ['after it', berlin('08:00-18:00'), '2026-11-24T17:00:00Z', 'deny'],
    ['past midnight', berlin('22:00-02:00'), '2026-11-24T23:30:00Z', 'cut to 5400'],
    ['over midnight', berlin('22:00-02:00'), '2026-11-24T22:30:00Z', 7200],
    ['up to 24:00', berlin('08:00-24:00'), '2026-11-24T22:30:00Z', 'cut to 1800'],
    [
      'into a day that is not one of them',
      { days: ['tue'], zone: 'UTC' },
      '2026-11-24T23:00:00Z',
      'cut to 3600',
    ],
    ['into one that is', { days: ['tue', 'wed'], zone: 'UTC' }, '2026-11-24T23:00:00Z', 7200],
    [
      'a window past midnight belongs to the day it starts on',
      berlin('22:00-02:00', { days: ['tue'] }),
      '2026-11-24T23:30:00Z',
      'cut to 5400',
    ],
    [
      'through the last day',
      { through: '2026-11-24', zone: 'UTC' },
      '2026-11-24T23:59:00Z',
      'cut to 60',
    ],
    ['over the year', { through: '2027-01-31', zone: 'UTC' }, '2026-12-31T23:00:00Z', 7200],
    [
      'in a zone of half hours',
      { between: '08:00-18:00', zone: 'Asia/Kolkata' },
      '2026-11-24T12:00:00Z',
      'cut to 1800',
    ],
  ])('%s', (_what, when, at, expected) => {
    expect(grant(when, at)).toBe(expected)
  })

  // Berlin, 2026: summer time begins on 29 March at 01:00 UTC and ends on 25 October at 01:00 UTC.
  test.each<[string, Record<string, unknown>, string, number | string]>([
    [
      'an hour is skipped before the end',
      berlin('00:00-04:00'),
      '2026-03-29T00:30:00Z',
      'cut to 5400',
    ],
    [
      'the hour of the end is skipped',
      berlin('00:00-02:30'),
      '2026-03-29T00:30:00Z',
      'cut to 1800',
    ],
    ['an hour is repeated before the end', berlin('00:00-04:00'), '2026-10-24T23:30:00Z', 7200],
    ['and is over in the second', berlin('00:00-03:30'), '2026-10-25T01:00:00Z', 'cut to 5400'],
    [
      'the window is in the repeated hour',
      berlin('02:00-02:30'),
      '2026-10-25T00:10:00Z',
      'cut to 1200',
    ],
    ['and stands there twice', berlin('02:00-02:30'), '2026-10-25T01:10:00Z', 'cut to 1200'],
    ['the repeated hour is the last', berlin('01:00-03:00'), '2026-10-24T23:30:00Z', 7200],
    [
      'the day of 23 hours ends',
      { through: '2026-03-29', zone: 'Europe/Berlin' },
      '2026-03-29T21:00:00Z',
      'cut to 3600',
    ],
    [
      'the day of 25 hours ends',
      { through: '2026-10-25', zone: 'Europe/Berlin' },
      '2026-10-25T22:00:00Z',
      'cut to 3600',
    ],
  ])('when the clocks change: %s [ATTACKS 160]', (_what, when, at, expected) => {
    expect(grant(when, at)).toBe(expected)
  })

  test('whatever the window and the moment, it holds until its end and not at it', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
    ]
    for (const zone of zones) {
      for (const between of ['00:00-02:30', '01:15-01:45', '23:00-01:00', '02:00-24:00']) {
        const policy = load(rules(rule('a', { ttl: '3h', when: { between, zone } })))
        const holds = (time: number) =>
          policy.evaluate({
            identity: staff,
            memberships: none,
            ask: ask('web-1', 'deploy'),
            at: new Date(time),
          })
        // Half a day around each change of the clocks, in steps that hit no boundary twice.
        for (const day of ['2026-03-29', '2026-10-25', '2026-11-01', '2026-04-04', '2026-10-03']) {
          const noon = Date.parse(`${day}T12:00:00Z`)
          for (let time = noon - 86_400_000; time < noon + 43_200_000; time += 37 * 60_000) {
            const decision = holds(time)
            if (decision.kind === 'deny') continue
            const end = time + decision.grant.ttlSeconds * 1000
            expect(holds(end - 1000).kind).toBe('allow')
            if (decision.grant.shortenedBy === undefined) continue
            expect(holds(end).kind, `${zone} ${between} ${new Date(time).toISOString()}`).toBe(
              'deny',
            )
          }
        }
      }
    }
  })
})
