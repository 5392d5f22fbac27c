import { mkdirSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { concat, encodeUtf8 } from '../../src/lib/bytes.ts'
import { AgentError, createAgent } from '../../src/ssh/agent.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { decodeSignature, verifySignature } from '../../src/ssh/signature.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { createDirectory, runTool, startAgent } from '../ca/tools.ts'

const directory = createDirectory()
afterAll(directory.remove)
let count = 0
const createPath = () => `${directory.path}/${count++}`

/** An agent that answers every connection as it is told. */
const startFake = async (answer: (connection: Socket) => void): Promise<string> => {
  const path = createPath()
  const connections = new Set<Socket>()
  const server = createServer((connection) => {
    connections.add(connection)
    connection.on('error', () => {})
    connection.once('data', () => answer(connection))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => {
    for (const connection of connections) connection.destroy()
    server.close()
  })
  return path
}

const message = (...parts: readonly Uint8Array[]): Uint8Array => encodeString(concat(...parts))

describe('a real ssh-agent', () => {
  test('lists its keys and signs with each, RSA with SHA-512', async () => {
    const socket = createPath()
    const agent = await startAgent(socket)
    try {
      const client = createAgent({ socket, timeoutMs: 5000 })
      expect(await client.list()).toEqual([])
      for (const type of ['ed25519', 'ecdsa', 'rsa']) {
        const path = createPath()
        runTool('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `a ${type} key`, '-f', path])
        agent.add(path)
      }
      const keys = await client.list()
      expect(keys.map(({ comment }) => comment)).toEqual([
        'a ed25519 key',
        'a ecdsa key',
        'a rsa key',
      ])
      const data = Buffer.from('data')
      const algorithms = await Promise.all(
        keys.map(async ({ blob }) => {
          const signature = await client.sign(blob, data)
          expect(verifySignature(blob, data, signature)).toBe(true)
          return decodeSignature(signature).algorithm
        }),
      )
      expect(algorithms).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'])
    } finally {
      await agent.stop()
    }
  })

  test('refuses a key it does not hold', async () => {
    const socket = createPath()
    const agent = await startAgent(socket)
    try {
      const path = createPath()
      runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
      const { blob } = parsePublicKey(runTool('ssh-keygen', ['-yf', path]))
      const client = createAgent({ socket, timeoutMs: 5000 })
      await expect(client.sign(blob, Buffer.from('data'))).rejects.toThrow(
        new AgentError('the agent refused'),
      )
    } finally {
      await agent.stop()
    }
  })
})

describe('an agent that misbehaves', () => {
  const keys = (...parts: readonly Uint8Array[]) => message(Uint8Array.of(12), ...parts)

  test.each<[string, (connection: Socket) => void, string]>([
    ['hangs', () => {}, 'no answer within 200 ms'],
    ['sends half a length', (c) => c.write(Uint8Array.of(0, 0)), 'no answer within 200 ms'],
    [
      'sends half an answer',
      (c) => c.write(keys(encodeUint32(0)).subarray(0, 7)),
      'no answer within 200 ms',
    ],
    ['hangs up', (c) => c.end(), 'the agent hung up'],
    ['hangs up half way', (c) => c.end(Uint8Array.of(0, 0, 0, 9, 12)), 'the agent hung up'],
    ['says it failed', (c) => c.write(message(Uint8Array.of(5))), 'the agent refused'],
    [
      'answers something else',
      (c) => c.write(message(Uint8Array.of(14))),
      'the agent answered something else',
    ],
    ['answers nothing', (c) => c.write(encodeUint32(0)), 'the agent’s answer is malformed'],
    ['announces 4 GB', (c) => c.write(encodeUint32(0xffffffff)), 'the agent’s answer is too long'],
    [
      'announces 257 kB',
      (c) => c.write(encodeUint32(257 * 1024)),
      'the agent’s answer is too long',
    ],
    [
      'answers twice',
      (c) => c.write(concat(keys(encodeUint32(0)), keys(encodeUint32(0)))),
      'the agent said more than one answer',
    ],
    [
      'counts keys it does not send',
      (c) => c.write(keys(encodeUint32(2))),
      'the agent’s answer is malformed',
    ],
    [
      'counts 2^32-1 keys',
      (c) => c.write(keys(encodeUint32(0xffffffff))),
      'the agent lists too many keys',
    ],
    [
      'sends bytes after its keys',
      (c) => c.write(keys(encodeUint32(0), Uint8Array.of(1))),
      'the agent’s answer is malformed',
    ],
    [
      'sends a comment of wrong bytes',
      (c) => c.write(keys(encodeUint32(1), encodeStrings('blob', Uint8Array.of(0xff)))),
      'the agent’s answer is malformed',
    ],
  ])('and %s is an error in time', async (_what, answer, expected) => {
    const socket = await startFake(answer)
    const client = createAgent({ socket, timeoutMs: 200 })
    await expect(client.list()).rejects.toThrow(new AgentError(expected))
  })

  test('and answers byte by byte is understood', async () => {
    const answer = keys(encodeUint32(1), encodeStrings('blob', 'comment'))
    const socket = await startFake((connection) => {
      for (const byte of answer) connection.write(Uint8Array.of(byte))
    })
    const client = createAgent({ socket, timeoutMs: 5000 })
    expect(await client.list()).toEqual([{ blob: encodeUtf8('blob'), comment: 'comment' }])
  })

  test('and is not there at all is an error', async () => {
    const client = createAgent({ socket: createPath(), timeoutMs: 200 })
    await expect(client.list()).rejects.toThrow(new AgentError('the agent cannot be reached'))
  })

  test('and has a path no socket can have is an error', async () => {
    const socket = `${createPath()}${'x'.repeat(300)}`
    await expect(createAgent({ socket, timeoutMs: 200 }).list()).rejects.toThrow(
      new AgentError('the agent cannot be reached'),
    )
  })

  test('and is a directory is an error', async () => {
    const socket = createPath()
    mkdirSync(socket)
    await expect(createAgent({ socket, timeoutMs: 200 }).list()).rejects.toThrow(
      new AgentError('the agent cannot be reached'),
    )
  })
})
