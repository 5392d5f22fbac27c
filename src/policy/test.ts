import type { Identity, Memberships } from '../identity/index.ts'
import { formatDuration } from '../lib/duration.ts'
import { explainUnknown } from '../lib/shape.ts'
import type { Finding } from './consistency.ts'
import type { Evaluator } from './evaluate.ts'
import type { Ask, Decision, Question } from './index.ts'
import type { Expected, TestShape } from './test-schema.ts'
import type { TestWhoShape } from './test-who-schema.ts'

/** A test that was run: where the answer is not the expected one; nothing where it passes. */
export interface TestRun {
  readonly findings: readonly Finding[]
  /** What was asked, where the test could be. */
  readonly question?: Question
}

/**
 * Asks the rules what a policy's own test asks, and says where the answer is not the expected one.
 * The clock is never read: a test that a rule with a `when` could answer must say `at`.
 */
export const runTest = (
  test: TestShape,
  evaluator: Evaluator,
  ruleNames: ReadonlySet<string>,
): TestRun => {
  const { expect } = test
  const named =
    typeof expect === 'string' ? undefined : 'allow' in expect ? expect.allow : expect.deny
  if (named !== undefined && !named.includes('_') && !ruleNames.has(named)) {
    const message = explainUnknown('rule', named, ruleNames)
    return { findings: [{ path: ['expect'], message }] }
  }
  const at = new Date(test.at ?? 0)
  const question: Question = {
    ...createCaller(test.who, at),
    ask: createAsk(test.ask),
    at,
    ...(test.from === undefined ? {} : { address: test.from }),
    hasProof: test.ask.proof === true,
  }
  if (test.at === undefined && evaluator.isTimed(question)) {
    const message = 'needs "at", since a rule with a when could answer it'
    return { findings: [{ path: [], message }] }
  }
  const decision = evaluator.evaluate(question)
  const findings = compare(expect, decision).map((message) => ({ path: ['expect'], message }))
  return { findings, question }
}

const createAsk = ({ host, login, ttl, command, reason }: TestShape['ask']): Ask => ({
  host,
  login,
  ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
  ...(command === undefined ? {} : { command }),
  ...(reason === undefined ? {} : { reason }),
})

const before = (at: Date, seconds: number): Date => new Date(at.getTime() - seconds * 1000)

const nobody = { name: '', groups: [], claims: {}, mfa: false } as const

/** A person as tests write one. What is left out is empty, and so matched by no rule that names it. */
export const createCaller = (
  who: TestWhoShape,
  at: Date,
): { readonly identity: Identity; readonly memberships: Memberships } => {
  if ('oidc' in who) {
    const { issuer, subject = '', email, groups = [], claims = {}, client } = who.oidc
    const { mfa = false, tokenAge = 0 } = who.oidc
    const identity: Identity = {
      ...nobody,
      kind: 'oidc',
      issuer,
      subject,
      groups,
      claims,
      mfa: mfa !== false,
      issuedAt: before(at, tokenAge),
      ...(mfa === false ? {} : { authenticatedAt: before(at, mfa === true ? 0 : mfa) }),
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
  const inTeams = teams.map(({ team = '', teamId = '', orgId = '' }) => {
    const [org = '', slug = ''] = team.split('/')
    return { org, orgId, slug, id: teamId }
  })
  // Nobody is in a team without being in its organisation.
  const inOrgs = [
    ...orgs.map(({ org = '', orgId = '' }) => ({ login: org, id: orgId })),
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
    const { deny, code } = expected
    const isSame =
      decision.kind === 'deny' &&
      (deny.includes('_') ? decision.code === deny : decision.rule?.name === deny) &&
      (code === undefined || decision.code === code)
    const want = `deny by ${deny}${code === undefined ? '' : ` with ${code}`}`
    return isSame ? [] : [`expected ${want}, got ${got}`]
  }
  if (decision.kind === 'deny' || decision.rule.name !== expected.allow) {
    return [`expected allow by ${expected.allow}, got ${got}`]
  }
  const { grant } = decision
  const options = grant.criticalOptions
  const differences: readonly (readonly [string, string | undefined, string])[] = [
    ['ttl', expected.ttl && formatDuration(expected.ttl), formatDuration(grant.ttlSeconds)],
    ['principals', formatSet(expected.principals), formatSet(grant.principals)],
    [
      'extensions',
      formatSet(expected.extensions?.map(({ name, value }) => formatExtension([name, value]))),
      formatSet(Object.entries(grant.extensions).map(formatExtension)),
    ],
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

const formatExtension = ([name, value]: readonly [string, string]): string =>
  value === '' ? name : `${name}=${value}`

function formatSet(items: readonly string[]): string
function formatSet(items: readonly string[] | undefined): string | undefined
function formatSet(items: readonly string[] | undefined): string | undefined {
  return items === undefined ? undefined : `[${[...items].sort().join(', ')}]`
}
