import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPlaces } from '../../src/desk/places.ts'
import { type Session, saveSession } from '../../src/desk/session.ts'
import { findPort } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'
import { createSite, startService } from './service.ts'

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** What ssh is kept waiting by `postern ready`, by what is the case. */
export interface DeskFigures {
  readonly name: string
  readonly p50Millis: number
  readonly worstMillis: number
}

/** `postern ready` as ssh runs it: a process each time, its wall time from start to end. */
export const measureDesk = async (rounds: number): Promise<readonly DeskFigures[]> => {
  const site = await createSite()
  const port = await findPort()
  const config = join(site.dir, 'postern.yaml')
  const place = `listen: 127.0.0.1:${port}\npublicUrl: http://127.0.0.1:${port}`
  writeFileSync(config, readFileSync(config, 'utf8').replace('listen: 127.0.0.1:0', place))
  const service = await startService(site)
  const home = mkdtempSync(join(tmpdir(), 'postern-desk-'))
  const env = { HOME: home, XDG_STATE_HOME: home, PATH: process.env['PATH'] }
  const logIn = (url: string) => {
    const [bearer = ''] = site.mintTokens(1)
    const grantor = { kind: 'oidc', issuer: 'bench', clientId: 'bench' } as const
    const session: Session = { url, credential: { kind: 'login', bearer, grantor } }
    saveSession(findPlaces(env), session)
  }
  // Not waited for synchronously: the issuer, whose keys the service fetches, is in this process.
  const run = async (host: string, flags: readonly string[], exit: number): Promise<number> => {
    const started = performance.now()
    const args = [main, 'ready', ...flags, '--', host, 'deploy']
    const { code, stderr } = await execute(process.execPath, args, { env, isClean: true })
    if (code !== exit) throw new Error(`postern ready ${host} ended with ${code}: ${stderr}`)
    return performance.now() - started
  }
  const measure = async (
    name: string,
    once: (at: number) => Promise<number>,
    count = rounds,
  ): Promise<DeskFigures> => {
    const times: number[] = []
    for (let at = 0; at < count; at++) times.push(await once(at))
    times.sort((a, b) => a - b)
    return { name, p50Millis: times[count >> 1] ?? 0, worstMillis: times.at(-1) ?? 0 }
  }
  const logOut = () => execFileSync(process.execPath, [main, 'logout'], { env, stdio: 'ignore' })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= service.stop()
    return stopped
  }
  try {
    logIn(service.url)
    const cold = await measure(
      'no agent runs yet',
      () => run('web-1.example.com', ['--ours'], 0),
      1,
    )
    const figures = [
      cold,
      await measure('warm', () => run('web-1.example.com', ['--ours'], 0)),
      await measure('a certificate is gotten', (at) =>
        run(`web-${at + 2}.example.com`, ['--ours'], 0),
      ),
      await measure('a host of others', () => run('elsewhere.example.net', [], 1)),
    ]
    logOut()
    await stop()
    logIn(service.url)
    await run('elsewhere.example.net', [], 1)
    return [
      ...figures,
      await measure('the service is down', (at) => run(`web-${at}.example.com`, ['--ours'], 1)),
    ]
  } finally {
    logOut()
    await stop()
    rmSync(home, { recursive: true })
    site.remove()
  }
}
