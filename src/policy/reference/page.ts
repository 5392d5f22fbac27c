import { createPolicySchema } from '../json-schema.ts'
import { type Title, type Word, words } from './index.ts'

/** Where a map of keys stands, and what holds of all of it. */
const sections = {
  'policy file': [
    'A file',
    'Every `*.yaml` directly in the policy directory is read; all of them together are one policy. All keys are optional.',
  ],
  'allow rule': ['A rule that allows', 'An entry of `rules`.'],
  'deny rule': [
    'A rule that denies',
    'An entry of `rules` that has `deny`. Rules that deny are read before those that allow, wherever they stand, and ask for nothing.',
  ],
  when: ['`when`', 'Everything given must hold, by the clocks of one zone.'],
  require: ['`require`', 'Everything given must be met.'],
  reason: ['`require.reason`', 'Everything given must hold.'],
  'who entry': [
    'An entry of `who`, `except`, `identities` or a role',
    'One of these keys, alone. Beside them, `who` of a rule that denies may hold the word `everyone`.',
  ],
  github: [
    '`github`',
    'Everything given must hold. It must name somebody: an id, an organisation or a team.',
  ],
  oidc: ['`oidc`', 'Everything given must hold.'],
  'host entry': [
    'An entry of `hosts` of a rule, or of `hostGroups`',
    'A pattern, or one of these keys, alone. A group holds no other group.',
  ],
  'login entry': ['An entry of `logins`', 'A login, or this key.'],
  'known host': ['An entry of `hosts` of a file', ''],
  roles: ['`roles`', 'All files together say who has a role; being admin makes nobody an auditor.'],
  test: ['A test', 'An entry of `tests`.'],
  ask: ['`ask` of a test', ''],
  'test who': ['`who` of a test', 'One of these keys, alone.'],
  'test github': ['`github` of a test', ''],
  'test org': ['An organisation of a test', 'Its name alone, or these keys.'],
  'test team': ['A team of a test', 'Its name alone, or these keys.'],
  'test oidc': ['`oidc` of a test', ''],
  'expected allow': [
    '`expect`, where it is allowed',
    'What is given is compared, what is left out is not.',
  ],
  'expected deny': ['`expect`, where it is denied', 'The word `deny` alone, or these keys.'],
} as const satisfies Record<Title, readonly [string, string]>

/** The page policies/README.md: every word of the language, with an example. */
export const formatReference = (): string => {
  const required = findRequired(createPolicySchema())
  const parts = (Object.keys(sections) as Title[]).map((title) => {
    const [heading, text] = sections[title]
    const known = required.get(title) ?? new Set()
    const lines = Object.entries(words[title]).map(
      ([key, { text: meaning, example }]: readonly [string, Word]) =>
        `- **\`${key}\`**${known.has(key) ? ' (required)' : ''}: ${meaning}\n  \`${example}\``,
    )
    return [`## ${heading}`, ...(text === '' ? [] : [text]), lines.join('\n')].join('\n\n')
  })
  return `${[head, ...parts].join('\n\n')}\n`
}

const head = `# The words of a policy

<!-- Made of src/policy/reference by \`npm run reference\`; change it there. -->

A policy says who may have an SSH certificate for which host and login. What no rule allows is refused,
and an empty or missing restriction never means "anything". The files beside this page are an example
that loads. \`postern policy check\` says what is wrong in a policy, and what may not be meant;
\`postern policy test\` runs its tests.

Durations are a whole number and a unit: \`90s\`, \`15m\`, \`1h\`, \`1d\`. Entries of a list are
alternatives; keys of one entry all hold. Everything is compared whole, but for the patterns of hosts,
and of logins in rules that deny. There are no regular expressions, and no anchors, aliases, merge keys or
tags of YAML.

## What a change can widen

The first rule that speaks of somebody decides, and what it requires is met or refused: the next one is not
tried. So of rules for the same people, host and login the strictest stands first; \`postern policy check\`
names rules that cross.

- A rule or an entry of \`who\` that is taken out never lets anybody be what, where or when no rule of
  before let them be. It can still widen: where a later rule speaks of the same people, host and login, that
  one decides then, with its own \`require\`, \`ttl\`, \`commands\` and \`extensions\`. \`postern policy diff\`
  says so: \`… (wider) [shell, web.yaml:9, in place of setup]\`.
- To shut somebody out whatever else is there, write a rule that denies: these are read first, wherever they
  stand, and one more of them never widens anything.
- An entry of \`except\` that is taken out denies more, and never widens.
- Where patterns overlap in so many ways that not all can be looked at, \`postern policy diff\` says that there
  may be more, and counts it as widening.`

/** The keys that must be there, by the title of their map. */
const findRequired = (node: unknown): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, ReadonlySet<string>>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { title, required } = value as { readonly title?: unknown; readonly required?: unknown }
    if (typeof title === 'string' && Array.isArray(required)) found.set(title, new Set(required))
    for (const member of Object.values(value)) visit(member)
  }
  visit(node)
  return found
}
