import { expect, test } from 'vitest'
import { runDisk } from '../soak/disk.ts'

// ATTACKS 191
test('the disk is full, fails or goes read-only: nothing leaves, and all is well once it is mended', async () => {
  const { figures, violations } = await runDisk({ broken: 400 })
  expect(violations).toEqual([])
  expect(figures['faults']).toBeGreaterThanOrEqual(6)
  expect(figures['refused while broken']).toBeGreaterThan(20)
}, 120_000)
