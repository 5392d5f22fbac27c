import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse as parseText } from 'yaml'
import { z } from 'zod'
import { schemas } from '../../src/app/schemas.ts'
import { policyTemplate } from '../../src/cli/templates/policy.ts'
import { type Title, words } from '../../src/policy/reference/index.ts'
import { formatReference } from '../../src/policy/reference/page.ts'
import { check } from './kit.ts'
import { planted, sound } from './planted.ts'

interface Node {
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly items?: Node
  readonly additionalProperties?: Node | boolean
  readonly title?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
}

/** Every map of a schema that has keys of its own. */
const listMaps = (node: unknown): readonly Node[] => {
  if (typeof node !== 'object' || node === null) return []
  const below = Object.values(node).flatMap(listMaps)
  const { properties } = node as Node
  return typeof properties === 'object' ? [node as Node, ...below] : below
}

const policies = fileURLToPath(new URL('../../policies/', import.meta.url))
const examples = Object.fromEntries(
  readdirSync(policies)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => [name, readFileSync(`${policies}${name}`, 'utf8')]),
)

describe.each(Object.entries(schemas))('the JSON Schema %s', (_, create) => {
  const schema = create() as Node & Readonly<Record<string, unknown>>

  test('is one, with a title', () => {
    expect(schema['$schema']).toBe('http://json-schema.org/draft-07/schema#')
    expect(schema.title).toMatch(/Postern$/)
  })

  test('explains every key of every map', () => {
    const maps = listMaps(schema)
    expect(maps.length).toBeGreaterThan(5)
    const silent = maps.flatMap(({ title, properties = {} }) =>
      Object.entries(properties)
        .filter(([, { description = '' }]) => description === '')
        .map(([key]) => `${title}: ${key}`),
    )
    expect(silent).toEqual([])
  })

  test('knows no other keys than those it explains', () => {
    for (const map of listMaps(schema)) {
      expect(map).toMatchObject({ type: 'object', additionalProperties: false })
    }
  })

  test('has no default that would be wrong as it is written', () => {
    expect(JSON.stringify(schema)).not.toContain('"default":')
  })
})

describe('the JSON Schema of a policy', () => {
  const validator = z.fromJSONSchema(schemas.policy() as Parameters<typeof z.fromJSONSchema>[0])
  const isValid = (text: string) => validator.safeParse(parseText(text)).success

  test.each([...Object.entries(sound), ...Object.entries(examples), ['init', policyTemplate]])(
    'takes %s',
    (_, text) => {
      expect(isValid(text)).toBe(true)
    },
  )

  test.each(Object.entries(examples))('is named by the first line of %s', (name, text) => {
    const schema = name.endsWith('.test.yaml') ? 'policy-test' : 'policy'
    const [first] = text.split('\n')
    expect(first).toBe(`# yaml-language-server: $schema=../dist/schemas/${schema}.json`)
  })

  test('refuses the slips of an example that the policy refuses for their shape', () => {
    const slips: readonly (readonly [string, string])[] = [
      ['ttl: 10m', 'tll: 10m'],
      ['hosts:', 'host:'],
      ['logins: [deploy]', 'logins: []'],
      ['days: [mon,', 'days: [monday,'],
      ['repository_id: "123456"', 'repository_id: [[]]'],
      ['outliveToken: true', 'outliveToken: yes please'],
      ['expect: deny', 'expect: denied'],
    ]
    const text = examples['deploy.yaml'] ?? ''
    for (const [right, wrong] of slips) {
      const slipped = text.replace(right, wrong)
      expect(slipped).not.toBe(text)
      expect([wrong, check(slipped).length > 0, isValid(slipped)]).toEqual([wrong, true, false])
    }
  })

  const rule = { name: 'a', who: [{ github: { id: '1' } }], hosts: ['a'], logins: ['b'], ttl: '5m' }
  const withRule = (change: object) => JSON.stringify({ rules: [{ ...rule, ...change }] })
  test.each([
    ['a key it does not know', withRule({ sourceAddress: [] })],
    ['a rule without a ttl', withRule({ ttl: undefined })],
    ['a number for a ttl', withRule({ ttl: 5 })],
    ['an empty list', withRule({ hosts: [] })],
    ['an id without quotes', withRule({ who: [{ github: { id: 1 } }] })],
    ['everyone in a rule that allows', withRule({ who: ['everyone'] })],
    ['an extension nobody knows', withRule({ extensions: ['permit-all'] })],
    [
      'require in a rule that denies',
      withRule({ deny: 'no', ttl: undefined, require: { mfa: true } }),
    ],
  ])('refuses %s', (_, text) => {
    expect(isValid(withRule({}))).toBe(true)
    expect(isValid(text)).toBe(false)
  })

  test('refuses nothing that loads', () => {
    const loading = planted.filter(([, text]) => check(text).length === 0)
    expect(loading.length).toBeGreaterThan(20)
    expect(loading.filter(([, text]) => !isValid(text)).map(([name]) => name)).toEqual([])
  })

  test('of tests takes tests alone', () => {
    const schema = schemas['policy-test']() as Parameters<typeof z.fromJSONSchema>[0]
    const tests = z.fromJSONSchema(schema)
    const { tests: own, rules } = parseText(examples['runners.yaml'] ?? '') as Record<
      string,
      unknown
    >
    expect(tests.safeParse({ tests: own }).success).toBe(true)
    expect(tests.safeParse({ tests: own, rules }).success).toBe(false)
  })
})

/** Where an example of a word stands: the file around it, with everything that it may name. */
const around: Readonly<Record<Title, (part: object) => object>> = {
  'policy file': (part) => part,
  'allow rule': (part) => ({ rules: [{ ...allow, ...part, ...wide(part) }] }),
  'deny rule': (part) => ({ rules: [{ ...deny, ...part }] }),
  require: (part) => around['allow rule']({ require: part }),
  reason: (part) => around.require({ reason: part }),
  when: (part) =>
    around['allow rule']({
      when: { zone: 'UTC', days: ['mon', 'tue', 'wed', 'thu', 'fri'], ...part },
    }),
  'who entry': (part) => around['allow rule']({ who: [part] }),
  github: (part) => {
    const beside = 'teamId' in part ? { orgId: '815' } : { id: '583231' }
    return around['who entry']({
      github: { ...('org' in part || 'team' in part || 'orgId' in part ? {} : beside), ...part },
    })
  },
  oidc: (part) =>
    around['who entry']({
      oidc: { issuer: 'https://idp.example.com', groups: ['platform'], ...part },
    }),
  'host entry': (part) => around['allow rule']({ hosts: [part] }),
  'login entry': (part) => around['allow rule']({ logins: [part] }),
  'known host': (part) => ({ hosts: [{ name: 'db-1.example.com', ...part }] }),
  roles: (part) => ({ roles: part }),
  test: (part) => ({ tests: [{ ...question, ...part }] }),
  ask: (part) => around.test({ ask: { ...question.ask, ...part } }),
  'test who': (part) => around.test({ who: part }),
  'test github': (part) => around['test who']({ github: part }),
  'test org': (part) => around['test github']({ orgs: [{ org: 'acme', ...part }] }),
  'test team': (part) => around['test github']({ teams: [{ team: 'acme/platform', ...part }] }),
  'test oidc': (part) =>
    around['test who']({ oidc: { issuer: 'https://idp.example.com', ...part } }),
  'expected allow': (part) => around.test({ expect: { allow: 'base', ...part } }),
  'expected deny': (part) => around.test({ expect: { deny: 'base', ...part } }),
}

const allow = {
  name: 'another',
  who: [{ identities: 'platform' }],
  hosts: ['db-*.example.com'],
  logins: ['dba'],
  ttl: '10m',
}
const { ttl: _, ...rest } = allow
const deny = { ...rest, deny: 'not now' }
const question = {
  name: 'a question',
  at: '2026-11-24T10:00:00Z',
  who: { oidc: { issuer: 'https://idp.example.com', subject: 'u-9' } },
  ask: { host: 'web-1.example.com', login: 'deploy' },
  expect: 'deny',
}
/** `fleetWide` says what principals do, and is refused without them. */
const wide = (part: object) => ('fleetWide' in part ? { principals: ['{login}'] } : {})

const base = {
  identities: {
    platform: [{ oidc: { issuer: 'https://idp.example.com', groups: ['platform'] } }],
    oncall: [{ oidc: { issuer: 'https://idp.example.com', groups: ['oncall'] } }],
  },
  hostGroups: { front: ['web-*.example.com'] },
  hosts: [{ name: 'web-1.example.com', labels: { env: 'ci' } }],
  rules: [
    { ...allow, name: 'base', hosts: ['web-1.example.com'], logins: ['deploy'] },
    { ...allow, name: 'deploy-to-web', hosts: ['web-2.example.com'], logins: ['deploy'] },
  ],
}

/** What may stand in one place. */
const listForms = (node: Node): readonly Node[] => [
  node,
  ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap(listForms),
]

/** The words that a value holds, by the maps of the schema whose keys it has. */
const listUsed = (node: Node, value: unknown): readonly string[] => {
  if (Array.isArray(value)) {
    const items = listForms(node).flatMap((form) => (form.items === undefined ? [] : [form.items]))
    return value.flatMap((item) => items.flatMap((one) => listUsed(one, item)))
  }
  if (typeof value !== 'object' || value === null) return []
  return listForms(node).flatMap((form) => {
    const { title, properties = {}, additionalProperties: named } = form
    return Object.entries(value).flatMap(([key, member]) => {
      const below = properties[key] ?? (typeof named === 'object' ? named : undefined)
      const isKnown = Object.keys(value).every((one) => Object.hasOwn(properties, one))
      const own = isKnown
        ? [`${Object.hasOwn(words, title ?? '') ? title : 'policy file'}: ${key}`]
        : []
      return below === undefined ? [] : [...own, ...listUsed(below, member)]
    })
  })
}

const listWords = (
  Object.entries(words) as [Title, Readonly<Record<string, { text: string; example: string }>>][]
).flatMap(([title, keys]) => Object.entries(keys).map(([key, word]) => ({ title, key, ...word })))

describe('the words of the language', () => {
  test.each(listWords)(
    '$title: $key has an example that loads',
    ({ title, key, text, example }) => {
      expect(text).toMatch(/\.$/)
      const part = parseText(example) as Record<string, unknown>
      expect(Object.keys(part)).toEqual([key])
      const file = around[title](part) as Record<string, readonly unknown[] | object>
      const names = Object.keys(file).filter((name) => ['rules', 'identities'].includes(name))
      // Beside the base, not in its place: what an example names is there.
      const merged = Object.fromEntries(
        names.map((name) => [
          name,
          Array.isArray(file[name])
            ? [
                ...(base[name as 'rules'] as readonly unknown[]),
                ...(file[name] as readonly unknown[]),
              ]
            : { ...base[name as 'identities'], ...file[name] },
        ]),
      )
      const unexpected = check(JSON.stringify({ ...base, ...file, ...merged })).filter(
        // A test in an example need not fit the rules of the base: it is read, asked and answered.
        (line) => !/ test "[^"]*": expected /.test(line),
      )
      expect(unexpected).toEqual([])
    },
  )

  test('are all in the schema: none is left of a key that is gone', () => {
    const maps = [schemas.policy(), schemas['policy-test']()].flatMap(listMaps)
    const known = new Set(
      maps.flatMap(({ title, properties = {} }) =>
        Object.keys(properties).map((key) => `${title}: ${key}`),
      ),
    )
    const gone = listWords.filter(
      ({ title, key }) => title !== 'policy file' && !known.has(`${title}: ${key}`),
    )
    expect(gone).toEqual([])
  })

  test('are all in the files of policies/, each where it belongs', () => {
    const used = new Set(
      Object.values(examples).flatMap((text) =>
        listUsed(schemas.policy() as Node, parseText(text)),
      ),
    )
    const missing = listWords
      .map(({ title, key }) => `${title}: ${key}`)
      .filter((word) => !used.has(word))
    expect(missing).toEqual([])
  })

  test('make the page policies/README.md, which is current', () => {
    expect(readFileSync(`${policies}README.md`, 'utf8')).toBe(formatReference())
  })
})
