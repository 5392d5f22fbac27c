import { randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import { type Context, Hono } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { html } from 'hono/html'
import { streamText } from 'hono/streaming'
import { createClient, PosternError } from '../../src/client/index.ts'

/** What the backend is told when it starts. None of it opens a host. */
export interface BackendOptions {
  /** Where browsers reach it. */
  readonly url: string
  readonly posternUrl: string
  readonly github: {
    readonly webUrl: string
    readonly apiUrl: string
    readonly clientId: string
    readonly clientSecret: string
  }
  /** The hosts that runners are put on, and the login for it. */
  readonly pool: readonly string[]
  readonly login: string
  readonly database: string
  /** A token of the backend itself, as its platform hands it out: for what nobody is there to do. */
  readonly serviceToken: () => Promise<string>
}

/** Somebody who is logged in, for as long as their web session lasts: here, and nowhere else. */
interface WebSession {
  readonly person: string
  /** Their GitHub token. */
  readonly token: string
}

const sessionCookie = '__Host-session'
const stateCookie = '__Host-state'
const cookie = { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' } as const

/**
 * A web application that sets up machines on behalf of whoever is logged in. It holds a person's token while
 * they are logged in, in memory, and no key, password or certificate at all.
 */
export const createBackend = (options: BackendOptions) => {
  const { url, github, pool, login } = options
  const postern = createClient({ url: options.posternUrl })
  const sessions = new Map<string, WebSession>()
  const database = new Database(options.database)
  database.exec(
    'CREATE TABLE IF NOT EXISTS runners (host TEXT PRIMARY KEY, name TEXT, person TEXT, state TEXT)',
  )
  const save = (host: string, name: string, person: string, state: string) =>
    database
      .prepare('INSERT OR REPLACE INTO runners VALUES (?, ?, ?, ?)')
      .run(host, name, person, state)

  const app = new Hono()
  // A browser says of itself where a request comes from; another site's pages may not order anything.
  app.use(async (c, next) => {
    const site = c.req.header('sec-fetch-site')
    if (c.req.method !== 'GET' && site !== 'same-origin') return c.text('not from this site\n', 403)
    return next()
  })
  const findSession = (c: Context) => sessions.get(getCookie(c, sessionCookie) ?? '')

  app.get('/', (c) => {
    const session = findSession(c)
    return c.html(html`<!doctype html><title>Runners</title>
${session === undefined ? html`<a href="/login">Log in with GitHub</a>` : html`<p>${session.person}</p>`}
<ul>${pool.map((host) => html`<li>${host}</li>`)}</ul>`)
  })

  app.get('/login', (c) => {
    const state = randomBytes(16).toString('base64url')
    setCookie(c, stateCookie, state, cookie)
    const query = new URLSearchParams({
      client_id: github.clientId,
      redirect_uri: `${url}/callback`,
      scope: 'read:org',
      state,
    })
    return c.redirect(`${github.webUrl}/login/oauth/authorize?${query}`)
  })

  app.get('/callback', async (c) => {
    const { code = '', state = '' } = c.req.query()
    if (state === '' || state !== getCookie(c, stateCookie)) return c.text('start again\n', 400)
    deleteCookie(c, stateCookie, cookie)
    const { clientId: client_id, clientSecret: client_secret } = github
    const answer = (await send(`${github.webUrl}/login/oauth/access_token`, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ client_id, client_secret, code, redirect_uri: `${url}/callback` }),
    })) as { readonly access_token?: string }
    const token = answer.access_token
    if (token === undefined) return c.text('GitHub did not log you in\n', 403)
    const headers = { authorization: `Bearer ${token}` }
    const user = (await send(`${github.apiUrl}/user`, { headers })) as { readonly login: string }
    const id = randomBytes(32).toString('base64url')
    sessions.set(id, { person: user.login, token })
    setCookie(c, sessionCookie, id, cookie)
    return c.redirect('/')
  })

  app.post('/logout', (c) => {
    sessions.delete(getCookie(c, sessionCookie) ?? '')
    deleteCookie(c, sessionCookie, cookie)
    return c.body(null, 204)
  })

  app.post('/runners/:host/provision', async (c) => {
    const session = findSession(c)
    const host = c.req.param('host')
    if (session === undefined) return c.text('log in first\n', 401)
    if (!pool.includes(host)) return c.text('no such runner\n', 404)
    const name = `runner-of-${session.person}`
    try {
      const { token } = session
      const ssh = await postern.connect({
        token,
        host,
        login,
        command: 'setup',
        reason: 'new runner',
      })
      save(host, name, session.person, 'installing')
      return streamText(c, async (browser) => {
        const onStdout = (bytes: Uint8Array) => browser.write(bytes).then(() => {})
        const { code } = await ssh.exec(undefined, { stdin: name, onStdout })
        await ssh.close()
        save(host, name, session.person, code === 0 ? 'running' : 'failed')
        await browser.writeln(code === 0 ? 'done' : `failed with ${code}`)
      })
    } catch (error) {
      if (!(error instanceof PosternError)) throw error
      return c.json({ code: error.code, message: error.message, hint: error.hint }, 403)
    }
  })

  app.post('/runners/:host/teardown', async (c) => {
    const session = findSession(c)
    if (session === undefined) return c.text('log in first\n', 401)
    const code = await tearDown(c.req.param('host'), session.token)
    return c.text(`torn down with ${code}\n`)
  })

  const tearDown = async (host: string, token: string): Promise<number | null> => {
    const found = database.prepare('SELECT name FROM runners WHERE host = ?').get(host)
    if (found === undefined) throw new Error('there is no runner')
    const { name } = found as { readonly name: string }
    const ssh = await postern.connect({ token, host, login, command: 'teardown' })
    try {
      const { code } = await ssh.exec(undefined, { stdin: name })
      if (code === 0) database.prepare('DELETE FROM runners WHERE host = ?').run(host)
      return code
    } finally {
      await ssh.close()
    }
  }

  return {
    fetch: app.fetch,
    /** Takes down what people have left behind who are no longer logged in. */
    async reap(): Promise<void> {
      const present = new Set([...sessions.values()].map(({ person }) => person))
      const rows = database.prepare('SELECT host, person FROM runners').all()
      for (const { host, person } of rows as { host: string; person: string }[]) {
        if (!present.has(person)) await tearDown(host, await options.serviceToken())
      }
    },
  }
}

const send = async (url: string, init: RequestInit): Promise<unknown> => {
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}`)
  return response.json()
}
