import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyQuestion } from './arbitraries.ts'
import { ask, issuer, none, noon, oidc, parse } from './kit.ts'
import { decideNaively, type NaiveDecision, type NaiveMap } from './naive.ts'

// A slip of the hand in a file either leaves its meaning as it was or stops it from loading, or at
// worst takes something away: it never lets more in. What the file means is what the naive evaluator
// makes of the value it was written from.

const file = {
  identities: { crew: [{ github: { team: 'acme/crew' } }, { oidc: { issuer, groups: ['crew'] } }] },
  hosts: [{ name: 'web-1', labels: { env: 'ci' } }],
  rules: [
    {
      name: 'dev',
      who: [{ identities: 'crew' }, { oidc: { issuer, groups: ['a'], claims: { role: ['x'] } } }],
      hosts: ['web-1', 'web-2'],
      logins: ['deploy'],
      when: { since: '2026-11-01', through: '2026-11-24', between: '08:00-18:00', zone: 'UTC' },
      require: { mfa: true, reason: { minLength: 3 } },
      ttl: '5m',
      maxTtl: '10m',
    },
    {
      name: 'ci',
      who: [{ oidc: { issuer, subject: 'u-1' } }],
      hosts: [{ label: 'env=ci' }],
      logins: [{ claim: 'unix' }],
      commands: { go: '/bin/go' },
      ttl: '5m',
    },
    {
      name: 'night',
      deny: 'not by night',
      who: ['everyone'],
      except: [{ github: { team: 'acme/ops' } }],
      hosts: ['*'],
      logins: ['root', 'r*'],
    },
    {
      name: 'ops',
      who: [{ github: { team: 'acme/ops' } }],
      hosts: ['*'],
      logins: ['root'],
      ttl: '10m',
    },
  ],
} satisfies NaiveMap

/** YAML in the blocks people write, with the places that are keys and structure, not values. */
const write = (value: unknown, indent = 0): string => {
  const pad = '  '.repeat(indent)
  if (Array.isArray(value)) {
    return value
      .map((item) => {
        const text = write(item, indent + 1)
        return text.startsWith('\n') ? `\n${pad}- ${text.trimStart()}` : `\n${pad}- ${text}`
      })
      .join('')
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, item]) => {
        const text = write(item, indent + 1)
        return `\n${pad}${key}:${text.startsWith('\n') ? text : ` ${text}`}`
      })
      .join('')
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
const original = `${write(file).trimStart()}\n`

/** Everything outside of quotes: keys, dashes, colons, indents, ends of lines, and bare words. */
const structure = [...original.matchAll(/"[^"\n]*"/g)].reduce(
  (places, match) => places.filter((at) => at < match.index || at >= match.index + match[0].length),
  [...original].map((_, at) => at),
)

/** No `#`: it makes a comment of what follows, which is no slip but an edit. */
const chars = [...'axZ09:-?,[]{}&*!|>%@`\'"~.\t \n']

type Mutation = (text: string, at: number, char: string) => string
const mutations: Readonly<Record<string, Mutation>> = {
  'a character is lost': (text, at) => text.slice(0, at) + text.slice(at + 1),
  'a character is doubled': (text, at) => text.slice(0, at + 1) + text.slice(at),
  'a character is another': (text, at, char) => text.slice(0, at) + char + text.slice(at + 1),
  'a character comes in': (text, at, char) => text.slice(0, at) + char + text.slice(at),
  'two characters change places': (text, at) =>
    text.slice(0, at) + (text[at + 1] ?? '') + text[at] + text.slice(at + 2),
  'a letter is large': (text, at) =>
    text.slice(0, at) + (text[at] as string).toUpperCase() + text.slice(at + 1),
  'a value is empty': (text, at) =>
    text.replace(lineAt(text, at), (line) => line.replace(/: .*$/, ':')),
  'a key is there twice': (text, at) =>
    text.replace(lineAt(text, at), (line) =>
      /^[ -]*\w+: /.test(line) ? `${line}\n${line.replace('- ', '  ')}` : `${line} `,
    ),
  'a line is deeper': (text, at) => text.replace(lineAt(text, at), (line) => `  ${line}`),
  'a line is less deep': (text, at) =>
    text.replace(lineAt(text, at), (line) => line.replace(/^ {2}/, '')),
}

const lineAt = (text: string, at: number): string => {
  const start = text.lastIndexOf('\n', at - 1) + 1
  const end = text.indexOf('\n', at)
  return text.slice(start, end < 0 ? text.length : end)
}

const robot = oidc('u-1', { claims: { unix: 'anna' } })
const questions = [
  { identity: robot, memberships: none, ask: ask('web-1', 'anna', { command: 'go' }), at: noon },
  ...fc.sample(anyQuestion, { numRuns: 300, seed: 1 }),
]
const meant = questions.map((question) => decideNaively(file, question))

const isWider = (before: NaiveDecision, after: NaiveDecision): boolean => {
  if (after.kind === 'deny') return false
  if (before.kind === 'deny') return true
  return (
    after.grant.ttlSeconds > before.grant.ttlSeconds ||
    after.grant.command !== before.grant.command ||
    after.grant.principals.join() !== before.grant.principals.join() ||
    after.grant.extensions.some((one) => !before.grant.extensions.includes(one))
  )
}

const decideAll = (text: string): readonly NaiveDecision[] | undefined => {
  const result = parse(text)
  if (!result.ok) return undefined
  return questions.map((question) => {
    const decision = result.policy.evaluate(question)
    if (decision.kind === 'deny') {
      const { kind, code, rule } = decision
      return { kind, code, ...(rule === undefined ? {} : { rule: rule.name }) }
    }
    const { ttlSeconds, principals, extensions, criticalOptions } = decision.grant
    const command = criticalOptions['force-command']
    return {
      kind: 'allow',
      rule: decision.rule.name,
      grant: {
        ttlSeconds,
        principals,
        extensions: Object.keys(extensions),
        ...(command === undefined ? {} : { command }),
      },
    }
  })
}

describe('300 mutations of a file', () => {
  test('as it was written it means what it says', () => {
    expect(decideAll(original)).toEqual(meant)
    const kinds = Map.groupBy(meant, ({ kind, rule }) => `${kind} ${rule}`)
    for (const kind of ['allow dev', 'allow ops', 'allow ci', 'deny night']) {
      expect(kinds.has(kind), kind).toBe(true)
    }
  })

  test('each loads with the same meaning or is refused, and none lets more in', () => {
    const names = Object.keys(mutations)
    const mutated = fc.sample(
      fc.tuple(fc.constantFrom(...names), fc.constantFrom(...structure), fc.constantFrom(...chars)),
      { numRuns: 300, seed: 137 },
    )
    const counts = { refused: 0, same: 0, narrower: 0 }
    const wider: string[] = []
    for (const [name, at, char] of mutated) {
      const text = (mutations[name] as Mutation)(original, at, char)
      const decided = decideAll(text)
      if (decided === undefined) counts.refused++
      else if (decided.some((one, index) => isWider(meant[index] as NaiveDecision, one))) {
        wider.push(
          `${name} at ${at} (${JSON.stringify(lineAt(original, at))}): ${JSON.stringify(char)}`,
        )
      } else if (isDeepStrictEqual(decided, meant)) counts.same++
      else counts.narrower++
    }
    expect(wider).toEqual([])
    expect(counts.refused).toBeGreaterThan(100)
    expect(counts.same).toBeGreaterThan(10)
    expect(counts.refused + counts.same + counts.narrower).toBe(300)
  })
})
