import type { Socket } from 'node:net'

/**
 * How many connections may wait without having sent a whole request. Each takes some 20 KB, so all of
 * them about 40 MB.
 */
const usual = 2_048

/** The connections that have not asked for anything yet. */
export interface Strangers {
  /**
   * One more. Where they are too many, the one that has waited longest is closed: whoever does ask
   * is kept out by nobody who doesn't. Answers what to call when the connection is gone.
   */
  add(socket: Socket): () => void
  /** It has sent a request, and is none any more. */
  remove(socket: Socket): void
}

/** @param limit how many of them may wait at once. */
export const createStrangers = (limit = usual): Strangers => {
  /** By peer, oldest first: under TLS a request's socket is another object than the connection's. */
  const waiting = new Map<string, Socket>()

  return Object.freeze({
    add(socket: Socket) {
      const peer = nameOf(socket)
      // A unix socket has no peer to tell from another, and its file's mode says who may connect.
      if (peer === undefined) return () => {}
      waiting.set(peer, socket)
      const [longest] = waiting
      if (waiting.size > limit && longest !== undefined) {
        waiting.delete(longest[0])
        longest[1].destroy()
      }
      return () => {
        if (waiting.get(peer) === socket) waiting.delete(peer)
      }
    },
    remove(socket: Socket) {
      const peer = nameOf(socket)
      if (peer !== undefined) waiting.delete(peer)
    },
  })
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string | undefined =>
  remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`
