import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { findNearest } from '../../src/lib/nearest.ts'
import {
  checkedText,
  chooseShape,
  explainUnknown,
  filledList,
  strictShape,
} from '../../src/lib/shape.ts'

const short = checkedText((text) => (text.length > 3 ? 'is too long' : undefined))
const schema = strictShape({
  name: short,
  list: filledList(strictShape({ id: z.number() })).optional(),
  either: chooseShape<string | number>((value) =>
    typeof value === 'string' ? short : z.number(),
  ).optional(),
})

const problems = (value: unknown): readonly string[] =>
  schema
    .safeParse(value)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

describe('a strict shape', () => {
  test('gives back what fits it', () => {
    const value = { name: 'abc', list: [{ id: 1 }], either: 2 }
    expect(schema.parse(value)).toEqual(value)
    expect(schema.parse({ name: 'a' })).toEqual({ name: 'a' })
  })

  test.each<[unknown, readonly string[]]>([
    [null, [': is empty: write a value, or leave the key out']],
    [[], [': must be a map of keys']],
    ['a', [': must be a map of keys']],
    [{}, [': "name" is missing']],
    [{ name: null }, ['name: is empty: write a value, or leave the key out']],
    [{ name: 1 }, ['name: must be text; put it in quotes where YAML reads it as something else']],
    [
      { name: 'abcd', nmae: 1, zzz: 1 },
      [
        'name: is too long',
        'nmae: unknown key "nmae"; did you mean "name"?',
        'zzz: unknown key "zzz"; known are name, list, either',
      ],
    ],
    [
      { name: 'a', list: [] },
      ['list: is an empty list, which grants nothing; name something or leave the key out'],
    ],
    [
      { name: 'a', list: [{}, { id: 'x' }, { id: 1, it: 2 }] },
      [
        'list.0: "id" is missing',
        'list.1.id: must be a number',
        'list.2.it: unknown key "it"; did you mean "id"?',
      ],
    ],
    [{ name: 'a', either: 'abcd' }, ['either: is too long']],
    [{ name: 'a', either: true }, ['either: must be a number']],
  ])('tells everything that is wrong with %j', (value, expected) => {
    expect(problems(value)).toEqual(expected)
  })
})

describe('the nearest known word', () => {
  const known = ['who', 'hosts', 'logins', 'maxTtl', 'ttl', 'sourceAddresses', 'principals']

  test.each([
    ['hots', 'hosts'],
    ['host', 'hosts'],
    ['Hosts', 'hosts'],
    ['max-ttl', 'maxTtl'],
    ['max_ttl', 'maxTtl'],
    ['tll', 'ttl'],
    ['princpals', 'principals'],
    ['sourceAdresses', 'sourceAddresses'],
    ['zebra', undefined],
    ['', undefined],
  ])('to %j is %s', (word, nearest) => {
    expect(findNearest(word, known)).toBe(nearest)
  })

  test('is looked for in bounded time', () => {
    expect(findNearest('x'.repeat(1_000_000), known)).toBeUndefined()
  })

  test('is left out where nothing is near, and the list where it is long', () => {
    expect(explainUnknown('rule', 'x', [])).toBe('unknown rule "x"')
    expect(explainUnknown('rule', 'zz', ['a', 'b'])).toBe('unknown rule "zz"; known are a, b')
    const many = Array.from({ length: 30 }, (_, at) => `rule-number-${at}`)
    expect(explainUnknown('rule', 'zz', many)).toBe('unknown rule "zz"')
  })
})
