import { expect, test } from 'vitest'
import { createPace } from './pace.ts'

const start = (within: number) => {
  const clock = { now: 1000 }
  const said: string[] = []
  const pace = createPace({ within, say: (line) => said.push(line), monotonic: () => clock.now })
  return { clock, said, pace }
}

test('a run ends when its time is up, or when it is told to', () => {
  const { clock, pace } = start(5000)
  expect(pace.goesOn(0, 10)).toBe(true)
  clock.now += 4999
  expect(pace.goesOn(1, 10)).toBe(true)
  clock.now += 1
  expect(pace.goesOn(2, 10)).toBe(false)

  const other = start(5000).pace
  other.end()
  expect(other.goesOn(0, 10)).toBe(false)
})

test('it is said once a minute how far a run is, however often it asks', () => {
  const { clock, said, pace } = start(600_000)
  for (let done = 0; done < 20; done++) {
    pace.goesOn(done, 2000)
    clock.now += 10_000
  }
  expect(said).toEqual([
    '6 of 2000 after 1 min',
    '12 of 2000 after 2 min',
    '18 of 2000 after 3 min',
  ])
  clock.now += 300_000
  pace.goesOn(20, 2000)
  expect(said.at(-1)).toBe('20 of 2000 after 8 min')
})
