import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isHostName } from '../../src/lib/names.ts'
import { findShared, findUncovered } from '../../src/policy/globs.ts'
import { createMatcher } from '../../src/policy/match.ts'

const allow = (...patterns: string[]) => ({ patterns, crossDots: false })
const deny = (...patterns: string[]) => ({ patterns, crossDots: true })

describe('a name that a pattern has and others have not', () => {
  test.each([
    ['web-*.example.com', [allow('*.example.com')], undefined],
    ['*.example.com', [allow('web-*.example.com')], '1.example.com'],
    ['web-*', [allow('web-*.example.com')], 'web-1'],
    ['*', [allow('*.example.com')], 'a'],
    ['web-1.example.com', [allow('web-?.example.com')], undefined],
    ['web-?.example.com', [allow('web-1.example.com')], 'web-2.example.com'],
    ['web-*.example.com', [deny('web-*')], undefined],
    ['web-*.example.com', [allow('web-*')], 'web-1.example.com'],
    ['a*.example.com', [allow('a?*.example.com'), allow('a.example.com')], undefined],
    ['*.*.example.com', [deny('*.example.com')], undefined],
  ])('%s', (pattern, others, name) => {
    const found = findUncovered('host', allow(pattern), others)
    if (name === undefined) expect(found).toBe(undefined)
    else {
      expect(isHostName(found ?? '')).toBe(true)
      expect(found?.length).toBe(name.length)
    }
  })

  test('of logins, where dots are letters like others', () => {
    expect(findUncovered('login', deny('db*'), [deny('d*')])).toBe(undefined)
    expect(findUncovered('login', deny('d*'), [deny('db*')])).toBe('d')
  })

  test('agrees with the matcher on every short name', () => {
    const label = fc.constantFrom('a', 'b', 'a*', '*', '?', '*b', 'a?', '?*')
    const pattern = fc
      .array(label, { minLength: 1, maxLength: 3 })
      .map((labels) => labels.join('.'))
    const set = fc.record({
      patterns: fc.array(pattern, { minLength: 1, maxLength: 2 }),
      crossDots: fc.boolean(),
    })
    const letters = ['a', 'b', 'c', '.']
    let names = letters
    const all = [...names]
    for (let length = 2; length <= 5; length++) {
      names = names.flatMap((name) => letters.map((letter) => name + letter))
      all.push(...names)
    }
    const hosts = all.filter(isHostName)
    const matches = ({
      patterns,
      crossDots,
    }: {
      patterns: readonly string[]
      crossDots: boolean
    }) => {
      const matchers = patterns.map((one) => createMatcher(one, { crossDots }))
      return (host: string) => matchers.some((fits) => fits(host))
    }
    fc.assert(
      fc.property(set, set, (one, other) => {
        const [inOne, inOther] = [matches(one), matches(other)]
        const uncovered = findUncovered('host', one, [other])
        const shared = findShared('host', [one, other])
        if (uncovered !== undefined) {
          expect(inOne(uncovered) && !inOther(uncovered) && isHostName(uncovered)).toBe(true)
        } else expect(hosts.filter((host) => inOne(host) && !inOther(host))).toEqual([])
        if (shared !== undefined) {
          expect(inOne(shared) && inOther(shared) && isHostName(shared)).toBe(true)
        } else expect(hosts.filter((host) => inOne(host) && inOther(host))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})
