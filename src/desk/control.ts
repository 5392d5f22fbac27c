import { spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { AppError, type Code, codes } from '../errors.ts'
import { type Lock, takeLock } from './lock.ts'
import { checkPrivate, openDirectory, type Places } from './places.ts'
import type { Session } from './session.ts'

/** What our own commands ask of the agent, one line of JSON each. */
export type AgentRequest =
  | {
      readonly kind: 'ready'
      readonly host: string
      readonly login: string
      /** What ssh was told to call the host: the certificate's file is named by it. */
      readonly name: string
      /** The host is Postern's, whether or not the service lists it. */
      readonly ours: boolean
      /** Why, for the log and for rules that want a reason. */
      readonly reason?: string
    }
  | { readonly kind: 'whoami' }
  /** The certificates in force. */
  | { readonly kind: 'list' }
  /** A login that is kept in memory alone. */
  | { readonly kind: 'login'; readonly session: Session }
  /** The login on disk is another one now. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'stop' }

/** What it answers: `ok`, and what was asked for, or why not. */
export interface AgentAnswer {
  readonly ok: boolean
  /** The host is none of Postern's. */
  readonly foreign?: boolean
  readonly code?: string
  readonly message?: string
  readonly hint?: string
  readonly [member: string]: unknown
}

/**
 * One request to the agent; undefined where none runs. Codes: `unsafe_place`, and `not_running` where
 * it does not answer in time.
 */
export const askAgent = (
  { dir, controlSocket }: Places,
  request: AgentRequest,
  timeoutMs: number,
): Promise<AgentAnswer | undefined> => {
  checkPrivate(dir, 'directory')
  checkPrivate(controlSocket, 'socket')
  return new Promise((resolve, reject) => {
    const connection = createConnection(controlSocket)
    let text = ''
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      connection.destroy()
      settle()
    }
    const fail = (cause?: Error) =>
      finish(() =>
        reject(
          // It may only be waiting for a service or a provider that is slow: a login is not to be given up for that.
          new AppError('not_running', 'The agent of postern does not answer in time.', {
            hint: 'try again in a moment; if it stays so, end it and log in anew: postern logout',
            cause,
          }),
        ),
      )
    const timer = setTimeout(fail, timeoutMs)
    connection.once('error', (error: NodeJS.ErrnoException) => {
      const isAbsent = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
      if (isAbsent) finish(() => resolve(undefined))
      else fail(error)
    })
    connection.once('close', () => fail())
    connection.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (!text.endsWith('\n')) return
      finish(() => resolve(JSON.parse(text) as AgentAnswer))
    })
    connection.write(`${JSON.stringify(request)}\n`)
  })
}

/** The same, with an agent started where none runs. Codes: `unsafe_place`, `not_running`. */
export const askStartedAgent = async (
  places: Places,
  request: AgentRequest,
  timeoutMs: number,
): Promise<AgentAnswer> => {
  const answer = await askAgent(places, request, timeoutMs)
  if (answer !== undefined) return answer
  openDirectory(places.dir)
  // One starts it, of however many ask at once; where that one is killed, the next.
  let lock: Lock | undefined
  try {
    // It opens its sockets within a fraction of a second.
    for (let tries = 0; tries < 150; tries++) {
      if (lock === undefined) {
        lock = takeLock(join(places.dir, 'start.lock'))
        if (lock !== undefined) startAgent()
      }
      await wait(20)
      const late = await askAgent(places, request, timeoutMs)
      if (late !== undefined) return late
    }
  } finally {
    lock?.release()
  }
  throw new AppError('not_running', 'The agent of postern does not start.', {
    hint: 'see what it says: postern agent',
  })
}

/** Starts the agent as a process of its own, which outlives this one. Where one runs, it ends itself. */
const startAgent = (): void => {
  const main = process.argv[1]
  if (main === undefined) throw new TypeError('the process has no program of its own')
  spawn(process.execPath, [main, 'agent'], {
    cwd: '/',
    stdio: 'ignore',
    detached: true,
  }).unref()
}

/** An answer that is a refusal, as the error it stands for. */
export const toError = ({ code = '', message, hint }: AgentAnswer): AppError =>
  new AppError(
    Object.hasOwn(codes, code) ? (code as Code) : 'internal',
    message ?? 'The agent of postern refused.',
    hint === undefined ? {} : { hint },
  )
