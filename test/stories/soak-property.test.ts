import { expect, test } from 'vitest'
import { runProperty } from '../soak/property.ts'

test('twenty thousand random asks: each certificate is what the policy grants, whoever reads it', async () => {
  const { figures, violations } = await runProperty({ requests: 20_000 })
  expect(violations).toEqual([])
  expect(figures['requests']).toBe(20_000)
  expect(figures['certificates']).toBeGreaterThan(5_000)
  expect(figures['refused']).toBeGreaterThan(5_000)
}, 240_000)
