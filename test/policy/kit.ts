import type { Identity, Memberships } from '../../src/identity/index.ts'
import { encodeUtf8 } from '../../src/lib/bytes.ts'
import { formatProblem } from '../../src/lib/yaml.ts'
import type { Ask, Decision, Policy } from '../../src/policy/index.ts'
import { type PolicyOptions, type PolicyResult, parsePolicy } from '../../src/policy/parse.ts'

type Texts = string | Readonly<Record<string, string>>

export const parse = (texts: Texts, options?: PolicyOptions): PolicyResult => {
  const files = typeof texts === 'string' ? { 'policy.yaml': texts } : texts
  return parsePolicy(
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encodeUtf8(text)])),
    options,
  )
}

/** The policy, which must load. */
export const load = (texts: Texts, options?: PolicyOptions): Policy => {
  const result = parse(texts, options)
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.policy
}

/** What is wrong with a policy, as `policy check` prints it; nothing where it loads. */
export const check = (texts: Texts, options?: PolicyOptions): readonly string[] => {
  const result = parse(texts, options)
  return result.ok ? [] : result.problems.map(formatProblem)
}

export const warn = (texts: Texts): readonly string[] => {
  const result = parse(texts)
  return result.ok ? result.warnings.map(formatProblem) : ['it does not load']
}

export const github = (subject: string, more: Partial<Identity> = {}): Identity => ({
  kind: 'github',
  issuer: 'https://github.com',
  subject,
  name: 'maya',
  groups: [],
  claims: {},
  mfa: false,
  ...more,
})

export const issuer = 'https://idp.example.com'

export const oidc = (subject: string, more: Partial<Identity> = {}): Identity => ({
  ...github(subject),
  kind: 'oidc',
  issuer,
  name: subject,
  ...more,
})

export const ask = (host: string, login: string, more: Partial<Ask> = {}): Ask => ({
  host,
  login,
  ...more,
})

export const none: Memberships = { orgs: [], teams: [] }

/** Memberships as GitHub would answer: `acme` or `acme/platform`, each with its id after `=`. */
export const member = (...paths: readonly string[]): Memberships => {
  const found = paths.map((path) => {
    const [name = '', id = '1'] = path.split('=')
    const [login = '', slug] = name.split('/')
    return { login, slug, id }
  })
  return {
    orgs: found.flatMap(({ login, slug, id }) => (slug === undefined ? [{ login, id }] : [])),
    teams: found.flatMap(({ login, slug, id }) =>
      slug === undefined ? [] : [{ org: login, orgId: '7', slug, id }],
    ),
  }
}

export const noon = new Date('2026-11-24T12:00:00Z')

export const decide = (
  policy: Policy,
  identity: Identity,
  wanted: Ask,
  more: { readonly at?: Date; readonly memberships?: Memberships } = {},
): Decision => policy.evaluate({ identity, ask: wanted, memberships: none, at: noon, ...more })

/** The decision in a word: the deciding rule of an allow, or the reason of a refusal. */
export const say = (...given: Parameters<typeof decide>): string => {
  const decision = decide(...given)
  return decision.kind === 'allow' ? decision.rule.name : `no: ${decision.reason}`
}

/** A rule as YAML, in one line: everyone of the group `staff`, to `web-1` as `deploy`. */
export const rule = (name: string, more: Readonly<Record<string, unknown>> = {}): string => {
  const parts = {
    name,
    who: [{ oidc: { issuer, groups: ['staff'] } }],
    hosts: ['web-1'],
    logins: ['deploy'],
    ...('deny' in more ? {} : { ttl: '5m' }),
    ...more,
  }
  return `  - ${JSON.stringify(parts)}`
}

export const rules = (...lines: readonly string[]): string =>
  lines.length === 0 ? 'rules: []\n' : `rules:\n${lines.join('\n')}\n`

export const staff = oidc('u-1', { groups: ['staff'] })
