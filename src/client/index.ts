import { concat } from '../lib/bytes.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { type Fetch, systemFetch } from '../lib/fetch.ts'
import { systemRandom } from '../lib/ids.ts'
import { encodeString } from '../ssh/wire.ts'
import type { Answer } from './answer.ts'
import { type Ask, checkAsk, checkPlace, type Place } from './ask.ts'
import { type Limits, runWithin } from './deadline.ts'
import { hostKeyUnknown } from './errors.ts'
import { createMemoryKey, type MemoryKey } from './key.ts'
import { findKnownHost } from './known-hosts.ts'
import { type Credentials, createService } from './service.ts'
import { createSession, type Session } from './session.ts'
import type { Credential, Transport } from './transport.ts'
import { type Principals, verifyCertificate } from './verify.ts'

export { AppError as PosternError, type Code } from '../errors.ts'
export type { ExecOptions, ExecResult } from './exec.ts'
export type { Input } from './input.ts'
export type { Command } from './quote.ts'
export type { GetOptions, PutOptions } from './session.ts'
export type { Answer, Ask, Clock, Credentials, Fetch, MemoryKey, Principals, Session, Transport }

export interface ClientOptions {
  /** The service's publicUrl, like `https://postern.example.com`. */
  readonly url: string
  /** Sends the requests to the service; the platform's own where it is left out. */
  readonly fetch?: Fetch
  /** Carries the sessions; ssh2 where it is left out. */
  readonly transport?: Transport
  readonly clock?: Clock
}

export interface IssueOptions extends Ask, Limits {
  /** The person's token, or a function that answers a current one. It goes to the service, and nowhere else. */
  readonly token: Credentials
  /**
   * What the certificate must name, exactly; `login@host` where it is left out. `rule` takes what the rule
   * names, as long as that is no other login or host.
   */
  readonly principals?: Principals | undefined
  /** Milliseconds for all of it. Default 30 000. */
  readonly timeout?: number | undefined
}

export interface ConnectOptions extends IssueOptions, Place {
  /**
   * Lines of a known_hosts file: the host's keys. What the service answers from its host list where this is left
   * out, and without either nothing is trusted. `address` and `port` say where the host is reached, where
   * that is neither its name and 22 nor what the host list says.
   */
  readonly knownHosts?: string | undefined
}

/** A certificate and the key it is for. Wipe the key when you are done. */
export interface Issued extends Answer {
  readonly key: MemoryKey
}

/** All a backend needs to work on hosts as the person who is logged in to it. */
export interface PosternClient {
  /**
   * Asks for a certificate for a fresh key, and logs in by it. Nothing touches the disk. Codes: those of
   * `issue`, `host_key_unknown`, `host_key_mismatch`, `host_key_revoked`, `invalid_known_hosts`, `connection_failed`,
   * `login_refused`.
   */
  connect(options: ConnectOptions): Promise<Session>
  /**
   * Certificate and key alone, for another transport. Codes: what the service says, `certificate_mismatch`,
   * `not_running`, `timeout`, `aborted`, and `invalid_…` for what is wrong with the options.
   */
  issue(options: IssueOptions): Promise<Issued>
}

const defaultTimeout = 30_000

/** Opens nothing yet. Code: `usage` for a url that is none. */
export const createClient = (options: ClientOptions): PosternClient => {
  const { url, fetch = systemFetch, clock = systemClock } = options
  const service = createService({ url, fetch, clock })

  /** What `use` makes of a certificate that says what was asked. Where anything fails the key is wiped. */
  const certify = <T>(
    given: IssueOptions & Pick<ConnectOptions, 'knownHosts'>,
    use: (issued: Issued, credential: Credential, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const { token, host, login, ttl, command, reason, principals, knownHosts } = given
    const ask: Ask = { host, login, ttl, command, reason }
    const limits = { signal: given.signal, timeout: given.timeout ?? defaultTimeout }
    return runWithin(limits, 'Connecting', async (signal) => {
      checkAsk(ask)
      const key = createMemoryKey(systemRandom)
      try {
        const answer = await service.issue(ask, token, key, signal)
        const at = clock()
        const certificate = verifyCertificate({ answer, ask, key, principals, knownHosts, at })
        const credential: Credential = {
          certificate: concat(certificate.signed, encodeString(certificate.signature)),
          algorithm: 'ssh-ed25519',
          sign: key.sign,
        }
        return await use(Object.freeze({ ...answer, key }), credential, signal)
      } catch (error) {
        key.wipe()
        throw error
      }
    })
  }

  return Object.freeze({
    issue: (given: IssueOptions) =>
      certify({ ...given, knownHosts: undefined }, async (issued) => issued),
    async connect(given: ConnectOptions) {
      checkPlace(given)
      return certify(given, async ({ key, ...certificate }, credential, signal) => {
        const { host } = certificate
        const address = given.address ?? host.address ?? host.name
        const port = given.port ?? host.port ?? 22
        const lines = given.knownHosts ?? host.knownHosts
        if (lines === undefined) throw hostKeyUnknown(given.host)
        // Of what the service says the name that was asked counts alone; what the caller knows, by its address too.
        const names = [given.host, ...(given.address === undefined ? [] : [given.address])]
        const known = findKnownHost(lines, { names, port })
        const transport = options.transport ?? (await openTransport())
        const connection = await transport.open({
          address,
          port,
          login: given.login,
          credential,
          hostKeyTypes: known.types,
          verifyHostKey: known.check,
          signal,
        })
        return createSession({ connection, certificate, wipe: key.wipe })
      })
    },
  })
}

/** Loaded when it is first needed: whoever has a transport of their own, or none, does without ssh2. */
const openTransport = async (): Promise<Transport> => {
  const { createSsh2Transport } = await import('./transports/ssh2.ts')
  return createSsh2Transport()
}
