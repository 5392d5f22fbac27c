/**
 * The few members of ssh2 1.17.0 that we use; it brings no types of its own. Those with a `_` are not
 * meant for us: the version is pinned exactly, and test/contracts/transport.ts goes through each.
 */
declare module 'ssh2/lib/client.js' {
  import type { Buffer } from 'node:buffer'
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { Duplex, Readable } from 'node:stream'

  export interface Protocol {
    /** Sends USERAUTH_REQUEST `none`; ours sends the certificate in its place. */
    authNone(login: string): void
    signal(channel: number, name: string): void
    requestFailure(): void
    readonly _kex: { readonly sessionID: Buffer }
    readonly _authsQueue: string[]
    readonly _packetRW: {
      readonly write: {
        readonly allocStart: number
        alloc(length: number): Buffer
        finalize(packet: Buffer): Buffer
      }
    }
    /** What is done with each message, by its name. */
    readonly _handlers: {
      CHANNEL_DATA: DataHandler
      CHANNEL_EXTENDED_DATA: DataHandler
      GLOBAL_REQUEST(protocol: Protocol, name: string, wantReply: boolean): void
    }
  }

  type DataHandler = (protocol: Protocol, channel: number, data: Buffer, type?: number) => void

  export interface ClientChannel extends Duplex {
    readonly stderr: Readable
    readonly incoming: { readonly state: string; readonly window: number }
    readonly outgoing: { readonly id: number; readonly state: string }
    close(): void
  }

  type Opened = (
    error: (Error & { readonly reason?: number }) | undefined,
    channel: ClientChannel,
  ) => void

  class Client extends EventEmitter {
    readonly _protocol: Protocol
    readonly _chanMgr: { get(id: number): unknown }
    connect(config: {
      readonly sock: Socket
      readonly username: string
      readonly readyTimeout: number
      readonly keepaliveInterval: number
      readonly keepaliveCountMax: number
      readonly algorithms: {
        readonly kex: readonly string[]
        readonly serverHostKey: readonly string[]
        readonly cipher: readonly string[]
        readonly hmac: readonly string[]
        readonly compress: readonly string[]
      }
      /** Anything but `false` would be taken for a yes. */
      readonly hostVerifier: (key: Buffer) => boolean
      readonly authHandler: () => false | { readonly type: 'none'; readonly username: string }
    }): void
    end(): void
    exec(
      command: Buffer,
      options: {
        readonly pty:
          | false
          | { readonly term: string; readonly cols: number; readonly rows: number }
      },
      done: Opened,
    ): void
    subsys(name: string, done: Opened): void
  }
  export default Client
}

declare module 'ssh2/lib/protocol/utils.js' {
  import type { Buffer } from 'node:buffer'
  import type { Protocol } from 'ssh2/lib/client.js'

  const utils: {
    /** Sends a packet, or keeps it until a key exchange is over. */
    sendPacket(protocol: Protocol, packet: Buffer): boolean
  }
  export default utils
}
