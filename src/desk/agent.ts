import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Fetch } from '../lib/fetch.ts'
import { createAgentServer } from '../ssh/agent-server.ts'
import type { AgentRequest } from './control.ts'
import { createDesk } from './desk.ts'
import { takeLock } from './lock.ts'
import { openDirectory, type Places } from './places.ts'

/** A running agent. */
export interface Agent {
  /** Resolves once it has ended: stopped, idle, or with nothing left to keep. */
  readonly ended: Promise<void>
  stop(): void
}

/** How often it looks whether anything still needs it. */
const watchMs = 15_000
/** Without a request for so long it ends; a login in memory alone is lost with it, so it stays longer. */
const idleMs = { onDisk: 3_600_000, inMemory: 12 * 3_600_000 }
const maxRequest = 64 * 1024

/**
 * Opens the agent on its two sockets, 0600 in a directory 0700; undefined where one runs already.
 * Keys and certificates are in its memory alone. Code: `unsafe_place`.
 */
export const openAgent = async (deps: {
  readonly places: Places
  readonly clock: Clock
  readonly monotonic: () => number
  readonly fetch: Fetch
}): Promise<Agent | undefined> => {
  const { places, monotonic } = deps
  // What is made from here on is for nobody else.
  process.umask(0o077)
  openDirectory(places.dir)
  const lock = takeLock(join(places.dir, 'agent.lock'))
  if (lock === undefined) return undefined
  // Of one that was killed: their certificates' keys are gone.
  rmSync(places.certificates, { recursive: true, force: true })

  const desk = createDesk(deps)
  let usedAt = monotonic()
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const stop = () => {
    clearInterval(timer)
    desk.keeper.clear()
    for (const server of servers) server.close()
    for (const path of [places.agentSocket, places.controlSocket]) rmSync(path, { force: true })
    lock.release()
    resolve()
  }
  const agent = createAgentServer(() => desk.keeper.listKeys())
  const control = createServer((connection) =>
    serveRequest(connection, async (request) => {
      usedAt = monotonic()
      if (request.kind !== 'stop') return desk.answer(request)
      setImmediate(stop)
      return { ok: true }
    }),
  )
  const servers = [agent, control]
  const timer = setInterval(() => {
    const idle = monotonic() - usedAt
    if (!desk.isNeeded() || idle > (desk.isInMemory() ? idleMs.inMemory : idleMs.onDisk)) stop()
  }, watchMs)
  await listen(agent, places.agentSocket)
  // Last: whoever reaches it may rely on the other.
  await listen(control, places.controlSocket)
  return Object.freeze({ ended, stop })
}

const listen = (server: Server, path: string): Promise<void> => {
  rmSync(path, { force: true })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      chmodSync(path, 0o600)
      resolve()
    })
  })
}

const serveRequest = (
  connection: Socket,
  answer: (request: AgentRequest) => Promise<unknown>,
): void => {
  let text = ''
  connection.on('error', () => connection.destroy())
  connection.setEncoding('utf8').on('data', async (part: string) => {
    text += part
    if (text.length > maxRequest) connection.destroy()
    if (connection.destroyed || !text.endsWith('\n')) return
    const request = parseRequest(text)
    text = ''
    const answered = request === undefined ? { ok: false, code: 'usage' } : await answer(request)
    connection.end(`${JSON.stringify(answered)}\n`)
  })
}

const parseRequest = (text: string): AgentRequest | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as AgentRequest) : undefined
  } catch {
    return undefined
  }
}
