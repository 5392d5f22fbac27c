import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { concat, isEqual } from '../lib/bytes.ts'
import { createReader, encodeString, encodeUint32 } from './wire.ts'

/** A key that an agent of ours holds: what it is listed as, and its signature. */
export interface HeldKey {
  /** A public key's or a certificate's wire blob. */
  readonly blob: Uint8Array
  readonly comment: string
  /** The SSH signature blob over `data`. */
  sign(data: Uint8Array): Uint8Array
}

/** Message numbers of draft-ietf-sshm-ssh-agent, section 5.1. */
const messages = { failure: 5, list: 11, keys: 12, sign: 13, signature: 14 } as const
const failure = Uint8Array.of(messages.failure)

/** A challenge is a session id and a user name: a longer message is nobody's login. */
const maxMessage = 64 * 1024

/**
 * What an agent answers to one message: it lists and it signs. Whatever else there is (adding keys,
 * for ever or for a while, removing, locking, extensions) is refused, and so is what is malformed.
 */
export const answerMessage = (keys: readonly HeldKey[], message: Uint8Array): Uint8Array => {
  try {
    const reader = createReader(message)
    switch (reader.readByte()) {
      case messages.list: {
        reader.checkEnd()
        const listed = keys.map(({ blob, comment }) =>
          concat(encodeString(blob), encodeString(comment)),
        )
        return concat(Uint8Array.of(messages.keys), encodeUint32(keys.length), ...listed)
      }
      case messages.sign: {
        const blob = reader.readString()
        const data = reader.readString()
        // The flags choose among RSA's hashes (section 5.3), and we hold no RSA key.
        reader.readUint32()
        reader.checkEnd()
        const key = keys.find((held) => isEqual(held.blob, blob))
        if (key === undefined) return failure
        return concat(Uint8Array.of(messages.signature), encodeString(key.sign(data)))
      }
      default:
        return failure
    }
  } catch {
    return failure
  }
}

/** A server of the agent protocol; it is not listening yet. `listKeys` is asked at each message. */
export const createAgentServer = (listKeys: () => readonly HeldKey[]): Server =>
  createServer((connection) => serveConnection(connection, listKeys))

const serveConnection = (connection: Socket, listKeys: () => readonly HeldKey[]): void => {
  let received: Uint8Array = new Uint8Array()
  connection.on('error', () => connection.destroy())
  connection.on('data', (chunk) => {
    received = concat(received, chunk)
    // Each message is a length and that many bytes (section 3).
    while (received.length >= 4) {
      const length = createReader(received).readUint32()
      if (length > maxMessage) {
        connection.destroy()
        return
      }
      if (received.length < 4 + length) return
      const answer = answerMessage(listKeys(), received.subarray(4, 4 + length))
      received = received.slice(4 + length)
      connection.write(concat(encodeUint32(answer.length), answer))
    }
  })
}
