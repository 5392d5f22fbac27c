import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createDesk } from '../../src/desk/desk.ts'
import { listProviders } from '../../src/desk/login/index.ts'
import { findPlaces, openDirectory } from '../../src/desk/places.ts'
import { findSession, removeSession, type Session, saveSession } from '../../src/desk/session.ts'
import { systemClock, toSeconds } from '../../src/lib/clock.ts'
import type { Fetch } from '../../src/lib/fetch.ts'
import { useDirectories } from '../fakes/directory.ts'

const createDirectory = useDirectories()
const url = 'https://postern.example.com'
const grantor = {
  kind: 'github',
  issuer: 'https://github.example.com',
  clientId: 'x',
  type: 'github-app',
} as const
const createLogin = (bearer: string, refreshToken?: string): Session => ({
  url,
  credential: {
    kind: 'login',
    bearer,
    expiresAt: toSeconds(systemClock()) + (refreshToken === undefined ? 3_600 : -1),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    grantor,
  },
})

/** A desk whose login is maya's, due to be renewed, and a provider that takes its time over it. */
const setUp = () => {
  const places = findPlaces({ XDG_STATE_HOME: createDirectory() })
  openDirectory(places.dir)
  saveSession(places, createLogin('maya', 'maya-1'))
  const asked = Promise.withResolvers<unknown>()
  const renewed = Promise.withResolvers<void>()
  const shown: unknown[] = []
  const fetch: Fetch = async (address, init) => {
    if (address.startsWith(grantor.issuer)) {
      asked.resolve(init?.signal)
      await renewed.promise
      const tokens = { access_token: 'maya-renewed', refresh_token: 'maya-2', scope: '' }
      const lives = { expires_in: 28_800, refresh_token_expires_in: 15_897_600 }
      const headers = { date: systemClock().toUTCString() }
      return Response.json({ ...tokens, ...lives, token_type: 'bearer' }, { headers })
    }
    shown.push(new Headers(init?.headers).get('authorization'))
    return Response.json({ name: 'somebody', rules: [] })
  }
  const desk = createDesk({ places, clock: systemClock, fetch })
  return { places, desk, asked: asked.promise, answer: () => renewed.resolve(), shown }
}

test('a login that is renewed is kept', async () => {
  const { places, desk, answer, shown } = setUp()
  answer()
  expect(await desk.answer({ kind: 'whoami' })).toMatchObject({ ok: true })
  expect(new Set(shown)).toEqual(new Set(['Bearer maya-renewed']))
  expect(findSession(places)?.credential).toMatchObject({ refreshToken: 'maya-2' })
})

test('a renewal under way brings no login back that was forgotten', async () => {
  const { places, desk, asked, answer } = setUp()
  const before = desk.answer({ kind: 'whoami' })
  await asked
  removeSession(places)
  await desk.answer({ kind: 'forget' })
  answer()
  await before
  expect(findSession(places)).toBeUndefined()
})

test.each([
  ['on disk', false],
  ['in memory', true],
])('a renewal under way is nothing to who has logged in since, %s', async (_where, isInMemory) => {
  const { places, desk, asked, answer, shown } = setUp()
  const before = desk.answer({ kind: 'whoami' })
  await asked
  const session = createLogin('noor')
  if (isInMemory) {
    removeSession(places)
    await desk.answer({ kind: 'login', session })
  } else {
    saveSession(places, session)
    await desk.answer({ kind: 'forget' })
  }
  const after = desk.answer({ kind: 'whoami' })
  answer()
  await before
  expect(await after).toMatchObject({ ok: true, inMemory: isInMemory })
  expect(shown).toContain('Bearer noor')
  shown.length = 0
  await desk.answer({ kind: 'whoami' })
  expect(new Set(shown)).toEqual(new Set(['Bearer noor']))
  expect(findSession(places)).toEqual(isInMemory ? undefined : session)
})

test('a renewal that is never answered is given up', async () => {
  const { desk, asked, answer } = setUp()
  const answered = desk.answer({ kind: 'whoami' })
  expect(await asked).toBeInstanceOf(AbortSignal)
  answer()
  await answered
})

test('a login that cannot be read keeps no agent, and ends none', () => {
  const { places, desk } = setUp()
  expect(desk.isNeeded()).toBe(true)
  writeFileSync(places.session, 'half of', { mode: 0o600 })
  expect(desk.isNeeded()).toBe(false)
})

test('a provider that is none is passed over, whatever stands in its place', async () => {
  const one = { kind: 'oidc', issuer: 'https://idp.example.com', clientId: 'x', flows: ['device'] }
  const providers = [null, 7, 'x', [], one, {}]
  const found = await listProviders(url, async () => Response.json({ providers }))
  expect(found).toEqual([{ ...one, scopes: [] }])
})

test('a token never goes to the service of the login before it', async () => {
  const { places } = setUp()
  const seen: string[] = []
  const other = { ...createLogin('noor', 'noor-1'), url: 'https://other.example.com' }
  const { credential } = createLogin('maya', 'maya-1')
  saveSession(places, {
    url,
    credential: { ...credential, expiresAt: 2 ** 31 } as typeof credential,
  })
  const fetch: Fetch = async (address, init) => {
    if (address.startsWith(grantor.issuer)) {
      const headers = { date: systemClock().toUTCString() }
      const lives = { expires_in: 28_800, refresh_token_expires_in: 15_897_600 }
      return Response.json({ access_token: 'new', refresh_token: 'next', ...lives }, { headers })
    }
    seen.push(`${new URL(address).origin} ${new Headers(init?.headers).get('authorization')}`)
    saveSession(places, other)
    return Response.json({ code: 'invalid_token', detail: 'No.' }, { status: 401 })
  }
  const desk = createDesk({ places, clock: systemClock, fetch })
  expect(await desk.answer({ kind: 'whoami' })).toMatchObject({ code: 'invalid_token' })
  expect(seen).toEqual([`${url} Bearer maya`])
})
