import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isHostName } from '../../src/lib/names.ts'
import { createMatcher } from '../../src/policy/match.ts'
import { listRegions, type Pattern } from '../../src/policy/regions.ts'

const allow = (text: string): Pattern => ({ text, crossDots: false })
const deny = (text: string): Pattern => ({ text, crossDots: true })
const all = () => true

const show = (patterns: readonly Pattern[], isFocused: (index: number) => boolean = all) =>
  listRegions(patterns, isFocused, 'host')
    .regions.map(({ matches }) => matches.map((index) => patterns[index]?.text).join(' '))
    .sort()

describe('regions of hosts', () => {
  test.each([
    [
      [allow('web-*'), allow('db-*')],
      ['db-*', 'web-*'],
    ],
    [
      [allow('web-*'), allow('web-1')],
      ['web-* web-1', 'web-*'],
    ],
    [
      [allow('*-1'), allow('web-*')],
      ['*-1', 'web-*', '*-1 web-*'],
    ],
    [
      [allow('web-*'), deny('web-*')],
      ['web-* web-*', 'web-*'],
    ],
    [
      [allow('web-?'), allow('web-*')],
      ['web-? web-*', 'web-*'],
    ],
    [
      [allow('*'), allow('a.*')],
      ['*', '* a.*'],
    ],
  ])('%j', (patterns, expected) => {
    expect(show(patterns)).toEqual([...expected].sort())
  })

  test('only what a focused pattern matches is looked at', () => {
    expect(show([allow('*'), allow('web-1')], (index) => index === 1)).toEqual(['* web-1'])
  })

  test('a pattern of which every name has another rule is no region of its own', () => {
    const names = [...'abcdefghijklmnopqrstuvwxyz0123456789'].map((char) => allow(`web-${char}`))
    const regions = show([allow('web-?'), ...names])
    expect(regions).toHaveLength(36)
    expect(regions).not.toContain('web-?')
  })

  test('what no name can be is no region', () => {
    expect(show([allow('10.0.0.?'), allow('a-*')])).toEqual(['10.0.0.?', 'a-*'])
    for (const { witness } of listRegions([allow('10.0.0.?')], all, 'host').regions) {
      expect(isHostName(witness)).toBe(true)
    }
  })

  test('where there are too many, it says that there are', () => {
    const patterns = [...'abcdef'].map((char) => allow(`*${char}*`))
    expect(listRegions(patterns, all, 'host').isWhole).toBe(true)
    expect(listRegions(patterns, all, 'host', 20).isWhole).toBe(false)
  })

  const char = fc.constantFrom('a', 'b', '.', '*', '?')
  const text = fc
    .array(char, { minLength: 1, maxLength: 5 })
    .map((chars) => chars.join(''))
    .filter((pattern) => !pattern.includes('**') && isHostName(pattern.replace(/[*?]/g, 'a')))
  const patterns = fc.array(fc.record({ text, crossDots: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  })
  const names = ['a', 'b', 'c'].flatMap((x) => [
    x,
    ...['a', 'b', 'c', '.a', '.b', 'a.a', 'b.c', '.a.b', 'bb', 'ac', 'ab.c'].map((y) => x + y),
  ])

  test('every name is in the region of the patterns that match it, and every witness in its own', () => {
    fc.assert(
      fc.property(patterns, (list) => {
        const matchers = list.map(({ text, ...options }) => createMatcher(text, options))
        const find = (name: string) =>
          [...matchers.keys()].filter((index) => matchers[index]?.(name)).join()
        const { regions, isWhole } = listRegions(list, all, 'host')
        expect(isWhole).toBe(true)
        for (const { witness, matches } of regions) {
          expect(isHostName(witness)).toBe(true)
          expect(find(witness)).toBe(matches.join())
        }
        const known = new Set(regions.map(({ matches }) => matches.join()))
        expect(known.size).toBe(regions.length)
        for (const name of names) if (find(name) !== '') expect(known).toContain(find(name))
      }),
      { numRuns: 300 },
    )
  })
})
