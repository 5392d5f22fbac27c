import { createConnection } from 'node:net'
import { concat } from '../lib/bytes.ts'
import { createReader, encodeString, encodeUint32, WireError } from './wire.ts'

/** The agent could not be reached, did not answer in time, refused, or spoke nonsense. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
}

/** A key an agent holds. The comment is whatever was there when it was added: trust nothing in it. */
export interface AgentKey {
  readonly blob: Uint8Array
  readonly comment: string
}

/** A client of the ssh-agent protocol (draft-ietf-sshm-ssh-agent). Every failure is an AgentError. */
export interface Agent {
  list(): Promise<readonly AgentKey[]>
  /** The SSH signature blob over `data` by the key of that blob; RSA as `rsa-sha2-512`. */
  sign(blob: Uint8Array, data: Uint8Array): Promise<Uint8Array>
}

/** Message numbers of draft-ietf-sshm-ssh-agent, section 5.1. */
const messages = { failure: 5, list: 11, keys: 12, sign: 13, signature: 14 } as const
/** SSH_AGENT_RSA_SHA2_512, section 5.3; for other keys it says nothing. */
const rsaSha512 = 4
/** As OpenSSH's own AGENT_MAX_LEN. */
const maxAnswer = 256 * 1024
const maxKeys = 2048

/**
 * Opens nothing yet: each call has a connection of its own, so that calls never wait for one
 * another on our side, a stuck one harms no other, and an agent that was restarted is found again.
 * `timeoutMs` is the whole time of a call, from connecting to the answer's last byte.
 */
export const createAgent = (deps: {
  readonly socket: string
  readonly timeoutMs: number
}): Agent => {
  const ask = async (request: Uint8Array, expected: number) => {
    const answer = createReader(await exchange(deps, request))
    const type = answer.readByte()
    if (type === messages.failure) throw new AgentError('the agent refused')
    if (type !== expected) throw new AgentError('the agent answered something else')
    return answer
  }
  return Object.freeze({
    list: () =>
      guard(async () => {
        const answer = await ask(Uint8Array.of(messages.list), messages.keys)
        const count = answer.readUint32()
        if (count > maxKeys) throw new AgentError('the agent lists too many keys')
        const keys: AgentKey[] = []
        for (let key = 0; key < count; key++) {
          keys.push({ blob: answer.readString(), comment: answer.readText() })
        }
        answer.checkEnd()
        return keys
      }),
    sign: (blob: Uint8Array, data: Uint8Array) =>
      guard(async () => {
        const request = concat(
          Uint8Array.of(messages.sign),
          encodeString(blob),
          encodeString(data),
          encodeUint32(rsaSha512),
        )
        const answer = await ask(request, messages.signature)
        const signature = answer.readString()
        answer.checkEnd()
        return signature
      }),
  })
}

const guard = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AgentError) throw error
    const message =
      error instanceof WireError ? 'the agent’s answer is malformed' : 'the agent cannot be reached'
    throw new AgentError(message, { cause: error })
  }
}

/** One message there, one back (section 3): each a length and that many bytes. */
const exchange = (
  { socket, timeoutMs }: { readonly socket: string; readonly timeoutMs: number },
  request: Uint8Array,
): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const connection = createConnection(socket)
    const chunks: Uint8Array[] = []
    let received = 0
    let expected: number | undefined
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      connection.destroy()
      settle()
    }
    const fail = (message: string, cause?: Error) =>
      finish(() => reject(new AgentError(message, { cause })))
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs)

    connection.on('error', (error) => fail('the agent cannot be reached', error))
    connection.on('close', () => fail('the agent hung up'))
    connection.on('data', (chunk) => {
      chunks.push(chunk)
      received += chunk.length
      if (expected === undefined && received >= 4) {
        expected = Buffer.concat(chunks).readUInt32BE(0)
        if (expected > maxAnswer) return fail('the agent’s answer is too long')
      }
      if (expected === undefined || received < 4 + expected) return
      const answer = concat(...chunks).subarray(4)
      if (answer.length !== expected) return fail('the agent said more than one answer')
      finish(() => resolve(answer))
    })
    connection.write(concat(encodeUint32(request.length), request))
  })
