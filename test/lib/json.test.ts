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

/** What `parseJson` says, told slowly: token by token, each name read on its own. */
const judgeNaively = (text: string): string => {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"?|[{}[\]:]/gs) ?? []
  let depth = 0
  for (const token of tokens) {
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    if (depth > 32) return 'is nested deeper than 32 levels'
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  const open: string[][] = []
  for (const [at, token] of tokens.entries()) {
    if (token === '{' || token === '[') open.push([])
    if (token === '}' || token === ']') open.pop()
    if (tokens[at + 1] !== ':') continue
    const name = JSON.parse(token)
    if (name === '__proto__') return 'has a member named "__proto__"'
    if (open.at(-1)?.includes(name)) {
      return `has ${/^[A-Za-z_]{0,24}$/.test(name) ? `the member "${name}"` : 'a member'} twice`
    }
    open.at(-1)?.push(name)
  }
  return judgeValue(value) ?? 'taken'
}

const judgeValue = (value: unknown): string | undefined => {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    return 'has a number too large to hold'
  if (typeof value === 'string' && !value.isWellFormed())
    return 'has a string that is not well-formed Unicode'
  if (typeof value !== 'object' || value === null) return undefined
  for (const part of Object.entries(value).flat()) {
    const fault = judgeValue(part)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Names and strings as texts spell them, of which some say the same and some are no good. */
const spelled = fc.constantFrom(
  ...[
    '"a"',
    '"\\u0061"',
    '"b"',
    '"1"',
    '""',
    '"a\\\\"',
    '"\\""',
    '"__proto__"',
    '"\\u005f_proto__"',
  ],
  ...[
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\\\ud800"',
    '"\ud800"',
    '"é"',
    '"{:"',
    '"toString"',
    '"a b"',
  ],
)

/** Texts that are JSON or nearly, with members that stand twice, and white space anywhere. */
const written = fc
  .letrec<{ value: readonly string[] }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium', maxDepth: 5 },
      spelled.map((text) => [text]),
      fc.constantFrom('1', '-0', '1e400', '-1e999', 'null', 'true', '', 'x').map((text) => [text]),
      fc
        .array(tie('value'), { maxLength: 4 })
        .map((items) => ['[', ...items.flatMap((item, at) => (at ? [',', ...item] : item)), ']']),
      fc
        .array(fc.tuple(spelled, tie('value')), { maxLength: 4 })
        .map((members) => [
          '{',
          ...members.flatMap(([name, item], at) => [...(at ? [','] : []), name, ':', ...item]),
          '}',
        ]),
    ),
  }))
  .value.chain((tokens) =>
    fc
      .array(fc.constantFrom('', '', '', ' ', '\n', '\t\r'), {
        minLength: tokens.length,
        maxLength: tokens.length,
      })
      .map((spaces) => tokens.map((token, at) => `${spaces[at]}${token}`).join('')),
  )

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
        expect(JSON.stringify(parseJson(text))).toBe(text)
      }),
    )
  })

  // nodejs/node#63785: once V8 has met the one name, it takes the other for the letters it is written with.
  test.each([
    ['a quote', '"\\\\"', '"\\""', '"'],
    ['slashes', '"a:\\\\/\\\\/b\\\\"', '"a:\\/\\/b\\/cd"', 'a://b/cd'],
    ['a line end', '"a\\\\"', '"a\\n"', 'a\n'],
    ['a letter', '"\\\\u006"', '"\\u0061:min"', 'a:min'],
  ])('has the name of a member with %s, whatever was read before', (what, met, written, name) => {
    parseJson(`{"${what}":1,${met}:2}`)
    expect(parseJson(`{"${what}":1,${written}\n:2}`)).toEqual({ [what]: 1, [name]: 2 })
    parseJson(`{"twice ${what}":1,${written}:2,${met}:3}`)
    const text = `{"twice ${what}":1,${written}:2,${written}:3}`
    expect(refusal(text)).toBe('has a member twice')
  })

  test('is judged as by one who reads each name on its own', () => {
    const seen = new Set<string>()
    const judge = (text: string) => {
      seen.add(judgeNaively(text))
      expect(refusal(text)).toBe(judgeNaively(text))
      if (judgeNaively(text) === 'taken') expect(parseJson(text)).toEqual(JSON.parse(text))
    }
    fc.assert(fc.property(written, judge), { numRuns: 3_000 })
    // Cut anywhere it is no JSON, or shorter JSON.
    fc.assert(fc.property(written, fc.nat(40), (text, at) => judge(text.slice(0, at))))
    expect(seen.size).toBeGreaterThan(7)
  })

  test('is refused in time that grows with its length', () => {
    const started = performance.now()
    refusal(`{${Array.from({ length: 100_000 }, (_, at) => `"k${at}":1`).join(',')},"k1":2}`)
    refusal('"'.repeat(1_000_000))
    refusal(`[${'"\\"",'.repeat(200_000)}"`)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

/** RFC 8785 as one would write it first: member by member. */
const formatNaively = (value: unknown): string => {
  if (value === undefined || typeof value === 'bigint' || typeof value === 'function') {
    throw new TypeError(`a ${typeof value} has no canonical form`)
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`${value} has no canonical form`)
  }
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new TypeError('a lone surrogate has no canonical form')
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(formatNaively).join(',')}]`
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  const texts = members.map(([name, member]) => `${formatNaively(name)}:${formatNaively(member)}`)
  return `{${texts.join(',')}}`
}

/** What comes of formatting: the text, or the words of the refusal. */
const outcomeOf = (format: (value: unknown) => string, value: unknown): string => {
  try {
    return format(value)
  } catch (error) {
    if (error instanceof TypeError) return error.message
    throw error
  }
}

class Odd {
  readonly b = 1
  readonly a = 2
  toJSON() {
    return 'odd'
  }
}

const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'time', 'type', 'A', '_') },
  { weight: 2, arbitrary: fc.constantFrom('10', '9', '1', '0', '01', '1.5', '-1', ':', '/') },
  fc.constantFrom('__proto__', 'toJSON', 'constructor', '', '\ufb33', '\u{1f600}', '\ud800', '"'),
)

/** Members in any order, numbers and `__proto__` among their names, and values that JSON has none for. */
const anything = fc.letrec((tie) => ({
  leaf: fc.oneof(
    { weight: 20, arbitrary: fc.string({ unit: 'grapheme' }) },
    { weight: 20, arbitrary: fc.oneof(fc.integer(), fc.double({ noNaN: true }), fc.boolean()) },
    fc.constantFrom('\\ud800', '\\ud', '\u2028', '\u0000\u001f\u007f"', -0, null),
    fc.constantFrom('\ud800', Number.NaN, Number.NEGATIVE_INFINITY, undefined, 1n, () => 1),
    fc.constantFrom(new Date(0), new Odd(), Object('text'), Object(7), new Map([[1, 2]])),
  ),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 3, arbitrary: tie('leaf') },
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.tuple(name, tie('value')), { selector: ([key]) => key, maxLength: 6 })
      .chain((members) =>
        fc.boolean().map((isBare) => {
          const record: object = isBare ? Object.create(null) : {}
          for (const [key, value] of members) {
            Object.defineProperty(record, key, { value, enumerable: true, writable: true })
          }
          return record
        }),
      ),
  ),
})).value

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

  test('is what member by member comes to, whatever the order and the value', () => {
    let refused = 0
    fc.assert(
      fc.property(anything, (value) => {
        const expected = outcomeOf(formatNaively, value)
        if (expected.endsWith('has no canonical form')) refused++
        expect(outcomeOf(formatCanonical, value)).toBe(expected)
      }),
      { numRuns: 5_000 },
    )
    expect(refused).toBeGreaterThan(100)
    expect(refused).toBeLessThan(4_000)
  })

  test('has few members and many in one order', () => {
    for (let count = 0; count < 60; count++) {
      const names = Array.from({ length: count }, (_, at) => `n${(at * 37) % 101}`)
      const value = Object.fromEntries(names.map((name) => [name, 1]))
      expect(formatCanonical(value)).toBe(formatNaively(value))
      expect(formatCanonical({ z: value, a: 1 })).toBe(formatNaively({ z: value, a: 1 }))
    }
  })

  test('leaves what it is given as it was', () => {
    const value = { b: [{ d: 1, c: [new Date(0)] }], a: { z: 1, y: undefined, x: 2 } }
    const before = structuredClone(value)
    expect(formatCanonical(value)).toBe('{"a":{"x":2,"z":1},"b":[{"c":[{}],"d":1}]}')
    expect(value).toEqual(before)
    expect(Object.keys(value)).toEqual(['b', 'a'])
  })

  test('takes time that grows with the length, however deep the members are out of order', () => {
    let value: unknown = Array.from({ length: 20_000 }, (_, at) => ({ b: at, a: at }))
    for (let depth = 0; depth < 1_000; depth++) value = { b: value, a: 1 }
    const started = performance.now()
    formatCanonical(value)
    expect(performance.now() - started).toBeLessThan(3_000)
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
