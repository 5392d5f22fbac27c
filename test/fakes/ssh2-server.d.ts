/** The few members of ssh2's server that the hostile one uses. */
declare module 'ssh2/lib/server.js' {
  import type { Buffer } from 'node:buffer'
  import type { EventEmitter } from 'node:events'
  import type { Socket, Server as TcpServer } from 'node:net'
  import type { Duplex } from 'node:stream'
  import type { Protocol } from 'ssh2/lib/client.js'

  export interface ServerChannel extends Duplex {
    readonly stderr: NodeJS.WritableStream
    readonly outgoing: { readonly id: number }
    exit(code: number): void
    exit(signal: string, coreDumped: boolean, message: string): void
    close(): void
  }

  export interface ServerClient extends EventEmitter {
    readonly _sock: Socket
    readonly _protocol: Protocol
    x11(address: string, port: number, done: (error?: Error) => void): void
  }

  class Server extends EventEmitter {
    constructor(
      options: { readonly hostKeys: readonly Buffer[] },
      onConnection: (client: ServerClient) => void,
    )
    readonly _srv: TcpServer
    /** Takes over a connection that was made elsewhere. */
    injectSocket(socket: Socket): void
  }
  export default Server
}
