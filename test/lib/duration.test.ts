import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/lib/duration.ts'

describe('a duration', () => {
  test.each([
    ['1s', 1],
    ['90s', 90],
    ['15m', 900],
    ['1h', 3600],
    ['30d', 2_592_000],
    ['999999999s', 999_999_999],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds)
  })

  // ATTACKS 39, 143
  test.each([
    '',
    '0s',
    '0',
    '60',
    '-1m',
    '+1m',
    '1.5h',
    '1e3s',
    '01m',
    '1h30m',
    '1 h',
    ' 1h',
    '1h ',
    '1H',
    '1w',
    '1ms',
    'm',
    'Infinity',
    'NaN',
    '1h\n',
    '1000000000s',
    '１m',
    '1h; drop',
  ])('%j is none [ATTACKS 39, 143]', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test.each([
    [1, '1s'],
    [60, '1m'],
    [90, '90s'],
    [3600, '1h'],
    [5400, '90m'],
    [86_400, '1d'],
    [0, '0s'],
  ])('%d seconds are written %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })

  test('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds)
      }),
    )
  })
})
