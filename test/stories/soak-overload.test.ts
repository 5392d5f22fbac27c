import { expect, test } from 'vitest'
import { runOverload } from '../soak/overload.ts'

// ATTACKS 164, 185, 201. The 250 ms are for a machine that does nothing else: here other tests run beside it.
test('a flood of everything: whoever asks properly is served', async () => {
  const { figures, violations } = await runOverload({
    seconds: 5,
    idle: 2_500,
    slow: 300,
    p99: 2_000,
  })
  expect(violations).toEqual([])
  expect(figures['refusals counted']).toBeGreaterThan(0)
}, 120_000)
