import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseServiceUrl } from '../../client/api.ts'
import { findBearer } from '../../desk/bearer.ts'
import { askAgent, askStartedAgent, toError } from '../../desk/control.ts'
import { takeLock } from '../../desk/lock.ts'
import {
  findJobCredential,
  listProviders,
  logIn,
  type Person,
  pickFlow,
} from '../../desk/login/index.ts'
import { type Env, findPlaces, openDirectory, type Places } from '../../desk/places.ts'
import { createService } from '../../desk/service.ts'
import { findSession, removeSession, type Session, saveSession } from '../../desk/session.ts'
import { AppError } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { systemFetch } from '../../lib/fetch.ts'
import type { Command, Context, Option } from '../command.ts'
import { withSpinner } from '../spinner.ts'

/** A person may have to find their telephone. */
const patienceMs = 300_000
const agentTimeoutMs = 10_000

export const serviceOption: Option = {
  flags: '--url <url>',
  summary: 'the service; $POSTERN_URL, or that of the last login, if left out',
  check: (text) =>
    parseServiceUrl(text) === undefined
      ? 'Write the origin of a service as https://postern.example.com.'
      : undefined,
}

export const login: Command = {
  name: 'login',
  summary: 'log in with an identity provider of the service, or as the CI job this runs in',
  options: [
    serviceOption,
    { flags: '--issuer <issuer>', summary: 'which provider, where there are several' },
    {
      flags: '--flow <flow>',
      summary: 'browser, or device: a code to type on another machine',
      check: (text) =>
        ['browser', 'device'].includes(text) ? undefined : 'Write browser or device.',
    },
    { flags: '--memory', summary: 'keep the login in the agent’s memory, and on no disk' },
  ],
  examples: [
    'postern login --url https://postern.example.com',
    'postern login --flow device --memory',
  ],
  async run(context, _argument, { url: given, issuer, flow, memory }) {
    const { output, env } = context
    const places = findPlaces(env)
    const url = findUrl(context, places, given)
    openDirectory(places.dir)
    const lock = takeLock(join(places.dir, 'login.lock'))
    if (lock === undefined) {
      throw new AppError('login_running', 'Another login is under way.', {
        hint: 'finish it, or end it with Ctrl-C where it runs',
      })
    }
    try {
      const job = output.isTerminal ? undefined : findJobCredential(env)
      const credential =
        job ??
        (await logInPerson(context, url, {
          issuer: typeof issuer === 'string' ? issuer : undefined,
          flow: typeof flow === 'string' ? flow : undefined,
        }))
      const session = { url, credential }
      const name = await withSpinner(output, 'the service looks at the login', () =>
        findName(session),
      )
      await keep(places, session, memory === true || job !== undefined)
      output.note(`logged in as ${name} with ${url}`)
      return 0
    } finally {
      lock.release()
    }
  },
}

/** The service that is meant: named, in the environment, or the last login's. Code: `usage`. */
export const findUrl = (
  { env }: Pick<Context, 'env'>,
  places: Places,
  given: string | true | undefined,
): string => {
  const text = typeof given === 'string' ? given : env['POSTERN_URL']
  const url = text === undefined ? findSession(places)?.url : parseServiceUrl(text)
  if (url !== undefined) return url
  throw new AppError('usage', 'Which service?', {
    hint: 'postern login --url https://postern.example.com',
  })
}

const logInPerson = async (
  { output, env }: Context,
  url: string,
  wanted: { readonly issuer: string | undefined; readonly flow: string | undefined },
) => {
  if (!output.isTerminal) {
    throw new AppError('no_terminal', 'A login needs a terminal, and there is none.', {
      hint: 'in CI give the job an ID token: permissions: { id-token: write }, or id_tokens: { POSTERN_ID_TOKEN: { aud: … } }',
    })
  }
  const providers = await withSpinner(output, 'asking the service', () =>
    listProviders(url, systemFetch),
  )
  const { provider, flow } = pickFlow(providers, wanted)
  const person: Person = { tell: output.note, open: (page) => openPage(page, env) }
  const signal = AbortSignal.timeout(patienceMs)
  return withSpinner(output, `waiting for you at ${provider.issuer}`, () =>
    logIn(flow, { provider, person, fetch: systemFetch, signal }),
  )
}

const browsers: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'open',
  linux: 'xdg-open',
}

/** Whether a program was found that shows pages. Only a page of the web is opened. */
const openPage = (page: string, env: Env): boolean => {
  const program = browsers[process.platform]
  const isPage = /^https?:$/.test(URL.parse(page)?.protocol ?? '')
  // Without a display a text browser might take the terminal.
  const hasDisplay =
    process.platform !== 'linux' || Boolean(env['DISPLAY'] ?? env['WAYLAND_DISPLAY'])
  if (program === undefined || !isPage || !hasDisplay) return false
  const child = spawn(program, [page], { stdio: 'ignore', detached: true, env: { ...env } })
  child.once('error', () => {})
  child.unref()
  return true
}

/** What the service takes the login for: it is kept only if the service takes it. */
const findName = async (session: Session): Promise<string> => {
  const { bearer } = await findBearer({ session, clock: systemClock, fetch: systemFetch })
  const service = createService(session.url, systemFetch)
  const { name } = await service.send({ path: '/v1/whoami', bearer, timeoutMs: 10_000 })
  return String(name)
}

/** On disk, or with the agent alone; a login there was before is gone either way. */
const keep = async (places: Places, session: Session, isInMemory: boolean): Promise<void> => {
  forgetService(places)
  if (!isInMemory) {
    saveSession(places, session)
    await askAgent(places, { kind: 'forget' }, agentTimeoutMs)
    return
  }
  removeSession(places)
  const answer = await askStartedAgent(places, { kind: 'login', session }, agentTimeoutMs)
  if (!answer.ok) throw toError(answer)
}

/** What the service of a login before has said: also where no agent runs that would forget it. */
const forgetService = ({ certificates, knownHosts }: Places): void => {
  for (const path of [certificates, knownHosts]) rmSync(path, { recursive: true, force: true })
}

export const logout: Command = {
  name: 'logout',
  summary: 'forget the login, and every key and certificate',
  examples: ['postern logout'],
  async run({ output, env }) {
    const places = findPlaces(env)
    const wasOnDisk = removeSession(places)
    const answer = await askAgent(places, { kind: 'stop' }, agentTimeoutMs)
    forgetService(places)
    output.note(wasOnDisk || answer !== undefined ? 'logged out' : 'nobody was logged in')
    return 0
  },
}
