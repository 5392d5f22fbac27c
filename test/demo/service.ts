import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { execute, type Outcome } from '../tools.ts'
import type { Place } from './place.ts'

/** The real service, as a process of its own. */
export interface Service {
  readonly url: string
  /** Resolves when it ends, whoever ended it. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Nothing of the caller's POSTERN_* or NODE_OPTIONS may change what the demo shows. */
const environment = {
  PATH: process.env['PATH'],
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
}

/** Runs one of postern's commands on the demo's configuration. */
export const runPostern = (place: Place, args: readonly string[]): Promise<Outcome> =>
  execute(process.execPath, [main, ...args, '--config', place.path('postern.yaml')], {
    cwd: place.root,
    env: environment,
  })

/** The command as one would type it in the checkout. */
export const showPostern = (place: Place, args: readonly string[]): string =>
  `npm run -s postern -- ${args.join(' ')} --config ${place.shown}/postern.yaml`

const firstPort = 8422

/** Starts the service on the first free port from 8422, and resolves when it answers. */
export const startService = async (
  place: Place,
  formatConfig: (port: number) => string,
): Promise<Service> => {
  for (let port = firstPort; port < firstPort + 100; port++) {
    if (!(await isFree(port))) continue
    writeFileSync(place.path('postern.yaml'), formatConfig(port), { mode: 0o600 })
    const service = await startOn(place)
    if (service !== undefined) return service
    // Somebody may have been quicker; any other reason would be the same on every port.
    if (await isFree(port)) break
  }
  throw new Error(`the service did not start: ${readFileSync(place.path('service.log'), 'utf8')}`)
}

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch {
    return false
  }
}

const startOn = async (place: Place): Promise<Service | undefined> => {
  const log = openSync(place.path('service.log'), 'w', 0o600)
  const args = [main, 'serve', '--config', place.path('postern.yaml')]
  // A group of its own: Ctrl-C reaches the demo, which then ends everything in its order.
  const child = spawn(process.execPath, args, {
    cwd: place.root,
    env: environment,
    stdio: ['ignore', 'pipe', log],
    detached: true,
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const ready = new Promise<string>((resolve) => {
    let written = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      written += bytes.toString()
      const url = /ready on (\S+)\n/.exec(written)?.[1]
      if (url !== undefined) resolve(url)
    })
  })
  const url = await Promise.race([ready, ended])
  if (url === undefined) return undefined
  return Object.freeze({
    url,
    ended,
    stop: async () => {
      child.kill()
      await ended
    },
  })
}
