import fc from 'fast-check'
import { ask, github, issuer, oidc } from './kit.ts'
import type { NaiveMap, NaiveQuestion } from './naive.ts'

// Random policies and asks over a small world, in which they meet often.

const some = <T>(...items: readonly T[]) =>
  fc.subarray([...items], { minLength: 1, maxLength: Math.min(3, items.length) })

const who = fc.constantFrom<NaiveMap>(
  { github: { team: 'acme/dev' } },
  { github: { team: 'acme/ops' } },
  { github: { org: 'acme' } },
  { github: { orgId: '7' } },
  { github: { orgId: '7', teamId: '91' } },
  { github: { team: 'acme/dev', orgId: '7', teamId: '91' } },
  { github: { id: '1', login: 'kim' } },
  { github: { id: '1', team: 'acme/dev' } },
  { oidc: { issuer, groups: ['a', 'b'] } },
  { oidc: { issuer, groups: ['b', 'c'] } },
  { oidc: { issuer, subject: 'u-1' } },
  { oidc: { issuer, emailDomain: 'example.com' } },
  { oidc: { issuer, claims: { role: ['x', 'y'] } } },
  { oidc: { issuer, groups: ['a'], claims: { role: 'x' } } },
  { identities: 'crew' },
)
const people = fc.uniqueArray(who, {
  minLength: 1,
  maxLength: 3,
  selector: (one) => JSON.stringify(one),
})

const host = fc.constantFrom<string | NaiveMap>(
  'web-1',
  'web-2',
  'web-*',
  'web-?',
  '*-1',
  '*',
  '*.web-1',
  'db-1',
  { label: 'env=ci' },
  { hostGroup: 'fleet' },
)
const hosts = fc.uniqueArray(host, {
  minLength: 1,
  maxLength: 3,
  selector: (one) => JSON.stringify(one),
})

const when = fc.constantFrom<NaiveMap>(
  { through: '2026-11-24', zone: 'UTC' },
  { since: '2026-11-25', zone: 'UTC' },
  { between: '08:00-18:00', zone: 'UTC' },
  { between: '18:00-08:00', days: ['tue'], zone: 'UTC' },
)

/** There in one rule of five: rules that ask for much are met by few. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary, weight: 1 })

const given = (members: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))

const granted = fc
  .record({
    when: rarely(when),
    ttl: fc.constantFrom('5m', '10m', '1h'),
    maxTtl: rarely(fc.constant('1h')),
    extensions: rarely(some('permit-pty', 'permit-user-rc')),
    commands: rarely(
      fc.constantFrom<NaiveMap>({ go: '/bin/go' }, { go: '/bin/gone', stay: '/bin/stay' }),
    ),
    require: rarely(
      fc.constantFrom<NaiveMap>(
        { mfa: true },
        { reason: { minLength: 3 } },
        { proof: true },
        { tokenMaxAge: '10m' },
      ),
    ),
  })
  .map(given)

const logins = some<string | NaiveMap>('deploy', 'root', { claim: 'unix' })
const selected = fc.record({ who: people, hosts })
/** GitHub's callers have no claims, and a rule for them alone may ask for none. */
const hasClaims = (rule: {
  readonly who: readonly NaiveMap[]
  readonly logins: readonly unknown[]
}) =>
  !rule.logins.some((one) => typeof one === 'object') || rule.who.some((one) => !('github' in one))

const allow = fc
  .tuple(selected, logins, granted)
  .map(([one, names, more]) => ({ ...one, logins: names, ...more }))
  .filter(hasClaims)
/** Rules that let in, and all to the same. */
const plain = fc
  .tuple(selected, logins)
  .map(([one, names]) => ({ ...one, logins: names, ttl: '5m' }))
  .filter(hasClaims)

const deny = fc
  .tuple(
    selected,
    some('deploy', 'root', 'r*', '*'),
    fc
      .record({
        when: fc.option(when, { nil: undefined }),
        except: fc.option(people, { nil: undefined }),
      })
      .map(given),
    fc.nat(4),
  )
  .map(([one, names, more, all]) => ({
    deny: 'not now',
    ...one,
    ...(all === 0 ? { who: ['everyone'] } : {}),
    logins: names,
    ...more,
  }))

/** A policy of these rules, by its name each, with what they may refer to. */
export const withNames = (rules: readonly object[]): NaiveMap => ({
  identities: { crew: [{ github: { team: 'acme/crew' } }, { oidc: { issuer, groups: ['crew'] } }] },
  hostGroups: { fleet: ['db-1', 'web-2'] },
  hosts: [
    { name: 'web-1', labels: { env: 'ci' } },
    { name: 'db-1', labels: { env: 'live' } },
  ],
  rules: rules.map((rule, at) => ({ name: `r${at}`, ...rule })) as unknown as readonly NaiveMap[],
})

export const anyRule = fc.oneof({ arbitrary: allow, weight: 5 }, { arbitrary: deny, weight: 1 })
export const anyPolicy = fc.array(anyRule, { minLength: 1, maxLength: 5 }).map(withNames)
/** Policies whose allow rules all ask and grant the same. */
export const plainPolicy = fc
  .array(fc.oneof({ arbitrary: plain, weight: 5 }, { arbitrary: deny, weight: 1 }), {
    minLength: 1,
    maxLength: 5,
  })
  .map(withNames)

/** A policy, and one that an admin might make of it by changing a rule or two. */
export const anyEdit = fc
  .tuple(fc.array(anyRule, { minLength: 2, maxLength: 6 }), anyRule, fc.nat(), fc.nat(3))
  .map(([rules, other, at, kind]) => {
    const place = at % rules.length
    const edited = [
      () => rules.toSpliced(place, 1),
      () => rules.toSpliced(place, 1, other),
      () => rules.toSpliced(place, 0, other),
      () => rules.toReversed(),
    ][kind] as () => typeof rules
    return { before: withNames(rules), after: withNames(edited()) }
  })

const instants = [
  '2026-11-24T12:00:00Z',
  '2026-11-24T17:58:00Z',
  '2026-11-25T03:00:00Z',
  '2026-11-25T19:30:00Z',
]

const teamIds: Readonly<Record<string, string>> = { dev: '91', ops: '92', crew: '93' }

const githubCaller = fc
  .tuple(fc.constantFrom('1', '2'), fc.subarray(['dev', 'ops', 'crew']), fc.boolean())
  .map(([subject, slugs, isMember]) => {
    const teams = slugs.map((slug) => ({ org: 'acme', orgId: '7', slug, id: teamIds[slug] ?? '' }))
    // Nobody is in a team without being in its organisation.
    const orgs = isMember || teams.length > 0 ? [{ login: 'acme', id: '7' }] : []
    return { identity: github(subject), memberships: { orgs, teams } }
  })
const oidcCaller = fc
  .record({
    subject: fc.constantFrom('u-1', 'u-2'),
    groups: fc.subarray(['a', 'b', 'c', 'crew']),
    email: fc.constantFrom('maya@example.com', 'sam@example.org'),
    role: fc.constantFrom<string | readonly string[] | undefined>('x', 'y', ['x', 'z'], undefined),
    unix: fc.constantFrom('deploy', 'rory', 'anna', undefined),
    mfa: fc.boolean(),
  })
  .map(({ subject, groups, email, role, unix, mfa }) => ({
    identity: oidc(subject, {
      groups,
      email,
      mfa,
      claims: { ...(role === undefined ? {} : { role }), ...(unix === undefined ? {} : { unix }) },
    }),
    memberships: { orgs: [], teams: [] },
  }))

export const anyQuestion: fc.Arbitrary<NaiveQuestion> = fc
  .tuple(
    fc.oneof(githubCaller, oidcCaller),
    fc.constantFrom('web-1', 'web-2', 'web-33', 'db-1', 'a.web-1'),
    fc.constantFrom('deploy', 'root', 'rory', 'anna'),
    fc
      .record({
        ttlSeconds: rarely(fc.constantFrom(60, 600, 7200)),
        command: rarely(fc.constantFrom('go', 'stay')),
        reason: fc.constantFrom('x', 'a new release'),
      })
      .map(given),
    fc.constantFrom(...instants),
    fc.boolean(),
    fc.constantFrom(60, 3600),
  )
  .map(([caller, name, login, more, time, hasProof, age]) => {
    const at = new Date(time)
    const issuedAt = new Date(at.getTime() - age * 1000)
    return {
      memberships: caller.memberships,
      identity: { ...caller.identity, issuedAt },
      ask: ask(name, login, more),
      at,
      hasProof,
    }
  })
