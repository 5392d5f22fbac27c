import { expect, test } from 'vitest'
import { createLimit } from '../../src/http/limits.ts'

const compose = (count: number, windowSeconds: number) => {
  let now = 0
  const limit = createLimit({ count, windowSeconds }, () => now)
  return {
    limit,
    wait: (millis: number) => {
      now += millis
    },
  }
}

test('lets as many through at once as the rate says, and then says how long to wait', () => {
  const { limit } = compose(3, 60)
  for (let at = 0; at < 3; at++) {
    expect(limit.check('a')).toBe(0)
    limit.take('a')
  }
  expect(limit.check('a')).toBe(20)
  expect(limit.check('b')).toBe(0)
})

test('fills again evenly, and never beyond the rate', () => {
  const { limit, wait } = compose(3, 60)
  for (let at = 0; at < 3; at++) limit.take('a')
  wait(19_999)
  expect(limit.check('a')).toBe(1)
  wait(1)
  expect(limit.check('a')).toBe(0)
  limit.take('a')
  expect(limit.check('a')).toBe(20)
  wait(3_600_000)
  for (let at = 0; at < 3; at++) limit.take('a')
  expect(limit.check('a')).toBe(20)
})

test('asking takes nothing', () => {
  const { limit } = compose(1, 60)
  for (let at = 0; at < 100; at++) expect(limit.check('a')).toBe(0)
})

test('a key that is being refused stays refused while others come and go', () => {
  const { limit, wait } = compose(1, 3600)
  limit.take('a')
  for (let at = 0; at < 120_000; at++) {
    limit.take(`other ${at}`)
    if (at % 10_000 === 0) expect(limit.check('a')).toBeGreaterThan(0)
  }
  wait(3_600_000)
  expect(limit.check('a')).toBe(0)
})

test('off limits nothing', () => {
  const limit = createLimit('off', () => 0)
  for (let at = 0; at < 1_000; at++) limit.take('a')
  expect(limit.check('a')).toBe(0)
})
