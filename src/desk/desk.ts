import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createClient } from '../client/index.ts'
import { AppError } from '../errors.ts'
import { type Clock, toSeconds } from '../lib/clock.ts'
import type { Fetch } from '../lib/fetch.ts'
import { findBearer, findEnd } from './bearer.ts'
import type { AgentAnswer, AgentRequest } from './control.ts'
import { listKnownNames } from './hosts.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { isPlainName, readHost, readLogin } from './names.ts'
import { type Places, replaceFile } from './places.ts'
import { createService, hintFor } from './service.ts'
import { findSession, type Session, saveSession } from './session.ts'

/** What the agent does for our own commands, apart from any socket. */
export interface Desk {
  answer(request: AgentRequest): Promise<AgentAnswer>
  readonly keeper: Keeper
  /** Whether there is a login, or a certificate in force: without either there is nothing to keep. */
  isNeeded(): boolean
  /** Whether its login would end with it. */
  isInMemory(): boolean
}

/** How long ssh may be kept waiting for the service. */
const askTimeoutMs = 1_000
/** How long the service's list of hosts stands. */
const listSeconds = 300

/** Opens the desk over the login on disk, if any; one that is handed over in memory goes before it. */
export const createDesk = (deps: {
  readonly places: Places
  readonly clock: Clock
  readonly fetch: Fetch
  readonly timeoutMs?: number
}): Desk => {
  const { places, clock, fetch, timeoutMs = askTimeoutMs } = deps
  let inMemory: Session | undefined
  let names: { readonly known: ReadonlySet<string>; readonly until: number } | undefined
  let renewing: { readonly login: string; readonly bearer: Promise<string> } | undefined
  /** How often everything was forgotten: what was asked for before is not kept. */
  let forgotten = 0
  const now = () => toSeconds(clock())

  const findLogin = (): Session | undefined => inMemory ?? findSession(places)

  const renewBearer = async (session: Session, isRefused: boolean): Promise<string> => {
    const { bearer, renewed } = await findBearer({ session, clock, fetch, isRefused })
    if (renewed !== undefined) {
      const next = { ...session, credential: renewed }
      // Whoever has logged out, or in as somebody else meanwhile, does not get this login back.
      const isCurrent = JSON.stringify(findLogin()) === JSON.stringify(session)
      if (isCurrent && inMemory === undefined) saveSession(places, next)
      else if (isCurrent) inMemory = next
    }
    return bearer
  }
  /** A refresh token is used once, so those who need it at the same time share what it gives. */
  const currentBearer = (session: Session, isRefused = false): Promise<string> => {
    const login = JSON.stringify(session)
    if (renewing?.login === login) return renewing.bearer
    const bearer = renewBearer(session, isRefused).finally(() => {
      if (renewing?.bearer === bearer) renewing = undefined
    })
    renewing = { login, bearer }
    return bearer
  }

  /** With a token that the service takes: a refused one is renewed once. */
  const withBearer = async <T>(
    work: (send: ReturnType<typeof createService>, bearer: string, session: Session) => Promise<T>,
  ): Promise<T> => {
    const session = findLogin()
    if (session === undefined) {
      throw new AppError('not_logged_in', 'You are not logged in.', { hint: 'postern login' })
    }
    const service = createService(session.url, fetch)
    const bearer = await currentBearer(session)
    try {
      return await work(service, bearer, session)
    } catch (error) {
      const isRefused = error instanceof AppError && error.code === 'invalid_token'
      const { credential } = session
      const isRenewable = credential.kind === 'login' && credential.refreshToken !== undefined
      const current = findLogin()
      // A token goes to the service it was given for, and to no other.
      if (!isRefused || !isRenewable || current?.url !== session.url) throw error
      return work(service, await currentBearer(current, true), session)
    }
  }
  const keeper = createKeeper({
    places,
    clock,
    issue: (ask) =>
      withBearer(async (_service, bearer, { url }) => {
        const client = createClient({ url, fetch, clock })
        try {
          return await client.issue({
            token: bearer,
            timeout: timeoutMs,
            // What the rule grants is the policy’s business; nobody is here to say it in advance.
            principals: 'rule',
            ...ask,
          })
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== 'timeout') throw error
          throw new AppError('not_running', `No service answers at ${url}.`, {
            hint: 'check the network; a key of your own still works: ssh -i KEY',
            cause: error,
          })
        }
      }),
  })

  /** The hosts that the service lists; those it listed last where it does not answer. */
  const listNames = async (): Promise<ReadonlySet<string>> => {
    if (names !== undefined && names.until > now()) return names.known
    let text = existsSync(places.knownHosts) ? readFileSync(places.knownHosts, 'utf8') : ''
    const before = forgotten
    try {
      text = await withBearer((service, bearer) =>
        service.read({ path: '/v1/hosts/known_hosts', bearer, timeoutMs }),
      )
      if (forgotten === before) replaceFile(places.knownHosts, text)
    } catch (error) {
      // A service without a list of hosts knows none.
      if (!(error instanceof AppError) || error.code === 'invalid_token') throw error
    }
    const known = listKnownNames(text)
    if (forgotten === before) names = { known, until: now() + listSeconds }
    return known
  }

  const ready = async (request: Extract<AgentRequest, { kind: 'ready' }>): Promise<AgentAnswer> => {
    const host = readHost(request.host)
    const login = readLogin(request.login)
    const { name, ours, reason } = request
    if (!isPlainName(name)) readHost(name)
    if (!ours && !(await listNames()).has(host)) return { ok: false, foreign: true }
    const wanted = { host, login, name, ...(reason === undefined ? {} : { reason }) }
    return { ok: true, ...(await keeper.hold(wanted)) }
  }

  const whoami = (): Promise<AgentAnswer> =>
    withBearer(async (service, bearer, session) => {
      const ask = (path: string) => service.send({ path, bearer, timeoutMs: 10_000 })
      const identity = await ask('/v1/whoami')
      const [reach, known] = await Promise.all([
        ask('/v1/whoami/rules').then(({ rules }) => ({ rules }), toReachProblem),
        listNames().catch(() => new Set<string>()),
      ])
      const end = findEnd(session)
      return {
        ok: true,
        url: session.url,
        identity,
        ...(end === undefined ? {} : { expiresAt: new Date(end * 1000).toISOString() }),
        inMemory: inMemory !== undefined,
        hosts: [...known].toSorted(),
        ...reach,
        certificates: keeper.list(),
      }
    })

  /** Whether there is a login that has not ended: one that cannot be used is none. */
  const hasLogin = (): boolean => {
    try {
      const session = findLogin()
      return session !== undefined && (findEnd(session) ?? Number.POSITIVE_INFINITY) > now()
    } catch (error) {
      if (error instanceof AppError) return false
      throw error
    }
  }

  const forget = (): AgentAnswer => {
    forgotten++
    keeper.clear()
    names = undefined
    rmSync(places.knownHosts, { force: true })
    return { ok: true }
  }

  return Object.freeze({
    keeper,
    async answer(request: AgentRequest): Promise<AgentAnswer> {
      try {
        switch (request.kind) {
          case 'ready':
            return await ready(request)
          case 'whoami':
            return await whoami()
          case 'list':
            return { ok: true, certificates: keeper.list() }
          case 'login':
            inMemory = request.session
            return forget()
          case 'forget':
            inMemory = undefined
            return forget()
          default:
            return { ok: false, code: 'usage', message: 'The agent knows no such request.' }
        }
      } catch (error) {
        if (!(error instanceof AppError)) {
          return { ok: false, code: 'internal', message: 'The agent has failed.' }
        }
        const { code, message } = error
        const hint = hintFor(code) ?? error.hint
        return { ok: false, code, message, ...(hint === undefined ? {} : { hint }) }
      }
    },
    isNeeded: () => hasLogin() || keeper.list().length > 0,
    isInMemory: () => inMemory !== undefined,
  })
}

/** Who somebody is stands also where it cannot be found out what they may reach. */
const toReachProblem = (error: unknown): { readonly rulesProblem: string } => {
  if (error instanceof AppError) return { rulesProblem: error.message }
  throw error
}
