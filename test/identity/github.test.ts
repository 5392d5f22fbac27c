import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unusable } from '../../src/identity/github/answers.ts'
import { createGithubProvider, type GithubApp } from '../../src/identity/github.ts'
import type { MembershipQuestion, Provider } from '../../src/identity/index.ts'
import { type Github, type GithubTrouble, startGithub } from '../fakes/github.ts'
import {
  createTestClock,
  refusalOf,
  refused,
  type TestClock,
  unavailable,
  unavailableMessage,
} from './setup.ts'

let clock: TestClock
let fake: Github
let provider: Provider
beforeEach(async () => {
  clock = createTestClock()
  fake = await startGithub({ clock })
  provider = createProvider(fake.world.apps)
})
afterEach(() => fake.close())

const createProvider = (apps: readonly GithubApp[]) =>
  createGithubProvider({ apiUrl: fake.apiUrl, apps, fetch, clock })
const unknown = refused('no configured app knows it')

describe('a GitHub token', () => {
  test('becomes an Identity by the numeric id, the login for display alone', async () => {
    const { identity } = await provider.authenticate(fake.mintToken('maya'))
    expect(identity).toEqual({
      kind: 'github',
      issuer: fake.webUrl,
      subject: '583231',
      name: 'maya',
      client: 'Ov23liPostern',
      groups: [],
      claims: {},
      mfa: false,
    })
  })

  // ATTACKS 117
  test.each([
    ['a personal token', `ghp_${'a'.repeat(36)}`],
    ['a fine-grained personal token', `github_pat_${'a'.repeat(70)}`],
    ['an installation token', `ghs_${'a'.repeat(36)}`],
    ['a refresh token', `ghr_${'a'.repeat(36)}`],
    ["a GitHub App's token where only an OAuth app is configured", `ghu_${'a'.repeat(36)}`],
    ['the prefix alone', 'gho_'],
    ['the prefix in capitals', `GHO_${'a'.repeat(36)}`],
    ['a token and something behind it', `gho_${'a'.repeat(36)}\n`],
    ['a token over GitHub’s length', `gho_${'a'.repeat(300)}`],
    ['an old token without a prefix', 'a'.repeat(40)],
  ])('is not claimed, and GitHub not asked: %s', async (_what, token) => {
    expect(provider.claims(token)).toBe(false)
    expect(fake.requests).toEqual({})
  })

  test('of each kind of app is checked with the apps of that kind alone', async () => {
    const apps: GithubApp[] = [
      { clientId: 'oauth', clientSecret: 's1', type: 'oauth-app' },
      { clientId: 'app-1', clientSecret: 's2', type: 'github-app' },
      { clientId: 'app-2', clientSecret: 's3', type: 'github-app' },
    ]
    fake.world.apps.splice(0, 1, ...apps)
    const all = createProvider(apps)
    const end = new Date(clock().getTime() + 1000)
    const token = fake.mintToken('sam', { app: 'app-2', expiresAt: end })
    const { identity } = await all.authenticate(token)
    expect(identity).toMatchObject({ subject: '583232', client: 'app-2', expiresAt: end })
    expect(fake.requests).toEqual({ checkToken: 2 })
  })

  // ATTACKS 118
  test.each<[GithubTrouble, string]>([['validation', 'no configured app knows it']])(
    'is refused where check-token answers: %s',
    async (how, detail) => {
      fake.switches.trouble.checkToken = how
      expect(await refusalOf(provider.authenticate(fake.mintToken('maya')))).toEqual(
        refused(detail),
      )
    },
  )

  // ATTACKS 118
  test.each<[GithubTrouble, string, number]>([
    ['rate-limited', 'GitHub answered check-token with 403: rate limit', 1],
    ['secondary-limit', 'GitHub answered check-token with 403: rate limit', 17],
    ['too-many', 'GitHub answered check-token with 429: rate limit', 60],
    ['forbidden', 'GitHub answered check-token with 403', 5],
    ['unavailable', 'GitHub answered check-token with 503', 5],
    ['error', 'GitHub answered check-token with 500', 5],
    ['bad-credentials', 'GitHub refuses the client id and secret', 5],
    ['html', 'GitHub answered something else than check-token', 5],
    ['redirect', 'GitHub answered something else than check-token', 5],
    ['null', 'GitHub answered check-token with something unreadable', 5],
  ])('cannot be judged where check-token answers: %s', async (how, detail, retryAfter) => {
    fake.switches.trouble.checkToken = how
    const refusal = await refusalOf(provider.authenticate(fake.mintToken('maya')))
    expect(refusal).toEqual(unavailable(detail, retryAfter))
    expect(fake.requests).toEqual({ checkToken: 1 })
  })

  test('cannot be judged where GitHub cannot be reached', async () => {
    fake.switches.trouble.checkToken = 'down'
    const url = `${fake.apiUrl}/applications/Ov23liPostern/token`
    expect(await refusalOf(provider.authenticate(fake.mintToken('maya')))).toEqual(
      unavailable(`${url} could not be reached (UND_ERR_SOCKET)`),
    )
  })

  test('has ended where check-token says so', async () => {
    fake.switches.checkAnswer = { expires_at: clock().toISOString() }
    expect(await refusalOf(provider.authenticate(fake.mintToken('maya')))).toEqual(
      refused('it has expired'),
    )
  })

  // ATTACKS 118
  test('is never known from before', async () => {
    const token = fake.mintToken('maya')
    await provider.authenticate(token)
    fake.switches.trouble.checkToken = 'unavailable'
    expect(await refusalOf(provider.authenticate(token))).toMatchObject({ code: 'idp_unavailable' })
    delete fake.switches.trouble.checkToken
    fake.world.tokens.delete(token)
    expect(await refusalOf(provider.authenticate(token))).toEqual(unknown)
  })

  test('is not refused by one app where another could not be asked', async () => {
    const apps: GithubApp[] = [
      { clientId: 'gone', clientSecret: 'x', type: 'oauth-app' },
      { clientId: 'ours', clientSecret: 'y', type: 'oauth-app' },
    ]
    fake.world.apps.splice(0, 1, ...apps.slice(1))
    const both = createProvider(apps)
    expect(await refusalOf(both.authenticate(`gho_${'a'.repeat(36)}`))).toEqual(
      unavailable('GitHub refuses the client id and secret'),
    )
    expect((await both.authenticate(fake.mintToken('maya'))).identity.client).toBe('ours')
  })

  const garbage: readonly [Readonly<Record<string, unknown>>, string][] = [
    [{ app: null }, 'check-token, for another app'],
    [{ app: { client_id: ['Ov23liPostern'] } }, 'check-token, for another app'],
    [{ user: null }, 'check-token, for nobody'],
    [{ user: { login: 'maya' } }, 'check-token, for nobody'],
    [{ user: { id: '583231', login: 'maya' } }, 'check-token, for nobody'],
    [{ user: { id: 0, login: 'maya' } }, 'check-token, for nobody'],
    [{ user: { id: 1.5, login: 'maya' } }, 'check-token, for nobody'],
    [{ user: { id: 1, login: '' } }, 'check-token, for nobody'],
    [{ user: { id: 1, login: 'a\nb' } }, 'check-token, for nobody'],
    [{ expires_at: 'soon' }, 'check-token, with an end that is no time'],
    [{ expires_at: 1 }, 'check-token, with an end that is no time'],
  ]
  test.each(garbage)('is no Identity where check-token answers %j', async (answer, what) => {
    fake.switches.checkAnswer = answer
    expect(await refusalOf(provider.authenticate(fake.mintToken('maya')))).toEqual(
      unavailable(`GitHub answered something else than ${what}`),
    )
  })

  test('and its app’s secret are in no error', async () => {
    fake.switches.trouble.checkToken = 'unavailable'
    const token = fake.mintToken('maya')
    const { inspect } = await import('node:util')
    const error = await provider.authenticate(token).catch((caught: unknown) => caught)
    const text = inspect(error, { depth: 20, showHidden: true })
    expect(text).toContain(unavailableMessage)
    for (const secret of [token, 'app-secret', btoa('Ov23liPostern:app-secret')]) {
      expect(text).not.toContain(secret)
    }
  })
})

// GitHub's own answers all say how many requests are left, and when they are counted anew.
test.each<[number, Record<string, string>, number]>([
  [502, { 'x-ratelimit-remaining': '4987' }, 5],
  [429, { 'x-ratelimit-remaining': '4987' }, 60],
  [403, { 'x-ratelimit-remaining': '0' }, 3000],
  [403, { 'x-ratelimit-remaining': '0', 'retry-after': '17' }, 17],
])('an answer of %i with %j is worth asking again in %i s', (status, headers, seconds) => {
  const reset = String(Math.floor(clock().getTime() / 1000) + 3000)
  const all = new Headers({ ...headers, 'x-ratelimit-reset': reset })
  expect(unusable('check-token', status, all, clock).retryAfter).toBe(seconds)
})

describe('memberships', () => {
  const team: MembershipQuestion = { kind: 'team', org: 'acme', team: 'platform' }
  const org: MembershipQuestion = { kind: 'org', org: 'acme' }
  const ask = async (
    login: string,
    questions: readonly MembershipQuestion[],
    scopes?: readonly string[],
  ) => {
    const token = fake.mintToken(login, scopes === undefined ? {} : { scopes })
    return (await provider.authenticate(token)).findMemberships(questions)
  }
  const acme = { login: 'acme', id: '9001' }
  const platform = { org: 'acme', orgId: '9001', slug: 'platform', id: '70' }

  test('are told with their ids, in lower case, whatever case is asked in', async () => {
    expect(await ask('maya', [team])).toEqual({ orgs: [acme], teams: [platform] })
    expect(await ask('maya', [{ kind: 'team', org: 'ACME', team: 'Platform' }])).toEqual({
      orgs: [acme],
      teams: [platform],
    })
  })

  test('of teams are read only where one is asked about', async () => {
    expect(await ask('maya', [org])).toEqual({ orgs: [acme], teams: [] })
    expect(fake.requests).toEqual({ checkToken: 1, orgs: 1 })
  })

  test('that nobody asked about are not told', async () => {
    fake.world.orgs.push({ id: 9002, login: 'Other', members: { 583231: 'active' }, teams: [] })
    expect(await ask('maya', [org])).toEqual({ orgs: [acme], teams: [] })
  })

  test('are none for somebody outside', async () => {
    expect(await ask('sam', [team, org])).toEqual({ orgs: [], teams: [] })
  })

  // ATTACKS 120
  test('that are pending are none, of the organisation or the team', async () => {
    const [first] = fake.world.orgs
    const [firstTeam] = first?.teams ?? []
    if (first === undefined || firstTeam === undefined) throw new Error('the fake has no team')
    first.members[583232] = 'pending'
    firstTeam.members[583232] = 'active'
    expect(await ask('sam', [team, org])).toEqual({ orgs: [], teams: [] })
    first.members[583232] = 'active'
    firstTeam.members[583232] = 'pending'
    expect(await ask('sam', [team])).toEqual({ orgs: [acme], teams: [] })
  })

  // ATTACKS 120
  test('that are pending are none even where a list for active ones shows them', async () => {
    const [first] = fake.world.orgs
    if (first !== undefined) first.members[583232] = 'pending'
    fake.switches.ignoreState = true
    expect(await ask('sam', [org])).toEqual({ orgs: [], teams: [] })
  })

  // ATTACKS 124
  test('are read to the last page', async () => {
    const [first] = fake.world.orgs
    for (let id = 1000; id < 1230; id++) {
      first?.teams.unshift({ id, slug: `t-${id}`, name: 'T', members: { 583231: 'active' } })
    }
    expect((await ask('maya', [team])).teams).toEqual([platform])
    expect(fake.requests['teams']).toBe(3)
  })

  // ATTACKS 124
  test.each([
    ['another host', 'https://evil.example/api/v3/user/memberships/orgs?page=2'],
    ['another port', 'http://127.0.0.1:1/api/v3/user/memberships/orgs?page=2'],
    ['another path', 'PATH'],
    ['no URL', '/user/memberships/orgs?page=2'],
  ])('are not followed to %s', async (_where, link) => {
    fake.switches.nextLink = link === 'PATH' ? `${fake.webUrl}/trap` : link
    expect(await refusalOf(ask('maya', [org]))).toEqual(
      unavailable('GitHub names a next page that is another place'),
    )
    expect(fake.requests['trap']).toBe(undefined)
  })

  test('without an end are given up', async () => {
    fake.switches.nextLink = `${fake.apiUrl}/user/memberships/orgs?page=1`
    expect(await refusalOf(ask('maya', [org]))).toEqual(unavailable('GitHub answers over 20 pages'))
    expect(fake.requests['orgs']).toBe(20)
  })

  // ATTACKS 119
  test.each([[[]], [['repo', 'user:email']], [['read:user']]])(
    'are not read, and not taken for none, with the scopes %j',
    async (scopes) => {
      expect(await refusalOf(ask('maya', [team], scopes))).toEqual({
        code: 'insufficient_scope',
        message:
          'The token lacks the scope read:org, which the policy needs to see organisations and teams: log in again and grant it.',
        detail: `its scopes are ${scopes.join(' ') || 'none'}`,
      })
      expect(fake.requests).toEqual({ checkToken: 1 })
    },
  )

  test.each(['read:org', 'write:org', 'admin:org'])('may be read with %s', async (scope) => {
    expect((await ask('maya', [team], ['repo', scope])).teams).toEqual([platform])
  })

  // ATTACKS 119
  test('of an organisation that hides from the app are unknown, not none', async () => {
    const [first] = fake.world.orgs
    if (first !== undefined) first.restricted = true
    expect(await refusalOf(ask('maya', [team]))).toEqual({
      code: 'insufficient_scope',
      message:
        'GitHub does not show this app your membership of an organisation that the policy asks about: have an owner approve the app there, or authorise it for single sign-on.',
      detail: 'the organisation acme hides its members from the app',
    })
  })

  // Else a rule that denies would not find whoever leaves another organisation at the right moment.
  test('that fall between two pages are unknown, not none', async () => {
    const others = Array.from({ length: 100 }, (_, at) => ({
      id: 10_000 + at,
      login: `o-${at}`,
      members: { 583231: 'active' as const },
      teams: [],
    }))
    fake.world.orgs.unshift(...others)
    const leaving = createGithubProvider({
      apiUrl: fake.apiUrl,
      apps: fake.world.apps,
      clock,
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        if (url.includes('/user/memberships/orgs?state')) fake.world.orgs.shift()
        return response
      },
    })
    const caller = await leaving.authenticate(fake.mintToken('maya'))
    expect(await refusalOf(caller.findMemberships([org]))).toEqual(
      unavailable('GitHub answers that acme has this member, and does not list it'),
    )
  })

  const orgId: MembershipQuestion = { kind: 'orgId', orgId: '9001' }
  const teamId: MembershipQuestion = { kind: 'teamId', orgId: '9001', teamId: '70' }

  // ATTACKS 122, 123
  test('are told by their ids alone, whatever they are called today', async () => {
    const [first] = fake.world.orgs
    if (first !== undefined) first.login = 'Renamed'
    expect(await ask('maya', [orgId])).toEqual({
      orgs: [{ login: 'renamed', id: '9001' }],
      teams: [],
    })
    expect((await ask('maya', [teamId])).teams).toEqual([{ ...platform, org: 'renamed' }])
    expect((await ask('maya', [{ ...teamId, teamId: '71' }])).teams).toEqual([])
    expect(fake.requests['orgOfId']).toBe(undefined)
  })

  test('by an id are none for somebody outside', async () => {
    expect(await ask('sam', [orgId, teamId])).toEqual({ orgs: [], teams: [] })
    expect(fake.requests).toEqual({ checkToken: 1, orgs: 1, teams: 1, orgOfId: 1, org: 1 })
  })

  // ATTACKS 119
  test.each([
    ['hides from the app', 9001, 'the organisation acme hides its members from the app'],
    ['is not found', 4, 'there is no organisation with the id 4, or it hides'],
  ])('by an id whose organisation %s are unknown, not none', async (_what, id, detail) => {
    const [first] = fake.world.orgs
    if (first !== undefined) first.restricted = true
    expect(await refusalOf(ask('maya', [{ kind: 'orgId', orgId: String(id) }]))).toEqual({
      code: 'insufficient_scope',
      message:
        'GitHub does not show this app your membership of an organisation that the policy asks about: have an owner approve the app there, or authorise it for single sign-on.',
      detail,
    })
  })

  test.each(['unavailable', 'rate-limited', 'forbidden'] as const)(
    'by an id are unknown where GitHub answers %s',
    async (trouble) => {
      fake.switches.trouble.orgOfId = trouble
      expect((await refusalOf(ask('sam', [orgId]))).code).toBe('idp_unavailable')
    },
  )

  // ATTACKS 126
  test('end with the next question after they were taken away', async () => {
    const caller = await provider.authenticate(fake.mintToken('maya'))
    expect((await caller.findMemberships([team])).teams).toEqual([platform])
    delete fake.world.orgs[0]?.teams[0]?.members[583231]
    expect((await caller.findMemberships([team])).teams).toEqual([])
  })

  test('of a token that was revoked meanwhile are a refusal', async () => {
    const token = fake.mintToken('maya')
    const caller = await provider.authenticate(token)
    fake.world.tokens.delete(token)
    expect(await refusalOf(caller.findMemberships([team]))).toEqual(
      refused('GitHub no longer accepts it'),
    )
  })

  // ATTACKS 118
  test.each<['orgs' | 'teams' | 'org', GithubTrouble, string, number]>([
    [
      'orgs',
      'rate-limited',
      '/user/memberships/orgs?state=active&per_page=100 with 403: rate limit',
      1,
    ],
    ['orgs', 'forbidden', '/user/memberships/orgs?state=active&per_page=100 with 403', 5],
    ['orgs', 'redirect', '/user/memberships/orgs?state=active&per_page=100 with 302', 5],
    ['teams', 'too-many', '/user/teams?per_page=100 with 429: rate limit', 60],
    ['teams', 'error', '/user/teams?per_page=100 with 500', 5],
    ['org', 'secondary-limit', 'a membership with 403: rate limit', 17],
    ['org', 'error', 'a membership with 500', 5],
  ])('are unknown where %s answers: %s', async (route, how, what, retryAfter) => {
    fake.switches.trouble[route] = how
    expect(await refusalOf(ask('maya', [team, { kind: 'org', org: 'elsewhere' }]))).toEqual(
      unavailable(`GitHub answered ${what}`, retryAfter),
    )
  })

  test.each<GithubTrouble>(['html', 'not-json', 'null', 'empty'])(
    'are unknown where the answer is no list: %s',
    async (how) => {
      fake.switches.trouble.teams = how
      expect(await refusalOf(ask('maya', [team]))).toEqual(
        unavailable('GitHub did not answer a list'),
      )
    },
  )
})

describe('the server', () => {
  const named = (apiUrl: string) =>
    createGithubProvider({ apiUrl, apps: fake.world.apps, fetch, clock }).name

  test.each([
    ['https://api.github.com', 'github https://github.com'],
    ['https://api.github.com/', 'github https://github.com'],
    ['https://api.acme.ghe.com', 'github https://acme.ghe.com'],
    ['https://git.example.com/api/v3', 'github https://git.example.com'],
    ['https://api.github.com.evil.example', 'github https://api.github.com.evil.example'],
  ])('of %s is %s', (apiUrl, name) => {
    expect(named(apiUrl)).toBe(name)
  })

  // ATTACKS 127
  test.each(['http://git.example.com/api/v3', 'https://u:p@git.example.com', 'https://x?y', ''])(
    'is refused at start where its URL is %j',
    async (apiUrl) => {
      expect(await refusalOf((async () => named(apiUrl))())).toEqual({
        code: 'invalid_config',
        message: `The GitHub apiUrl ${JSON.stringify(apiUrl)} is not usable: write its https URL without user, query or fragment (plain http on loopback only).`,
        detail: undefined,
      })
    },
  )

  test('is refused at start where it has no app', async () => {
    expect(await refusalOf((async () => createProvider([]))())).toEqual({
      code: 'invalid_config',
      message: `No app of the GitHub server ${fake.webUrl} is configured.`,
      detail: undefined,
    })
  })

  test('is asked how it is at most once a minute', async () => {
    expect(await provider.check()).toEqual({ ok: true })
    fake.switches.trouble.checkToken = 'bad-credentials'
    clock.advance(59)
    expect(await provider.check()).toEqual({ ok: true })
    expect(fake.requests).toEqual({ checkToken: 1 })
    clock.advance(1)
    expect(await provider.check()).toEqual({
      ok: false,
      reason: 'GitHub refuses the client id and secret',
    })
  })
})
