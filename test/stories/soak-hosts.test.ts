import { expect, test } from 'vitest'
import { runHosts } from '../soak/hosts.ts'

// ATTACKS 207-211, 226
test('what keeps a host in step is killed, starved and lied to, and nobody is locked out or let in', async () => {
  const { figures, violations } = await runHosts({ trials: 6 })
  expect(violations).toEqual([])
  expect(figures['logins by certificate']).toBe(6)
}, 120_000)
