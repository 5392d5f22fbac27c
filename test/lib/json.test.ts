import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatCanonical, JsonError, parseJson } from '../../src/lib/json.ts'

const refusal = (text: string): string => {
  try {
    parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return error.message
    throw error
  }
  return 'taken'
}

describe('JSON that is read', () => {
  test.each<[string, string]>([
    ['', 'is not JSON'],
    ['{', 'is not JSON'],
    ['{} x', 'is not JSON'],
    ['{}{}', 'is not JSON'],
    ["{'a':1}", 'is not JSON'],
    ['{"a":1,}', 'is not JSON'],
    ['NaN', 'is not JSON'],
    ['\ufeff{}', 'is not JSON'],
    ['"\u0001"', 'is not JSON'],
    ['{"a":1,"a":1}', 'has the member "a" twice'],
    ['{"a":1,"\\u0061":2}', 'has the member "a" twice'],
    ['{"x":[{"a":1,"b":{"a":1,"a":2}}]}', 'has the member "a" twice'],
    ['{"a" \n\t:1,"a":2}', 'has the member "a" twice'],
    ['{"":1,"":2}', 'has the member "" twice'],
    ['{"__proto__":{}}', 'has a member named "__proto__"'],
    ['{"a":{"\\u005f_proto__":1}}', 'has a member named "__proto__"'],
    ['1e400', 'has a number too large to hold'],
    ['{"a":[-1e999]}', 'has a number too large to hold'],
    ['"\\ud800"', 'has a string that is not well-formed Unicode'],
    ['{"\\udfff":1}', 'has a string that is not well-formed Unicode'],
    ['['.repeat(33) + ']'.repeat(33), 'is nested deeper than 32 levels'],
    ['{"a":'.repeat(33), 'is nested deeper than 32 levels'],
    ['['.repeat(1_000_000), 'is nested deeper than 32 levels'],
  ])('%j is refused', (text, message) => {
    expect(refusal(text)).toBe(message)
  })

  test.each([
    '{"a":{"a":1},"b":{"a":2}}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a":"\\\\","b":1}',
    '{"constructor":1,"toString":2}',
    `${'['.repeat(32)}${']'.repeat(32)}`,
    '{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
    '"\\ud83d\\ude00"',
    ' null ',
  ])('%j is taken for what JSON.parse says', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  test('is any value that was written, unless it has a member twice or one of a prototype', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('__proto__') && text.isWellFormed() && !/\\ud[89a-f]/.test(text))
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test('is refused in time that grows with its length', () => {
    const started = performance.now()
    refusal(`{${Array.from({ length: 100_000 }, (_, at) => `"k${at}":1`).join(',')},"k1":2}`)
    refusal('"'.repeat(1_000_000))
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

describe('canonical JSON', () => {
  // The example of RFC 8785 section 3.2.2, and its sorting of section 3.2.3.
  test('is what RFC 8785 shows', () => {
    const value = {
      numbers: JSON.parse('[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]'),
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\u002f',
      literals: [null, true, false],
    }
    expect(formatCanonical(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
    const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6']
    expect(
      Object.keys(JSON.parse(formatCanonical(Object.fromEntries(names.map((name) => [name, 0]))))),
    ).toEqual(['1', '\r', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'])
  })

  test('leaves absent members out, and writes -0 as 0', () => {
    expect(formatCanonical({ b: undefined, a: -0 })).toBe('{"a":0}')
  })

  test('does not depend on the order members were set in', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.integer()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse())
        expect(formatCanonical(turned)).toBe(formatCanonical(value))
        expect(JSON.parse(formatCanonical(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test.each<[unknown, string]>([
    [1n, 'a bigint has no canonical form'],
    [[undefined], 'a undefined has no canonical form'],
    [Number.NaN, 'NaN has no canonical form'],
    [{ a: Number.POSITIVE_INFINITY }, 'Infinity has no canonical form'],
    ['\ud800', 'a lone surrogate has no canonical form'],
    [{ '\udc00': 1 }, 'a lone surrogate has no canonical form'],
    [() => 1, 'a function has no canonical form'],
  ])('is refused for %o', (value, message) => {
    expect(() => formatCanonical(value)).toThrow(new TypeError(message))
  })
})
