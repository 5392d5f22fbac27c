import { beforeAll, expect, test } from 'vitest'
import { type Recording, recordPower, runPower } from '../soak/power.ts'

let recording: Recording
beforeAll(async () => {
  recording = await recordPower(60)
})

// ATTACKS 190
test('the power fails: at every sync and between, no certificate that had left is lost', async () => {
  const { figures, violations } = await runPower({ certificates: recording, images: 150 })
  expect(violations).toEqual([])
  expect(figures['certificates delivered']).toBeGreaterThanOrEqual(60)
  expect(figures['syncs']).toBeGreaterThan(20)
  expect(figures['images']).toBeGreaterThan(100)
}, 120_000)

test('and a log that did not sync its write-ahead log would be seen to lose some', async () => {
  const { violations } = await runPower({
    certificates: recording,
    cuts: 0,
    images: 30,
    forget: (event) => event.kind === 'synced' && event.path.endsWith('-wal'),
  })
  expect(violations).toContainEqual(
    expect.stringMatching(/: \d+ delivered certificates have no entry$/),
  )
}, 120_000)
