import type { HostKeyType } from './known-hosts.ts'

/**
 * What carries a session: SSH to one host, logged in by one certificate. The SDK has one implementation,
 * over ssh2; test/contracts/transport.ts is what every one must pass, against a real sshd.
 *
 * - A host key is checked before anything is sent under it, at the first exchange and at each later
 *   one. `verifyHostKey` throws for one that is not trusted, and `open` rejects with that error.
 * - Only the certificate is offered: never a password, another key, an agent. Nothing is forwarded,
 *   and whatever channel the host tries to open is refused.
 * - Memory is bounded, whatever the host sends and however slowly a sink takes it.
 * - A connection that is cut is never mistaken for an end: see `Channel.ended`.
 *
 * Codes: `connection_failed`, `connection_cut`, `login_refused`, `host_key_mismatch`,
 * `channel_refused`, `session_closed`.
 */
export interface Transport {
  /** Resolves once logged in. An aborted signal ends it at once, with the signal's reason. */
  open(target: Target): Promise<Connection>
}

export interface Target {
  /** A name or an IP address to connect to. */
  readonly address: string
  readonly port: number
  readonly login: string
  readonly credential: Credential
  /** The types of host key that may be agreed on. */
  readonly hostKeyTypes: readonly HostKeyType[]
  /** @throws for a key that is not trusted */
  readonly verifyHostKey: (blob: Uint8Array) => void
  readonly signal: AbortSignal
}

/** A certificate, and what signs for it. */
export interface Credential {
  /** The certificate's wire blob (PROTOCOL.certkeys). */
  readonly certificate: Uint8Array
  /** The signature algorithm the certified key uses (RFC 8332 for RSA), without `-cert`. */
  readonly algorithm: string
  /** The SSH signature blob over `data`. */
  readonly sign: (data: Uint8Array) => Uint8Array
}

/** A login. Channels on it do not wait for one another. */
export interface Connection {
  /** Resolves once the host has agreed to run it. */
  open(request: ChannelRequest, sinks: Sinks, signal: AbortSignal): Promise<Channel>
  /** Says goodbye and ends everything. Never rejects; a second call waits for the first. */
  close(): Promise<void>
}

export type ChannelRequest =
  | { readonly kind: 'exec'; readonly command: Uint8Array; readonly pty?: Terminal | undefined }
  | { readonly kind: 'subsystem'; readonly name: string }

/** A terminal as the host is told of it. */
export interface Terminal {
  /** What TERM becomes. */
  readonly term: string
  readonly columns: number
  readonly rows: number
}

/** Takes a piece of output. While a promise is pending no more is read: that is how a sink slows the host. */
export type Sink = (bytes: Uint8Array) => void | Promise<void>

export interface Sinks {
  readonly stdout: Sink
  readonly stderr: Sink
}

export interface Channel {
  /**
   * Sends input, one piece after another: the next when this has resolved, which it does once there is
   * room for more; false where nobody reads any longer.
   */
  write(bytes: Uint8Array): Promise<boolean>
  /** No more input comes. */
  finish(): void
  /** Sends a signal by its name without `SIG` (RFC 4254 section 6.9). A host may ignore it. */
  signal(name: string): void
  /** Lets go of it. `ended` rejects with `error`, unless it has settled. */
  close(error: Error): void
  /**
   * Resolves once the host has said how it ended and closed the channel in good order, and the sinks
   * have taken every byte. Rejects with `connection_cut` for anything less, and with what a sink threw.
   */
  readonly ended: Promise<Ending>
}

/** How a command ended: by itself, or by a signal (`SIGTERM`). */
export type Ending =
  | { readonly code: number; readonly signal: null }
  | { readonly code: null; readonly signal: string }
