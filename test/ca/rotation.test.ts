import { describe, expect, test } from 'vitest'
import {
  applyStep,
  createRing,
  isTrusted,
  type KeyState,
  type RingKey,
  type Step,
} from '../../src/ca/rotation.ts'

const step = (name: string, state: KeyState, hour: number, isForced = false): Step => ({
  fingerprint: `SHA256:${name}`,
  publicKey: `ssh-ed25519 ${name}`,
  place: 'file',
  state,
  time: `2026-11-22T${String(hour).padStart(2, '0')}:00:00Z`,
  seq: hour,
  isForced,
})
const ring = (...steps: readonly Step[]) => steps.reduce(applyStep, [] as readonly RingKey[])
const states = (keys: readonly RingKey[]) =>
  keys.map(({ fingerprint, state }) => `${fingerprint.slice(7)} ${state}`)

const begun = [step('old', 'active', 8), step('new', 'next', 9)]

describe('the ring', () => {
  test('goes from one key to the next, and forgets none', () => {
    const at = (length: number) =>
      states(
        ring(
          ...[
            ...begun,
            step('new', 'active', 10),
            step('old', 'retired', 11),
            step('old', 'removed', 12),
          ].slice(0, length),
        ),
      )
    expect(at(1)).toEqual(['old active'])
    expect(at(2)).toEqual(['old active', 'new next'])
    expect(at(3)).toEqual(['old next', 'new active'])
    expect(at(4)).toEqual(['old retired', 'new active'])
    expect(at(5)).toEqual(['old removed', 'new active'])
  })

  test('goes back to the key that was active, until it is retired', () => {
    const back = ring(...begun, step('new', 'active', 10), step('old', 'active', 11))
    expect(states(back)).toEqual(['old active', 'new next'])
    expect(back.map(({ signedUntil }) => signedUntil)).toEqual([
      '2026-11-22T10:00:00Z',
      '2026-11-22T11:00:00Z',
    ])
  })

  test('says since when a key is in its state', () => {
    const keys = ring(...begun, step('new', 'active', 10))
    expect(keys.map(({ since }) => since.slice(11, 13))).toEqual(['10', '10'])
  })

  test('is trusted but for what was removed', () => {
    expect(
      (['next', 'active', 'retired', 'removed'] as const).map((state) => isTrusted({ state })),
    ).toEqual([true, true, true, false])
  })

  test.each<[string, readonly Step[], Step, string]>([
    ['a key it holds', begun, step('new', 'next', 10), 'SHA256:new waits to be activated.'],
    [
      'to activate a key it does not hold',
      begun,
      step('third', 'active', 10),
      'SHA256:third is no key of the ring.',
    ],
    [
      'to retire the active key',
      begun,
      step('old', 'retired', 10),
      'SHA256:old is the active key: activate another one first.',
    ],
    [
      'to remove the active key, however hard',
      begun,
      step('old', 'removed', 10, true),
      'SHA256:old is the active key: activate another one first.',
    ],
    [
      'to retire a key that has never signed',
      begun,
      step('new', 'retired', 10),
      'SHA256:new has never signed: activate it, or remove it.',
    ],
    [
      'to go back to a retired key',
      [...begun, step('new', 'active', 10), step('old', 'retired', 11)],
      step('old', 'active', 12),
      'SHA256:old is retired, and never signs again.',
    ],
    [
      'a key that was removed, however hard',
      [...begun, step('new', 'removed', 10)],
      step('new', 'active', 11, true),
      'SHA256:new was removed, and is never taken again.',
    ],
  ])('refuses %s, and is as it was', (_what, steps, refused, message) => {
    const live = createRing(ring(...steps))
    expect(() => applyStep(live.list(), refused)).toThrow(
      expect.objectContaining({ code: 'ca_key_conflict', message }),
    )
    expect(live.list()).toEqual(ring(...steps))
  })

  test('takes a key of an admin’s who says so, as the active one', () => {
    expect(states(ring(...begun, step('third', 'active', 10, true)))).toEqual([
      'old next',
      'new next',
      'third active',
    ])
  })

  test('names its keys, and no others', () => {
    const live = createRing(ring(...begun))
    expect(live.active().fingerprint).toBe('SHA256:old')
    expect(live.find('SHA256:new')).toMatchObject({ state: 'next' })
    expect(() => live.find('SHA256:third')).toThrow(
      expect.objectContaining({
        code: 'not_found',
        message: 'SHA256:third is no key of this CA: see its list of keys.',
      }),
    )
  })
})
