import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A wire between a client and a server on loopback, that can be cut. */
export interface Relay {
  readonly port: number
  /** Cuts every connection there is: `reset` as a router that forgot it would, else by silence. */
  cut(how: 'reset' | 'silence'): void
  close(): Promise<void>
}

export const startRelay = async (to: number): Promise<Relay> => {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (how: 'reset' | 'silence') => {
    for (const socket of sockets) {
      if (how === 'reset') socket.resetAndDestroy()
      else socket.unpipe().pause()
    }
  }
  return Object.freeze({
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      cut('reset')
      server.close()
      await once(server, 'close')
    },
  })
}
