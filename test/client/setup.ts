import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ClientOptions,
  type ConnectOptions,
  createClient,
  type PosternClient,
} from '../../src/client/index.ts'
import type { Fetch } from '../../src/lib/fetch.ts'
import { startTestApp, type TestApp } from '../app.ts'
import { ownLogin } from '../ssh/client.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'

/** The one host of these tests, by the name that stands in its certificates. */
export const host = 'runner-17.example.com'

/** A service, an sshd that trusts it, and a client between them. */
export interface World {
  readonly service: TestApp
  readonly sshd: Sshd
  /** A client of the service, with what is given laid over. */
  client(changes?: Partial<ClientOptions>): PosternClient
  /** What connects maya to the host, for `changes` to be laid over. */
  options(changes?: Partial<ConnectOptions>): ConnectOptions
  close(): Promise<void>
}

const formatPolicy = (issuer: string): string => `rules:
  - name: bound
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [bound.example.com]
    logins: ["${ownLogin}"]
    commands: { greet: "echo hello $SSH_ORIGINAL_COMMAND" }
    ttl: 5m
  - name: runner-setup
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["*.example.com"]
    logins: ["${ownLogin}"]
    require: { proof: true }
    extensions: [permit-pty]
    ttl: 5m
    maxTtl: 15m
`

export const startWorld = async (
  more: Partial<Parameters<typeof startSshd>[0]> = {},
): Promise<World> => {
  const service = await startTestApp({
    policies: (issuer) => ({ 'a.yaml': formatPolicy(issuer) }),
    level: 'warn',
  })
  const dir = join(service.dir, 'host')
  mkdirSync(dir)
  const ca = await (await service.request('/v1/ca/user.pub')).text()
  const sshd = await startSshd({
    name: host,
    dir,
    caKeys: [ca.trim()],
    logins: { [ownLogin]: [`${ownLogin}@${host}`, `${ownLogin}@bound.example.com`] },
    ...more,
  })
  const url = service.config.publicUrl
  return Object.freeze({
    service,
    sshd,
    client: (changes: Partial<ClientOptions> = {}) =>
      createClient({ url, fetch: inProcess(service), ...changes }),
    options: (changes: Partial<ConnectOptions> = {}) => ({
      token: () => service.token(),
      host,
      login: ownLogin,
      reason: 'install runner',
      address: '127.0.0.1',
      port: sshd.port,
      knownHosts: `[${host}]:${sshd.port} ${sshd.hostKey}\n`,
      ...changes,
    }),
    async close() {
      await sshd.stop()
      await service.close()
    },
  })
}

/** Requests to the service, answered by it without a port. */
export const inProcess =
  ({ request, config }: TestApp): Fetch =>
  (url, init) =>
    request(url.slice(config.publicUrl.length), init)
