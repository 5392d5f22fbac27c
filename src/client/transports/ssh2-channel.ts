import type { Socket } from 'node:net'
import type { ClientChannel, Protocol } from 'ssh2/lib/client.js'
import { connectionCut } from '../errors.ts'
import type { Channel, Ending, Sink, Sinks } from '../transport.ts'

/** Input goes out in pieces of this many bytes, so that no more than one waits anywhere of ours. */
const pieceBytes = 64 * 1024

/** A channel, and what tells it that the connection is over. */
export interface OpenChannel {
  readonly channel: Channel
  /** Called when the connection has gone. A channel that the host had closed in good order before stays whole. */
  onCut(cause: unknown): void
}

/** Makes a Channel of an ssh2 channel that was just opened. */
export const createChannel = (deps: {
  readonly stream: ClientChannel
  readonly protocol: Protocol
  readonly socket: Socket
  readonly sinks: Sinks
}): OpenChannel => {
  const { stream, protocol, socket, sinks } = deps
  const end = Promise.withResolvers<Ending>()
  // Whoever lets go of a channel need not wait for its end.
  end.promise.catch(() => {})
  let isOver = false
  let wakeWriter = () => {}

  const settle = (report: () => void) => {
    if (isOver) return
    isOver = true
    report()
    wakeWriter()
  }
  const close = (error: Error) =>
    settle(() => {
      stream.pause()
      stream.stderr.pause()
      stream.close()
      end.reject(error)
    })

  const resume = (each: NodeJS.ReadableStream) => {
    // Whoever has let go of it is told no more.
    if (!isOver) each.resume()
  }
  const drained = Promise.all([
    drain(stream, sinks.stdout, resume, close),
    drain(stream.stderr, sinks.stderr, resume, close),
  ])
  stream.on('error', (error) => close(connectionCut(error)))
  stream.once('close', (code: unknown, signal: unknown) => {
    drained.then(() => settle(() => report(code, signal)))
  })
  const report = (code: unknown, signal: unknown) => {
    // The host must have said how it ended: without that nobody knows that it did.
    if (typeof code === 'number') end.resolve({ code, signal: null })
    else if (typeof signal === 'string') end.resolve({ code: null, signal: checkSignal(signal) })
    else end.reject(connectionCut(new Error('the channel was closed without an exit status')))
  }

  const writePiece = (piece: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      wakeWriter = resolve
      stream.write(piece, () => {
        if (isOver || !socket.writableNeedDrain) resolve()
        else socket.once('drain', resolve)
      })
    })
  const canWrite = () => !isOver && stream.outgoing.state === 'open'

  return Object.freeze({
    channel: Object.freeze({
      ended: end.promise,
      close,
      async write(bytes: Uint8Array) {
        for (let at = 0; at < bytes.length && canWrite(); at += pieceBytes) {
          await writePiece(bytes.subarray(at, at + pieceBytes))
        }
        return canWrite()
      },
      finish: () => {
        if (!isOver) stream.end()
      },
      signal(name: string) {
        // ssh2's own stays silent once the input has ended.
        const { id, state } = stream.outgoing
        if (!isOver && (state === 'open' || state === 'eof')) protocol.signal(id, name)
      },
    }),
    onCut(cause: unknown) {
      if (stream.incoming.state === 'closed') return
      settle(() => end.reject(connectionCut(cause)))
    },
  })
}

/** Signals have names of a closed form; anything else of a host's is not repeated. */
const checkSignal = (name: string): string =>
  /^SIG[A-Z0-9]{1,16}$/.test(name) ? name : 'SIGUNKNOWN'

/** Hands a stream to its sink piece by piece. Resolves at its end, all of it taken. */
const drain = (
  stream: NodeJS.ReadableStream,
  sink: Sink,
  resume: (stream: NodeJS.ReadableStream) => void,
  fail: (error: Error) => void,
): Promise<void> =>
  new Promise((resolve) => {
    const failWith = (error: unknown) =>
      fail(error instanceof Error ? error : new Error('a sink failed', { cause: error }))
    stream.on('data', (bytes: Buffer) => {
      try {
        const taken = sink(bytes)
        if (taken === undefined) return
        stream.pause()
        taken.then(() => resume(stream), failWith)
      } catch (error) {
        failWith(error)
      }
    })
    stream.once('end', resolve)
  })
