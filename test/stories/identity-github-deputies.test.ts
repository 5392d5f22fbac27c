import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createGithubProvider } from '../../src/identity/github.ts'
import type { MembershipQuestion, Provider } from '../../src/identity/index.ts'
import { type Github, startGithub } from '../fakes/github.ts'
import {
  createTestClock,
  refusalOf,
  refused,
  type TestClock,
  unavailable,
} from '../identity/setup.ts'

let clock: TestClock
let fake: Github
let provider: Provider
beforeEach(async () => {
  clock = createTestClock()
  fake = await startGithub({
    clock,
    apps: [
      { clientId: 'ours', clientSecret: 'secret-1', type: 'oauth-app' },
      { clientId: 'mallory', clientSecret: 'secret-2', type: 'oauth-app' },
    ],
  })
  const apps = fake.world.apps.slice(0, 1)
  provider = createGithubProvider({ apiUrl: fake.apiUrl, apps, fetch, clock })
})
afterEach(() => fake.close())

const platform: MembershipQuestion = { kind: 'team', org: 'acme', team: 'platform' }

describe('Maya logs in to a game', () => {
  // ATTACKS 116. GET /user takes any app's token: whoever runs the game would be Maya here.
  test("and the game's token is not hers here, though GitHub knows it", async () => {
    const token = fake.mintToken('maya', { app: 'mallory' })
    const headers = { authorization: `Bearer ${token}` }
    expect((await fetch(`${fake.apiUrl}/user`, { headers })).status).toBe(200)
    expect(await refusalOf(provider.authenticate(token))).toEqual(
      refused('no configured app knows it'),
    )
  })

  // ATTACKS 116. Should GitHub's answer speak of another app after all, it is not believed.
  test('and an answer about another app is no answer', async () => {
    fake.switches.wrongApp = 'mallory'
    expect(await refusalOf(provider.authenticate(fake.mintToken('maya')))).toEqual(
      unavailable('GitHub answered something else than check-token, for another app'),
    )
  })
})

describe('Maya leaves GitHub, and Mallory takes her login', () => {
  // ATTACKS 121, 125. Logins change hands, numbers do not.
  test('and is somebody else', async () => {
    const before = await provider.authenticate(fake.mintToken('maya'))
    const [maya] = fake.world.people
    if (maya !== undefined) maya.login = 'maya-gone'
    fake.world.people.push({ id: 999_001, login: 'maya' })
    const after = await provider.authenticate(fake.mintToken('maya'))
    expect([before.identity.name, after.identity.name]).toEqual(['maya', 'maya'])
    expect([before.identity.subject, after.identity.subject]).toEqual(['583231', '999001'])
    expect(await after.findMemberships([platform])).toEqual({ orgs: [], teams: [] })
  })
})

describe('Mallory founds organisations and teams', () => {
  // ATTACKS 122. A name that became free is another organisation: its number tells, in the answer
  // and so in the entry.
  test('under the name of one that was renamed', async () => {
    const caller = await provider.authenticate(fake.mintToken('sam'))
    const [acme] = fake.world.orgs
    if (acme !== undefined) acme.login = 'acme-corp'
    fake.world.orgs.push({ id: 666, login: 'acme', members: { 583232: 'active' }, teams: [] })
    expect(await caller.findMemberships([{ kind: 'org', org: 'acme' }])).toEqual({
      orgs: [{ login: 'acme', id: '666' }],
      teams: [],
    })
  })

  // ATTACKS 123. Rancher CVE-2026-41053: a team was known by the name it shows.
  test('whose shown name is the slug of another, in her own organisation or in ours', async () => {
    const [acme] = fake.world.orgs
    const members = { 583232: 'active' } as const
    acme?.teams.push({ id: 71, slug: 'platform-1', name: 'platform', members: { ...members } })
    if (acme !== undefined) acme.members[583232] = 'active'
    fake.world.orgs.push({
      id: 666,
      login: 'acme-2',
      members: { ...members },
      teams: [{ id: 72, slug: 'platform', name: 'acme/platform', members: { ...members } }],
    })
    const caller = await provider.authenticate(fake.mintToken('sam'))
    expect(await caller.findMemberships([platform])).toEqual({
      orgs: [{ login: 'acme', id: '9001' }],
      teams: [],
    })
  })
})

describe('Maya is let go', () => {
  // ATTACKS 113. Pocket ID CVE-2026-43983, Gitea CVE-2026-58422, Vikunja CVE-2026-33668: what was
  // once proven went on counting.
  test('and from that moment her token is nobody', async () => {
    const token = fake.mintToken('maya')
    const caller = await provider.authenticate(token)
    fake.world.people.splice(0, 1)
    expect(await refusalOf(provider.authenticate(token))).toEqual(
      refused('no configured app knows it'),
    )
    expect(await refusalOf(caller.findMemberships([platform]))).toEqual(
      refused('GitHub no longer accepts it'),
    )
  })
})
