import { describe, expect, test } from 'vitest'
import { encodeUtf8 } from '../../src/lib/bytes.ts'
import { parseYaml } from '../../src/lib/yaml.ts'
import { check } from '../policy/kit.ts'

/**
 * A policy file is written by people, and now and then by a program or an attacker with access to a
 * repository. YAML can make a small file mean a large one, or one that does not look like what it says:
 * aliases that multiply (CVE-2026-33320, a graph of 9^9 values from 300 bytes), tags whose reading
 * is quadratic (CVE-2026-59870), keys that reach an object's prototype (CVE-2025-64718), keys that
 * stand twice. All of them must stop the load, soon, with the place.
 */
const first = (text: string): string => check(text)[0] ?? 'it loads'

const aliasRefused =
  'aliases are not read; write the value out, and put text that starts with "*" in quotes'

/** `a` is a list of nine words, `b` of nine times `a`, and so on to nine levels. */
const bomb = [...'abcdefghi']
  .map((name, at) => {
    const item = at === 0 ? 'x' : `*${'abcdefghi'[at - 1]}`
    return `${name}: &${name} [${Array(9).fill(item).join(', ')}]`
  })
  .join('\n')

describe('a file that would mean more than it shows', () => {
  test('an alias bomb is refused where its first anchor stands, at once [ATTACKS 137]', () => {
    const started = performance.now()
    expect(first(bomb)).toBe('policy.yaml:1:7: anchors are not read; write the value out')
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test.each([
    [
      'an alias',
      'rules: &r []\ntests: *r\n',
      'policy.yaml:1:11: anchors are not read; write the value out',
    ],
    ['a pattern without quotes', 'rules: [*.example.com]\n', `policy.yaml:1:9: ${aliasRefused}`],
    [
      'a merge key [ATTACKS 141]',
      'rules:\n  - <<: { ttl: 5m }\n',
      'policy.yaml:2:5: merge keys are not read; write the values out',
    ],
    [
      'a key that stands twice [ATTACKS 139]',
      'rules: []\nrules: []\n',
      'policy.yaml:2:1: the key stands here twice; keep one',
    ],
    [
      'a key that stands twice, below [ATTACKS 139]',
      'rules:\n  - name: a\n    ttl: 5m\n    ttl: 1h\n',
      'policy.yaml:4:5: the key stands here twice; keep one',
    ],
    [
      'keys that look the same as text [ATTACKS 139]',
      'identities:\n  1: []\n  "1": []\n',
      'policy.yaml:2:3: a key must be a string; put it in quotes',
    ],
    [
      'a key that is a list',
      '? [a]\n: b\n',
      'policy.yaml:1:3: a key must be a string; put it in quotes',
    ],
    [
      '__proto__ [ATTACKS 146]',
      'identities:\n  __proto__: { admin: true }\n',
      'policy.yaml:2:3: "__proto__" is no key of ours',
    ],
    [
      'constructor [ATTACKS 146]',
      'constructor: {}\n',
      'policy.yaml:1:1: "constructor" is no key of ours',
    ],
    [
      'prototype [ATTACKS 146]',
      'rules:\n  - prototype: 1\n',
      'policy.yaml:2:5: "prototype" is no key of ours',
    ],
    [
      'a function by tag [ATTACKS 147]',
      'rules: !!js/function "x"\n',
      'policy.yaml:1:8: tags are not read; leave it out',
    ],
    [
      'bytes by tag [ATTACKS 147]',
      'rules: !!binary aGk=\n',
      'policy.yaml:1:8: tags are not read; leave it out',
    ],
    [
      'a tag of its own [ATTACKS 147]',
      'rules: !mine []\n',
      'policy.yaml:1:8: tags are not read; leave it out',
    ],
    [
      'a standard tag [ATTACKS 147]',
      'rules: !!seq []\n',
      'policy.yaml:1:14: tags are not read; leave it out',
    ],
    [
      'two documents [ATTACKS 148]',
      'rules: []\n---\nrules: []\n',
      'policy.yaml:2:1: the file holds several documents; keep one, without "---"',
    ],
    [
      'a byte order mark [ATTACKS 148]',
      '\ufeffrules: []\n',
      'policy.yaml:1:1: the file starts with a byte order mark; save it without',
    ],
    [
      'a tab [ATTACKS 148]',
      'rules:\n\t- a\n',
      'policy.yaml:2:1: a tab indents this line; use spaces',
    ],
    [
      'bare carriage returns [ATTACKS 148]',
      'rules: []\rtests: []\r',
      'policy.yaml:1:1: the file has bare carriage returns; use line feeds',
    ],
    [
      'another YAML',
      '%YAML 1.1\n---\nrules: []\n',
      'policy.yaml:1:1: directives ("%YAML", "%TAG") are not read; leave the line out',
    ],
    [
      'other tags',
      '%TAG ! tag:evil.example,2026:\n---\nrules: []\n',
      'policy.yaml:1:1: directives ("%YAML", "%TAG") are not read; leave the line out',
    ],
  ])('%s is refused', (_name, text, message) => {
    expect(first(text)).toBe(message)
  })

  test('bytes that are not UTF-8 are refused [ATTACKS 148]', () => {
    const result = parseYaml('a.yaml', new Uint8Array([0x61, 0x3a, 0x20, 0xff, 0xfe]))
    expect(result).toEqual({
      ok: false,
      problems: [
        { file: 'a.yaml', line: 1, column: 1, message: 'the file is not UTF-8; save it as UTF-8' },
      ],
    })
  })

  test('nothing any file says reaches what other objects inherit [ATTACKS 146]', () => {
    check(
      'identities: { __proto__: { admin: true } }\nconstructor: { prototype: { admin: true } }\n',
    )
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })
})

describe('a file made to be slow', () => {
  const many = (count: number, line: (at: number) => string) =>
    Array.from({ length: count }, (_, at) => line(at)).join('\n')

  test.each([
    [
      'nested 10,000 deep in one line',
      '['.repeat(10_000),
      'policy.yaml:1:33: nested deeper than 32 levels',
    ],
    [
      'nested 10,000 deep over as many lines',
      '[\n'.repeat(10_000),
      'policy.yaml:1:1: nested deeper than 32 levels',
    ],
    [
      'nested 10,000 deep by dashes',
      '- '.repeat(10_000),
      'policy.yaml:1:20001: nested deeper than 32 levels',
    ],
    [
      'nested by indentation',
      many(1_000, (at) => `${' '.repeat(at)}a:`),
      'policy.yaml:258:258: nested deeper than 32 levels',
    ],
    [
      '5 MB long',
      'a'.repeat(5 * 1024 * 1024),
      'policy.yaml:1:1: the file is larger than 1 MiB; split it',
    ],
    [
      'of 100,000 keys',
      many(100_000, (at) => `k${at}: 1`),
      'policy.yaml:1:1: the file has more than 200000 values; split it',
    ],
    [
      'of one key 10,000 times',
      'a: 1\n'.repeat(10_000),
      'policy.yaml:2:1: the key stands here twice; keep one',
    ],
    [
      'an ordered map of 20,000',
      `!!omap\n${many(20_000, (at) => `- k${at}: 1`)}`,
      'policy.yaml:1:1: tags are not read; leave it out',
    ],
  ])(
    'because it is %s is refused, in time that grows with its length [ATTACKS 138]',
    (_name, text, message) => {
      const started = performance.now()
      const result = parseYaml('policy.yaml', encodeUtf8(text))
      const [problem] = result.ok ? [] : result.problems
      expect(problem && `policy.yaml:${problem.line}:${problem.column}: ${problem.message}`).toBe(
        message,
      )
      // Seconds, not the minutes that a quadratic reader takes; a file this long is parsed once, at start.
      expect(performance.now() - started).toBeLessThan(10_000)
    },
  )
})
