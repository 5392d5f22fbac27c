import { afterEach, describe, expect, test } from 'vitest'
import { createTrustedClock, type TrustedClock } from '../../src/ca/clock.ts'

const minute = 60
const opened: TrustedClock[] = []
afterEach(() => {
  for (const clock of opened.splice(0)) clock.close()
})

/** A world whose time passes on command, and whose clock can be set. */
const createWorld = (newest?: string) => {
  let passed = 0
  let wall = Date.parse('2026-11-22T10:00:00Z')
  const told: (string | undefined)[] = []
  const trusted = createTrustedClock({
    clock: () => new Date(wall),
    monotonic: () => passed,
    newest: newest === undefined ? undefined : new Date(newest),
    tell: (reason) => told.push(reason),
  })
  opened.push(trusted)
  const isTrusted = () => {
    try {
      return trusted.now().getTime() === wall
    } catch (error) {
      expect(error).toMatchObject({
        code: 'clock_untrusted',
        message:
          'The clock of the service may be wrong, so nothing is issued: try again in a minute.',
        retryAfter: 60,
      })
      return false
    }
  }
  return {
    told,
    isTrusted,
    pass: (seconds: number) => {
      passed += seconds * 1000
      wall += seconds * 1000
    },
    set: (seconds: number) => {
      wall += seconds * 1000
    },
  }
}

// ATTACKS 43
describe('a clock that is set while the service runs', () => {
  test.each([5 * minute, -5 * minute, 90, -90])('by %d s is trusted', (seconds) => {
    const world = createWorld()
    world.set(seconds)
    expect(world.isTrusted()).toBe(true)
    expect(world.told).toEqual([])
  })

  test.each([
    { by: 5 * minute + 1, said: 'it was set by 301 s' },
    { by: -(5 * minute + 1), said: 'it was set by -301 s' },
    { by: 86_400, said: 'it was set by 86400 s' },
    { by: -86_400, said: 'it was set by -86400 s' },
  ])('by $by s is not', ({ by, said }) => {
    const world = createWorld()
    world.set(by)
    expect(world.isTrusted()).toBe(false)
    expect(world.isTrusted()).toBe(false)
    expect(world.told).toEqual([said])
  })

  test('in small steps is not, once they add up', () => {
    const world = createWorld()
    for (const expected of [true, true, false]) {
      world.set(2 * minute)
      expect(world.isTrusted()).toBe(expected)
    }
  })

  test('is trusted at once when it is set back', () => {
    const world = createWorld()
    world.set(-600)
    expect(world.isTrusted()).toBe(false)
    world.set(600)
    expect(world.isTrusted()).toBe(true)
    expect(world.told).toEqual(['it was set by -600 s', undefined])
  })

  test('forward is trusted once it has run steadily for a minute, and then from there', () => {
    const world = createWorld()
    world.set(600)
    for (let second = 0; second < minute; second++) {
      expect(world.isTrusted()).toBe(false)
      world.pass(1)
    }
    expect(world.isTrusted()).toBe(true)
    world.set(-600)
    expect(world.isTrusted()).toBe(false)
  })

  test('again and again is never steady', () => {
    const world = createWorld()
    world.set(600)
    for (let time = 0; time < 10; time++) {
      expect(world.isTrusted()).toBe(false)
      world.pass(59)
      world.set(2)
    }
    expect(world.isTrusted()).toBe(false)
  })

  test('back behind what was issued is not trusted however long it runs', () => {
    const world = createWorld()
    expect(world.isTrusted()).toBe(true)
    world.set(-86_400)
    for (let time = 0; time < 10; time++) {
      expect(world.isTrusted()).toBe(false)
      world.pass(minute)
    }
    world.set(86_400)
    world.pass(1)
    expect(world.isTrusted()).toBe(false)
    world.pass(minute)
    expect(world.isTrusted()).toBe(true)
  })
})

// ATTACKS 43
describe('a clock at the start', () => {
  test.each([
    { newest: '2026-11-22T09:59:59Z', expected: true },
    { newest: '2026-11-22T10:05:00Z', expected: true },
    { newest: '2026-11-22T10:05:01Z', expected: false },
    { newest: undefined, expected: true },
  ])('beside a newest certificate of $newest: $expected', ({ newest, expected }) => {
    expect(createWorld(newest).isTrusted()).toBe(expected)
  })

  test('behind the newest certificate is trusted when it is right', () => {
    const world = createWorld('2026-11-22T10:10:00Z')
    expect(world.isTrusted()).toBe(false)
    expect(world.told).toEqual(['it has been at 2026-11-22T10:10:00Z before'])
    world.pass(5 * minute)
    expect(world.isTrusted()).toBe(true)
  })
})

test('the clock is looked at while nobody asks', async () => {
  let wall = 0
  const told: (string | undefined)[] = []
  opened.push(
    createTrustedClock({
      clock: () => new Date(wall),
      monotonic: () => 0,
      newest: undefined,
      tell: (reason) => told.push(reason),
    }),
  )
  wall = 3_600_000
  await expect.poll(() => told, { timeout: 5_000 }).toEqual(['it was set by 3600 s'])
})
