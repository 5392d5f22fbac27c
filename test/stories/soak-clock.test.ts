import { expect, test } from 'vitest'
import { runClock } from '../soak/clock.ts'

// ATTACKS 43
test('the clock is set, forward and back, by minutes and days', async () => {
  const { figures, violations } = await runClock({ steps: 30 })
  expect(violations).toEqual([])
  expect(figures['issued']).toBeGreaterThan(20)
  expect(figures['refused']).toBeGreaterThan(10)
}, 120_000)
