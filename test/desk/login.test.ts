import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/index.ts'
import { openAgent } from '../../src/desk/agent.ts'
import { askAgent } from '../../src/desk/control.ts'
import { openDirectory } from '../../src/desk/places.ts'
import { findSession, saveSession } from '../../src/desk/session.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { systemFetch } from '../../src/lib/fetch.ts'
import { createTestConfig, startTestApp, type TestApp } from '../app.ts'
import { type CertifiedProvider, startCertifiedProvider } from '../fakes/certified.ts'
import { type Github, startGithub } from '../fakes/github.ts'
import { createHome, type Home } from './desk.ts'

let provider: CertifiedProvider
let github: Github
let service: TestApp
let url: string
const homes: Home[] = []
const makeHome = () => {
  const home = createHome()
  homes.push(home)
  return home
}

beforeAll(async () => {
  provider = await startCertifiedProvider()
  github = await startGithub()
  const scratch = makeHome()
  writeFileSync(join(scratch.dir, 'github-secret'), 'app-secret', { mode: 0o600 })
  const [plain] = createTestConfig(scratch.dir, provider.issuer).identity.oidc
  if (plain === undefined) throw new TypeError('the test configuration has an issuer')
  const { clientId, issuer } = provider
  service = await startTestApp({
    config: {
      identity: {
        oidc: [
          {
            ...plain,
            issuer,
            audience: [clientId],
            login: {
              clientId,
              flows: ['browser', 'device'],
              scopes: ['openid', 'profile', 'offline_access'],
            },
          },
        ],
        github: [
          {
            clientId: 'Ov23liPostern',
            clientSecretFile: join(scratch.dir, 'github-secret'),
            apiUrl: github.apiUrl,
            type: 'oauth-app',
          },
        ],
      },
    },
  })
  ;({ url } = await service.app.listen())
})
afterAll(async () => {
  for (const home of homes) await home.close()
  await service?.close()
  await provider?.close()
  await github?.close()
})

/** A command line on a terminal, whose words can be waited for. */
const start = (home: Home, argv: readonly string[], isTTY = true) => {
  let said = ''
  const waiting: (() => void)[] = []
  const stderr = {
    isTTY,
    write: (text: string) => {
      said += text
      for (const wake of waiting.splice(0)) wake()
    },
  }
  const stdout = { write: () => {} }
  const ended = run(argv, { stdout, stderr, env: { ...home.env, NO_COLOR: '1' }, cwd: home.dir })
  const find = async (pattern: RegExp): Promise<string> => {
    const found = pattern.exec(said)?.[1]
    if (found !== undefined) return found
    const woken = new Promise<boolean>((resolve) => waiting.push(() => resolve(true)))
    const goesOn = await Promise.race([woken, ended.then(() => false)])
    if (!goesOn && !pattern.test(said)) throw new Error(`ended without ${pattern}: ${said}`)
    return find(pattern)
  }
  return { ended, find, said: () => said }
}

const findPage = /Open this page: (\S+)/
const oidc = () => ['login', '--url', url, '--issuer', provider.issuer]

describe('postern login', () => {
  test('by the browser: code and PKCE on a loopback port, kept 0600 in a directory 0700', async () => {
    const home = makeHome()
    openDirectory(home.places.dir)
    // Of a login with another service, whose agent has ended.
    writeFileSync(home.places.knownHosts, 'web-1.example.com ssh-ed25519 AAAA\n')
    const login = start(home, oidc())
    const page = new URL(await login.find(findPage))
    expect(Object.fromEntries(page.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
    })
    const { text } = await provider.browse(page.href)
    expect(text).toContain('You may close this page.')
    expect(await login.ended).toBe(0)
    expect(login.said()).toContain(`note: logged in as maya with ${url}\n`)
    const modes = [home.places.session, home.places.dir].map((path) => statSync(path).mode & 0o777)
    expect(modes).toEqual([0o600, 0o700])
    expect(existsSync(home.places.knownHosts)).toBe(false)
    expect(findSession(home.places)?.credential).toMatchObject({
      kind: 'login',
      refreshToken: expect.any(String),
      expiresAt: expect.any(Number),
    })
  })

  test('an answer with another state, or of another issuer, logs nobody in (ATTACKS 92)', async () => {
    const home = makeHome()
    const login = start(home, oidc())
    const page = new URL(await login.find(findPage))
    const redirect = new URL(page.searchParams.get('redirect_uri') ?? '')
    redirect.search = new URLSearchParams({ code: 'x', state: 'another' }).toString()
    const refused = await fetch(redirect)
    expect(refused.status).toBe(400)
    expect(await refused.text()).toContain('This is no answer to a login here.')
    redirect.search = new URLSearchParams({
      code: 'x',
      state: page.searchParams.get('state') ?? '',
      iss: 'https://other.example.com',
    }).toString()
    await fetch(redirect)
    expect(await login.ended).toBe(1)
    expect(login.said()).toContain(
      'error: The identity provider did not let you log in.\nhint: try again: postern login\n',
    )
    expect(existsSync(home.places.session)).toBe(false)
  })

  test('by a device code of the OIDC provider', async () => {
    const home = makeHome()
    const login = start(home, [...oidc(), '--flow', 'device'])
    const code = await login.find(/Type the code (\S+) at /)
    await provider.approve(await login.find(/Type the code \S+ at (\S+)/), code)
    expect(await login.ended).toBe(0)
    expect(login.said()).toContain('note: logged in as maya')
  })

  test('by a device code of GitHub', async () => {
    const home = makeHome()
    const login = start(home, ['login', '--url', url, '--issuer', github.webUrl])
    github.approveDevice(await login.find(/Type the code (\S+) at /), 'maya')
    expect(await login.ended).toBe(0)
    expect(login.said()).toContain('note: logged in as maya')
    expect(findSession(home.places)?.credential).toMatchObject({
      kind: 'login',
      bearer: expect.stringMatching(/^gho_/),
    })
  })

  test('waits for nobody twice: a second one is told of the first', async () => {
    const home = makeHome()
    const first = start(home, oidc())
    const page = await first.find(findPage)
    const others = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const login = start(home, oidc())
        return { code: await login.ended, said: login.said() }
      }),
    )
    for (const other of others) {
      expect(other).toEqual({
        code: 1,
        said: 'error: Another login is under way.\nhint: finish it, or end it with Ctrl-C where it runs\n',
      })
    }
    await provider.browse(page)
    expect(await first.ended).toBe(0)
  })

  test('asks nobody without a terminal', async () => {
    const login = start(makeHome(), oidc(), false)
    expect(await login.ended).toBe(1)
    expect(login.said()).toBe(
      'error: A login needs a terminal, and there is none.\nhint: in CI give the job an ID token: permissions: { id-token: write }, or id_tokens: { POSTERN_ID_TOKEN: { aud: … } }\n',
    )
  })

  test('names the ways there are where it is not said which', async () => {
    const login = start(makeHome(), ['login', '--url', url])
    expect(await login.ended).toBe(2)
    expect(login.said()).toBe(
      `error: There are several ways to log in: name one.\nhint: postern login --issuer ${provider.issuer}; postern login --issuer ${github.webUrl}\n`,
    )
  })
})

describe('a login', () => {
  const open = (home: Home) =>
    openAgent({
      places: home.places,
      clock: systemClock,
      monotonic: () => performance.now(),
      fetch: systemFetch,
    })

  test('that is kept in memory is on no disk, and gone with the agent', async () => {
    const home = makeHome()
    const agent = await open(home)
    const login = start(home, [...oidc(), '--memory'])
    await provider.browse(await login.find(findPage))
    expect(await login.ended).toBe(0)
    expect(existsSync(home.places.session)).toBe(false)
    const known = await askAgent(home.places, { kind: 'whoami' }, 5_000)
    expect(known).toMatchObject({ ok: true, inMemory: true, identity: { name: 'maya' } })
    agent?.stop()
    const whoami = start(home, ['whoami'])
    expect(await whoami.ended).toBe(1)
    expect(whoami.said()).toBe('error: You are not logged in.\nhint: postern login\n')
  })

  test('is renewed where the provider gives a refresh token, and used once by many at once', async () => {
    const home = makeHome()
    const login = start(home, oidc())
    await provider.browse(await login.find(findPage))
    expect(await login.ended).toBe(0)
    const session = findSession(home.places)
    if (session?.credential.kind !== 'login') throw new TypeError('a login')
    saveSession(home.places, { ...session, credential: { ...session.credential, expiresAt: 1 } })
    const before = provider.requests['/token'] ?? 0
    const agent = await open(home)
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => askAgent(home.places, { kind: 'whoami' }, 10_000)),
    )
    expect(answers.map((answer) => answer?.ok)).toEqual(answers.map(() => true))
    expect(provider.requests['/token']).toBe(before + 1)
    const renewed = readFileSync(home.places.session, 'utf8')
    expect(renewed).not.toContain(session.credential.bearer)
    agent?.stop()
  })

  test('ends with logout, file and all', async () => {
    const home = makeHome()
    const login = start(home, oidc())
    await provider.browse(await login.find(findPage))
    await login.ended
    writeFileSync(home.places.knownHosts, 'web-1.example.com ssh-ed25519 AAAA\n')
    const logout = start(home, ['logout'])
    expect({ code: await logout.ended, said: logout.said() }).toEqual({
      code: 0,
      said: 'note: logged out\n',
    })
    expect(existsSync(home.places.session)).toBe(false)
    expect(existsSync(home.places.knownHosts)).toBe(false)
    const again = start(home, ['logout'])
    await again.ended
    expect(again.said()).toBe('note: nobody was logged in\n')
  })
})
