import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createGithubProvider } from '../../src/identity/github.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createTestProvider } from '../identity/setup.ts'
import { type Github, startGithub } from './github.ts'
import { type OidcIssuer, startOidcIssuer } from './oidc.ts'

describe('the fake GitHub', () => {
  let fake: Github
  beforeAll(async () => {
    fake = await startGithub()
  })
  afterAll(() => fake.close())

  const post = async (path: string, form: Readonly<Record<string, string>>) => {
    const response = await fetch(`${fake.webUrl}${path}`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    return (await response.json()) as Record<string, string>
  }
  const identify = async (token: string) => {
    const { apiUrl, world } = fake
    const provider = createGithubProvider({ apiUrl, apps: world.apps, fetch, clock: systemClock })
    return (await provider.authenticate(token)).identity.name
  }
  const app = { client_id: 'Ov23liPostern', client_secret: 'app-secret' }

  const authorize = async () => {
    const query = new URLSearchParams({
      client_id: app.client_id,
      redirect_uri: 'https://web.example.com/callback',
      scope: 'read:org user',
      state: 's-1',
      login: 'sam',
    })
    const response = await fetch(`${fake.webUrl}/login/oauth/authorize?${query}`, {
      redirect: 'manual',
    })
    return new URL(response.headers.get('location') ?? '')
  }

  test('logs a person in through the browser, each code once', async () => {
    const target = await authorize()
    expect(target.searchParams.get('state')).toBe('s-1')
    const code = target.searchParams.get('code') ?? ''
    const answer = await post('/login/oauth/access_token', { ...app, code })
    expect(answer).toMatchObject({ scope: 'read:org,user', token_type: 'bearer' })
    expect(await identify(answer['access_token'] ?? '')).toBe('sam')
    expect(await post('/login/oauth/access_token', { ...app, code })).toEqual({
      error: 'bad_verification_code',
    })
  })

  test("knows the app's secret", async () => {
    const code = (await authorize()).searchParams.get('code') ?? ''
    const form = { ...app, client_secret: 'guess', code }
    expect(await post('/login/oauth/access_token', form)).toEqual({
      error: 'incorrect_client_credentials',
    })
  })

  test('logs a person in by device, once they have approved', async () => {
    const device = await post('/login/device/code', { client_id: app.client_id, scope: 'read:org' })
    const form = { client_id: app.client_id, device_code: device['device_code'] ?? '' }
    expect(await post('/login/oauth/access_token', form)).toEqual({
      error: 'authorization_pending',
    })
    fake.approveDevice(device['user_code'] ?? '', 'maya')
    const answer = await post('/login/oauth/access_token', form)
    expect(await identify(answer['access_token'] ?? '')).toBe('maya')
  })

  test('tells who a token is, and a team membership that is only pending with 200', async () => {
    const headers = { authorization: `Bearer ${fake.mintToken('maya')}` }
    expect(await (await fetch(`${fake.apiUrl}/user`, { headers })).json()).toEqual({
      id: 583231,
      login: 'maya',
    })
    const [team] = fake.world.orgs[0]?.teams ?? []
    if (team !== undefined) team.members[583232] = 'pending'
    const url = `${fake.apiUrl}/orgs/acme/teams/platform/memberships/sam`
    const response = await fetch(url, { headers })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ state: 'pending', role: 'member' })
  })
})

describe('the fake OIDC issuer', () => {
  let fake: OidcIssuer
  beforeAll(async () => {
    fake = await startOidcIssuer()
  })
  afterAll(() => fake.close())

  const ask = (query: string, form: Readonly<Record<string, string>>, accept = '*/*') =>
    fetch(`${fake.issuer}/token${query}`, {
      method: 'POST',
      headers: { accept },
      body: new URLSearchParams(form),
    })
  const identify = async (token: string) =>
    (await createTestProvider(fake, systemClock).authenticate(token)).identity

  test('answers a token as JSON', async () => {
    const body = (await (await ask('', { user: 'maya' })).json()) as Record<string, string>
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 300 })
    expect(body['id_token']).toBe(body['access_token'])
    expect(await identify(body['access_token'] ?? '')).toMatchObject({
      name: 'maya',
      groups: ['platform'],
    })
  })

  test('answers bare text where that is asked for', async () => {
    const byQuery = await (await ask('?format=text', { user: 'sam' })).text()
    const byHeader = await (await ask('', { user: 'sam' }, 'text/plain')).text()
    for (const text of [byQuery, byHeader]) {
      expect(await identify(text.trim())).toMatchObject({ name: 'sam', groups: [] })
    }
  })

  test('makes a token for another audience where that is asked for', async () => {
    const text = await (await ask('?format=text', { user: 'maya', audience: 'web' })).text()
    await expect(identify(text.trim())).rejects.toMatchObject({ detail: 'aud names none of ours' })
  })

  test.each(['mallory', '', '__proto__'])('knows nobody called %j', async (user) => {
    const response = await ask('', { user })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
  })
})
