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

  test.each([
    [
      'rules:\n  - hosts: [a, b\n    logins: [c]\n',
      '2:12: the list that opens here is not closed; write its ]',
    ],
    ['a: {b: 1\n', '1:4: the map that opens here is not closed; write its }'],
    ['"k": "x\nb: 1\n', '1:6: the text that opens here is not closed; write its "'],
    ['a: "x\\"\n', '1:4: the text that opens here is not closed; write its "'],
    ['a: [b, , c]\n', '1:8: there is nothing before this comma; take it out'],
    ['a: {b: 1 c: 2}\n', '1:8: in [ ] and { } a comma stands between entries; write it'],
    [
      'a: b: c\n',
      '1:4: no map can begin here; put text that holds ": " in quotes, or start a line of its own',
    ],
    ['a: - b\n', '1:4: no list can begin here; start each "- " on its own line'],
    ['a\nb: 1\n', '1:1: a key stands on one line, a colon and a space behind it, as "ttl: 5m"'],
    [
      'a:\n  b: 1\n c: 2\n',
      '3:1: is indented unlike the lines beside it; start them in the same column',
    ],
    ['a: &x [b, c\n', '1:7: anchors are not read; write the value out'],
    ['a: [b: c, d\n', '1:4: the list that opens here is not closed; write its ]'],
    ['a: @b\n', '1:4: text cannot start with @ here; put it in quotes'],
    ['a: ]\n', '1:4: closes what was never opened; take it out, or put the text in quotes'],
    [
      'a: "x" y\n',
      '1:8: the value before this is whole already; put all of it in quotes, or start a line',
    ],
    ['a: |x\n  y\n', '1:5: the text behind "|" or ">" starts on the next line'],
    ['a: "\\q"\n', '1:5: \\q means nothing in double quotes; use single ones'],
    ['a: [x]# c\n', '1:7: a comment needs a space before its "#"'],
  ])('%j that is no YAML is told of in words of ours', (text, words) => {
    const result = parseYaml('a.yaml', encodeUtf8(text))
    expect(result.ok ? [] : result.problems.map(formatProblem)).toContain(`a.yaml:${words}`)
  })
})
