import type { Identity, Memberships } from '../identity/index.ts'
import { formatDuration } from '../lib/duration.ts'
import { explainUnknown } from '../lib/shape.ts'
import type { Finding } from './compile.ts'
import type { Evaluator } from './evaluate.ts'
import type { Ask, Decision } from './index.ts'
import type { Expected, TestShape } from './schema.ts'
import type { TestWhoShape } from './who-schema.ts'

/**
 * Asks the rules what a policy's own test asks, and says where the answer is not the expected one.
 * The clock is never read: a test that a rule with a `when` could answer must say `at`.
 */
export const runTest = (
  test: TestShape,
  evaluator: Evaluator,
  ruleNames: ReadonlySet<string>,
): readonly Finding[] => {
  const { expect } = test
  const named =
    typeof expect === 'string' ? undefined : 'allow' in expect ? expect.allow : expect.deny
  if (named !== undefined && !ruleNames.has(named)) {
    return [
      {
        path: ['expect'],
        message: `test "${test.name}": ${explainUnknown('rule', named, ruleNames)}`,
      },
    ]
  }
  const question = { ...createCaller(test.who), ask: createAsk(test.ask) }
  if (test.at === undefined && evaluator.isTimed(question)) {
    const message = `test "${test.name}": needs "at", since a rule with a when could answer it`
    return [{ path: [], message }]
  }
  const decision = evaluator.evaluate({ ...question, at: new Date(test.at ?? 0) })
  return compare(expect, decision).map((message) => ({
    path: ['expect'],
    message: `test "${test.name}": ${message}`,
  }))
}

const createAsk = ({ host, login, ttl, command, reason }: TestShape['ask']): Ask => ({
  host,
  login,
  ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
  ...(command === undefined ? {} : { command }),
  ...(reason === undefined ? {} : { reason }),
})

const nobody = { name: '', groups: [], claims: {}, mfa: false } as const

/** What a test leaves out is empty, and so matched by no rule that names it. */
const createCaller = (
  who: TestWhoShape,
): { readonly identity: Identity; readonly memberships: Memberships } => {
  if ('oidc' in who) {
    const { issuer, subject = '', email, groups = [], claims = {}, client, mfa = false } = who.oidc
    const identity: Identity = {
      ...nobody,
      kind: 'oidc',
      issuer,
      subject,
      groups,
      claims,
      mfa,
      ...(email === undefined ? {} : { email }),
      ...(client === undefined ? {} : { client }),
    }
    return { identity, memberships: { orgs: [], teams: [] } }
  }
  const { id = '', login = '', orgs = [], teams = [], app, server = 'github.com' } = who.github
  const identity: Identity = {
    ...nobody,
    kind: 'github',
    issuer: `https://${server}`,
    subject: id,
    name: login,
    ...(app === undefined ? {} : { client: app }),
  }
  const inTeams = teams.map(({ team, teamId = '', orgId = '' }) => {
    const [org = '', slug = ''] = team.split('/')
    return { org, orgId, slug, id: teamId }
  })
  // Nobody is in a team without being in its organisation.
  const inOrgs = [
    ...orgs.map(({ org, orgId = '' }) => ({ login: org, id: orgId })),
    ...inTeams.map(({ org, orgId }) => ({ login: org, id: orgId })),
  ]
  return { identity, memberships: { orgs: inOrgs, teams: inTeams } }
}

const describe = (decision: Decision): string =>
  decision.kind === 'allow'
    ? `allow by ${decision.rule.name}`
    : `deny${decision.rule === undefined ? '' : ` by ${decision.rule.name}`}: ${decision.reason}`

/** Each difference in words; nothing where the decision is as expected. */
const compare = (expected: Expected, decision: Decision): readonly string[] => {
  const got = describe(decision)
  if (expected === 'deny') return decision.kind === 'deny' ? [] : [`expected deny, got ${got}`]
  if ('deny' in expected) {
    const isSame = decision.kind === 'deny' && decision.rule?.name === expected.deny
    return isSame ? [] : [`expected deny by ${expected.deny}, got ${got}`]
  }
  if (decision.kind === 'deny' || decision.rule.name !== expected.allow) {
    return [`expected allow by ${expected.allow}, got ${got}`]
  }
  const { grant } = decision
  const options = grant.criticalOptions
  const differences: readonly (readonly [string, string | undefined, string])[] = [
    ['ttl', expected.ttl && formatDuration(expected.ttl), formatDuration(grant.ttlSeconds)],
    ['principals', formatSet(expected.principals), formatSet(grant.principals)],
    ['extensions', formatSet(expected.extensions), formatSet(Object.keys(grant.extensions))],
    ['command', expected.command, options['force-command'] ?? 'none'],
    [
      'sourceAddresses',
      formatSet(expected.sourceAddresses),
      formatSet(options['source-address']?.split(',') ?? []),
    ],
    ['outliveToken', expected.outliveToken?.toString(), grant.outliveToken.toString()],
  ].map(([name, want, have]) => [
    String(name),
    want === undefined ? undefined : String(want),
    String(have),
  ])
  return differences
    .filter(([, want, have]) => want !== undefined && want !== have)
    .map(([name, want, have]) => `expected ${name} ${want}, got ${have}`)
}

function formatSet(items: readonly string[]): string
function formatSet(items: readonly string[] | undefined): string | undefined
function formatSet(items: readonly string[] | undefined): string | undefined {
  return items === undefined ? undefined : `[${[...items].sort().join(', ')}]`
}
