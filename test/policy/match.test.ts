import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHostIndex, createMatcher, explainPattern } from '../../src/policy/match.ts'

const allow = { crossDots: false }
const deny = { crossDots: true }

describe('a pattern', () => {
  test.each([
    ['web-1.example.com', 'web-1.example.com', true, true],
    ['web-1.example.com', 'web-1.example.com.evil.example', false, false],
    ['web-1.example.com', 'aweb-1.example.com', false, false],
    ['*', 'web-1.example.com', true, true],
    ['*.example.com', 'web-1.example.com', true, true],
    ['*.example.com', 'example.com', false, false],
    ['*.example.com', 'a.b.example.com', false, true],
    ['*.example.com', 'web-1.example.com.evil.example', false, false],
    ['web-*', 'web-1', true, true],
    ['web-*', 'web-1.evil.example', false, true],
    ['web-?.example.com', 'web-1.example.com', true, true],
    ['web-?.example.com', 'web-12.example.com', false, false],
    ['web-?.example.com', 'web-.example.com', false, false],
    ['web?example.com', 'web.example.com', false, true],
    ['a*b*c', 'abc', true, true],
    ['a*b*c', 'axbxbxc', true, true],
    ['a*b*c', 'acb', false, false],
    ['ab*ba', 'aba', false, false],
    ['*.*', 'a.b', true, true],
    ['*.*', 'a.b.c', false, true],
    ['web.example', 'webxexample', false, false],
  ])('%s meets %s: allow %s, deny %s [ATTACKS 150, 151]', (pattern, host, inAllow, inDeny) => {
    expect(createMatcher(pattern, allow)(host)).toBe(inAllow)
    expect(createMatcher(pattern, deny)(host)).toBe(inDeny)
  })

  test('is what a naive reading of it says, for any pattern and text', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 })
    const pattern = fc
      .string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 8 })
      .filter((given) => !given.includes('**'))
    fc.assert(
      fc.property(pattern, text, fc.boolean(), (given, host, crossDots) => {
        const expected = given === '*' || isMatch(given, host, crossDots)
        expect(createMatcher(given, { crossDots })(host)).toBe(expected)
      }),
      { numRuns: 2000 },
    )
  })

  test('takes time that grows with its length alone, however hostile [ATTACKS 150]', () => {
    const started = performance.now()
    for (const options of [allow, deny]) {
      const matches = createMatcher('*a'.repeat(5_000), options)
      expect(matches('a'.repeat(10_000))).toBe(true)
      expect(matches(`${'a'.repeat(10_000)}b`)).toBe(false)
      expect(createMatcher(`${'*a?'.repeat(3_000)}c`, options)('ab'.repeat(5_000))).toBe(false)
    }
    // A backtracking matcher would not end at all.
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test.each([
    ['!web-1', 'there is no "!": write a deny rule for what must stay out'],
    ['a,b', 'must be a host or a pattern of one: its characters, "*" and "?", one to an entry'],
    [
      'web-[12]',
      'must be a host or a pattern of one: its characters, "*" and "?", one to an entry',
    ],
    ['(a+)+$', 'must be a host or a pattern of one: its characters, "*" and "?", one to an entry'],
    ['', 'must be a host or a pattern of one: its characters, "*" and "?", one to an entry'],
    [
      'а.example',
      'must be a host or a pattern of one: its characters, "*" and "?", one to an entry',
    ],
    [
      'a'.repeat(254),
      'must be a host or a pattern of one: its characters, "*" and "?", one to an entry',
    ],
    ['web-**', 'write one "*": two say no more'],
    ['-*', 'can match no host; look at its dots and hyphens'],
    ['*..example', 'can match no host; look at its dots and hyphens'],
    ['10.0.*.1', 'can match no host; look at its dots and hyphens'],
    ['web-*.example.com', undefined],
    ['*', undefined],
  ])('%s is taken or refused in words [ATTACKS 150]', (pattern, message) => {
    expect(explainPattern(pattern, 'host')).toBe(message)
  })
})

/** A pattern read one character at a time, trying everything: slow, and plainly right. */
const isMatch = (pattern: string, text: string, crossDots: boolean): boolean => {
  const [head] = pattern
  if (head === undefined) return text === ''
  const takes = text !== '' && (crossDots || text[0] !== '.')
  if (head === '*') {
    return (
      isMatch(pattern.slice(1), text, crossDots) ||
      (takes && isMatch(pattern, text.slice(1), crossDots))
    )
  }
  const isHead = head === '?' ? takes : text[0] === head
  return isHead && isMatch(pattern.slice(1), text.slice(1), crossDots)
}

describe('the index by host', () => {
  test('finds what asking each pattern in turn would find, in order', () => {
    const label = fc.string({
      unit: fc.constantFrom('a', 'b', '-', '*', '?'),
      minLength: 1,
      maxLength: 4,
    })
    const pattern = fc
      .array(label, { minLength: 1, maxLength: 3 })
      .map((labels) => labels.join('.'))
    const host = fc.string({
      unit: fc.constantFrom('a', 'b', '-', '.'),
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(
        fc.array(fc.array(pattern, { maxLength: 3 }), { maxLength: 12 }),
        host,
        fc.boolean(),
        (lists, name, crossDots) => {
          const expected = lists.flatMap((patterns, at) =>
            patterns.some((one) => createMatcher(one, { crossDots })(name)) ? [at] : [],
          )
          expect(createHostIndex(lists, { crossDots })(name)).toEqual(expected)
        },
      ),
      { numRuns: 500 },
    )
  })
})
