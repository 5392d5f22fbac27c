import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { encodeUtf8 } from '../../src/lib/bytes.ts'
import { formatProblem, listProblems, parseYaml, type YamlFile } from '../../src/lib/yaml.ts'

// What must be refused stands as stories in test/stories/policy-yaml.test.ts.

const open = (text: string): YamlFile => {
  const result = parseYaml('a.yaml', encodeUtf8(text))
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.yaml
}

describe('a YAML file', () => {
  test.each<[string, unknown]>([
    ['', null],
    ['# nothing\n', null],
    ['---\na: 1\n', { a: 1 }],
    ['a: 1\r\nb: 2\r\n', { a: 1, b: 2 }],
    ['a: [1, "1", true, null, x]\n', { a: [1, '1', true, null, 'x'] }],
    ['a: |\n  one\n  two\n', { a: 'one\ntwo\n' }],
    ['a: "x # no comment"\n', { a: 'x # no comment' }],
  ])('%j is plain data', (text, value) => {
    expect(open(text).value).toEqual(value)
  })

  // ATTACKS 142: YAML 1.2 reads fewer words as something else than 1.1 did, and these it still does.
  test('reads words as text, and numbers as numbers [ATTACKS 142]', () => {
    expect(open('a: [no, on, yes, 12:30:45, 2001-12-14, 010, 1e3, .inf, 0o10]\n').value).toEqual({
      a: ['no', 'on', 'yes', '12:30:45', '2001-12-14', 10, 1000, Number.POSITIVE_INFINITY, 8],
    })
  })

  test('says where each of its values and keys stands', () => {
    const yaml = open('a:\n  - b: 1\n    cc: [x, y]\n')
    expect(yaml.locate(['a', 0, 'cc', 1])).toEqual({ line: 3, column: 13 })
    expect(yaml.locateKey(['a', 0, 'cc'])).toEqual({ line: 3, column: 5 })
    expect(yaml.locate(['a', 0])).toEqual({ line: 2, column: 5 })
    expect(yaml.locate(['a', 7, 'x'])).toEqual(yaml.locate(['a']))
    expect(yaml.locate(['nothing'])).toEqual({ line: 1, column: 1 })
    expect(yaml.locateKey(['nothing'])).toEqual({ line: 1, column: 1 })
    expect(open('').locate(['a'])).toEqual({ line: 1, column: 1 })
  })

  test('gives the problems of a schema their places', () => {
    const yaml = open('a: 1\nlong: {x: 1}\n')
    const schema = z.strictObject({ a: z.string({ error: 'must be text' }) })
    const result = schema.safeParse(yaml.value)
    expect(result.error && listProblems(yaml, result.error).map(formatProblem)).toEqual([
      'a.yaml:1:4: must be text',
      'a.yaml:2:1: unknown key "long"',
    ])
  })
})
