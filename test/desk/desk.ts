import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Overrides } from '../../src/app.ts'
import { run as whole } from '../../src/cli/index.ts'
import { run as quick } from '../../src/cli/quick.ts'
import { askAgent } from '../../src/desk/control.ts'
import { findPlaces, openDirectory, type Places } from '../../src/desk/places.ts'
import { saveSession } from '../../src/desk/session.ts'
import { startTestApp, type TestApp } from '../app.ts'
import { ownLogin } from '../ssh/client.ts'
import { findPort, quotePath, type Sshd, startSshd } from '../ssh/sshd.ts'
import { execute, type Outcome } from '../tools.ts'

export const hostName = 'web-1.example.com'
export const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** A person's account: a home of their own, and the real binary in it. */
export interface Home {
  readonly dir: string
  readonly places: Places
  readonly env: Readonly<Record<string, string>>
  /** Runs postern with no terminal. */
  postern(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>
  /** Runs `ready` or `agent` in this process, as ssh would. */
  quick(args: readonly string[]): Promise<Outcome>
  /** Runs any command in this process: one that starts no agent. */
  here(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>
  /** Ends what was started in it, and removes it. */
  close(): Promise<void>
}

export const createHome = (): Home => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-home-'))
  mkdirSync(join(dir, '.ssh'), { mode: 0o700 })
  const env = { HOME: dir, XDG_STATE_HOME: join(dir, 'state'), PATH: process.env['PATH'] ?? '' }
  const postern: Home['postern'] = (args, more = {}) =>
    execute(process.execPath, [main, ...args], {
      cwd: dir,
      env: { ...env, ...more },
      isClean: true,
    })
  const places = findPlaces(env)
  return {
    dir,
    places,
    env,
    postern,
    quick: (args) => runHere(quick, args, env),
    here: (args, more = {}) => runHere(whole, args, { ...env, ...more }),
    async close() {
      await askAgent(places, { kind: 'stop' }, 5_000)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const runHere = async (
  runArgs: typeof quick,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> => {
  const written = { stdout: '', stderr: '' }
  const sink = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const io = { stdout: sink('stdout'), stderr: sink('stderr'), env, cwd: '/' }
  return { code: await runArgs(args, io), ...written }
}

/** Puts a token on disk as a login would have. */
export const logInAs = async (home: Home, service: TestApp, url: string, user = 'maya') => {
  openDirectory(home.places.dir)
  saveSession(home.places, {
    url,
    credential: {
      kind: 'login',
      bearer: await service.token(user),
      grantor: { kind: 'oidc', issuer: service.issuer.issuer, clientId: 'postern' },
    },
  })
}

const formatPlatform = (issuer: string): string => `rules:
  - name: platform
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [${JSON.stringify(ownLogin)}]
    extensions: [permit-pty]
    ttl: 5m
    maxTtl: 15m
`

/** A service on a port of its own, whose policy lets the platform team in as whoever runs the tests. */
export const startService = async (
  given: {
    readonly formatPolicy?: (issuer: string) => string
    readonly overrides?: Overrides
  } = {},
) => {
  const { formatPolicy = formatPlatform, overrides = {} } = given
  const port = await findPort()
  const service = await startTestApp({
    // What a proof is made for is the URL that is called.
    config: {
      listen: { kind: 'tcp', host: '127.0.0.1', port },
      publicUrl: `http://127.0.0.1:${port}`,
    },
    overrides,
    policies: (issuer) => ({ 'a.yaml': formatPolicy(issuer) }),
  })
  const { url } = await service.app.listen()
  const ca = (await (await fetch(`${url}/v1/ca/user.pub`)).text()).trim()
  return { service, url, ca }
}

/** A key of one's own opens it too, once its public half is in `breakGlass`. */
export const startHost = (dir: string, ca: string): Promise<Sshd> =>
  startSshd({
    name: hostName,
    dir,
    caKeys: [ca],
    logins: { [ownLogin]: [`${ownLogin}@${hostName}`] },
    settings: [`AuthorizedKeysFile ${quotePath(breakGlass(dir))}`],
  })

export const breakGlass = (dir: string): string => join(dir, 'break-glass.pub')

/** What the person has in ~/.ssh/config of the host; ssh reads it by -F, for it asks passwd for its home. */
export const writeSshConfig = (home: Home, sshd: Sshd, more = ''): string => {
  const file = join(home.dir, '.ssh/config')
  writeFileSync(
    file,
    `Host ${sshd.name}
    HostName 127.0.0.1
    HostKeyAlias ${sshd.name}
    Port ${sshd.port}
    UserKnownHostsFile ${quotePath(sshd.knownHosts)}
Host *
    BatchMode yes
    ConnectTimeout 20
${more}`,
    { mode: 0o600 },
  )
  return file
}

/** Starts a program in the home. */
export const run = (home: Home, file: string, args: readonly string[], input?: string) =>
  execute(file, args, {
    cwd: home.dir,
    env: home.env,
    isClean: true,
    ...(input === undefined ? {} : { input }),
  })
