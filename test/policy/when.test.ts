import { describe, expect, test } from 'vitest'
import { createMoment, createWhen, describeWhen, type When } from '../../src/policy/when.ts'
import { check, rule, rules } from './kit.ts'

const holds = (when: When, at: string) => createWhen(when)(createMoment(new Date(at)))
const berlin = { zone: 'Europe/Berlin' }

// ATTACKS 160: windows in a named zone, across summer time, leap days and the turn of the year.
describe('a when', () => {
  test.each<[string, When, string, boolean]>([
    [
      'starts with its first minute',
      { ...berlin, between: '08:00-18:00' },
      '2026-11-24T07:00:00Z',
      true,
    ],
    [
      'not a moment sooner',
      { ...berlin, between: '08:00-18:00' },
      '2026-11-24T06:59:59.999Z',
      false,
    ],
    [
      'ends before its last minute',
      { ...berlin, between: '08:00-18:00' },
      '2026-11-24T17:00:00Z',
      false,
    ],
    ['holds until then', { ...berlin, between: '08:00-18:00' }, '2026-11-24T16:59:59.999Z', true],
    ['follows summer time', { ...berlin, between: '08:00-18:00' }, '2026-07-01T06:00:00Z', true],
    ['also at its end', { ...berlin, between: '08:00-18:00' }, '2026-07-01T16:00:00Z', false],
    [
      'wraps midnight, before it',
      { ...berlin, between: '18:00-08:00' },
      '2026-11-24T22:59:00Z',
      true,
    ],
    [
      'wraps midnight, after it',
      { ...berlin, between: '18:00-08:00' },
      '2026-11-25T06:59:00Z',
      true,
    ],
    [
      'wraps midnight, not at its end',
      { ...berlin, between: '18:00-08:00' },
      '2026-11-25T07:00:00Z',
      false,
    ],
    [
      'wraps midnight, not at noon',
      { ...berlin, between: '18:00-08:00' },
      '2026-11-25T11:00:00Z',
      false,
    ],
    [
      'may last until midnight',
      { zone: 'UTC', between: '22:00-24:00' },
      '2026-11-25T23:59:59Z',
      true,
    ],
    ['and not after it', { zone: 'UTC', between: '22:00-24:00' }, '2026-11-26T00:00:00Z', false],
    ['may last all day', { zone: 'UTC', between: '00:00-24:00' }, '2026-11-26T00:00:00Z', true],
    [
      'the hour that comes twice, first',
      { ...berlin, between: '02:00-03:00' },
      '2026-10-25T00:30:00Z',
      true,
    ],
    [
      'the hour that comes twice, again',
      { ...berlin, between: '02:00-03:00' },
      '2026-10-25T01:30:00Z',
      true,
    ],
    ['the hour after it', { ...berlin, between: '02:00-03:00' }, '2026-10-25T02:00:00Z', false],
    [
      'the hour that is skipped, before',
      { ...berlin, between: '02:00-03:00' },
      '2026-03-29T00:59:59Z',
      false,
    ],
    [
      'the hour that is skipped, after',
      { ...berlin, between: '02:00-03:00' },
      '2026-03-29T01:00:00Z',
      false,
    ],
    ['takes its first day', { ...berlin, since: '2026-11-01' }, '2026-10-31T23:00:00Z', true],
    ['not the one before', { ...berlin, since: '2026-11-01' }, '2026-10-31T22:59:59Z', false],
    ['takes its last day', { ...berlin, through: '2026-11-30' }, '2026-11-30T22:59:59Z', true],
    ['not the one after', { ...berlin, through: '2026-11-30' }, '2026-11-30T23:00:00Z', false],
    [
      'has a leap day',
      { zone: 'UTC', since: '2028-02-29', through: '2028-02-29' },
      '2028-02-29T12:00:00Z',
      true,
    ],
    [
      'that ends',
      { zone: 'UTC', since: '2028-02-29', through: '2028-02-29' },
      '2028-03-01T00:00:00Z',
      false,
    ],
    ['turns the year', { ...berlin, through: '2026-12-31' }, '2026-12-31T23:00:00Z', false],
    ['knows a Monday', { ...berlin, days: ['mon'] }, '2026-11-23T12:00:00Z', true],
    ['by the zone, not by UTC', { ...berlin, days: ['mon'] }, '2026-11-22T23:00:00Z', true],
    ['and a Sunday', { ...berlin, days: ['mon'] }, '2026-11-22T22:59:59Z', false],
    ['before 1970 too', { zone: 'UTC', days: ['wed'] }, '1969-12-31T12:00:00Z', true],
    [
      'a night is its evening’s day',
      { ...berlin, days: ['fri'], between: '22:00-06:00' },
      '2026-11-28T04:00:00Z',
      true,
    ],
    [
      'not its morning’s',
      { ...berlin, days: ['sat'], between: '22:00-06:00' },
      '2026-11-28T04:00:00Z',
      false,
    ],
    [
      'so is the last night',
      { ...berlin, through: '2026-11-30', between: '22:00-06:00' },
      '2026-12-01T04:00:00Z',
      true,
    ],
    [
      'and the first',
      { ...berlin, since: '2026-12-01', between: '22:00-06:00' },
      '2026-12-01T04:00:00Z',
      false,
    ],
    [
      'far east of UTC',
      { zone: 'Pacific/Kiritimati', since: '2027-01-01' },
      '2026-12-31T10:00:00Z',
      true,
    ],
    [
      'half an hour off',
      { zone: 'Asia/Kolkata', between: '09:30-10:00' },
      '2026-11-24T04:00:00Z',
      true,
    ],
  ])('%s', (_name, when, at, expected) => {
    expect(holds(when, at)).toBe(expected)
  })

  test('is said in words', () => {
    expect(
      describeWhen({
        ...berlin,
        since: '2026-11-01',
        through: '2026-11-30',
        days: ['mon', 'tue'],
        between: '08:00-18:00',
      }),
    ).toBe('from 2026-11-01 through 2026-11-30 on mon, tue between 08:00 and 18:00 (Europe/Berlin)')
  })

  test.each<[Record<string, unknown>, string]>([
    [{ between: '08:00-18:00' }, 'when: "zone" is missing'],
    [{ zone: 'UTC' }, 'when: says no time: add since, through, days or between, or leave it out'],
    [{ zone: '+01:00', days: ['mon'] }, 'zone: must be an IANA time zone, as Europe/Berlin or UTC'],
    [
      { zone: 'Europe/Atlantis', days: ['mon'] },
      'zone: must be an IANA time zone, as Europe/Berlin or UTC',
    ],
    [
      { zone: 'UTC', days: [] },
      'days: is an empty list, which grants nothing; name something or leave the key out',
    ],
    [{ zone: 'UTC', days: ['monday'] }, 'days: must be one of sun, mon, tue, wed, thu, fri, sat'],
    [{ zone: 'UTC', since: '2026-02-30' }, 'since: must be a day of the calendar, as 2026-11-30'],
    [{ zone: 'UTC', since: '2026-11-31' }, 'since: must be a day of the calendar, as 2026-11-30'],
    [{ zone: 'UTC', since: '2026-11-02', through: '2026-11-01' }, 'through: lies before since'],
    [{ zone: 'UTC', between: '8-18' }, 'between: must be two times of the day, as "08:00-18:00"'],
    [
      { zone: 'UTC', between: '08:00-25:00' },
      'between: must be two times of the day, as "08:00-18:00"',
    ],
    [
      { zone: 'UTC', between: '08:00-08:00' },
      'between: starts and ends at the same time; leave it out',
    ],
  ])('%o is refused at load', (when, message) => {
    expect(check(rules(rule('a', { when }))).map((line) => line.replace(/^\S+: /, ''))).toEqual([
      message,
    ])
  })
})
