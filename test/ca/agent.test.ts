import { createServer } from 'node:net'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { openAgentSigner } from '../../src/ca/signers/agent.ts'
import { concat, encodeUtf8 } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { fidoLines } from './keys.ts'
import { createDirectory, createKeyFile, runTool, startAgent } from './tools.ts'

const directory = createDirectory()
afterAll(directory.remove)
let count = 0
const createPath = () => `${directory.path}/${count++}`

const data = encodeUtf8('data')
const unavailable = {
  code: 'signer_unavailable',
  message: 'The ssh-agent with the signing key does not answer: try again.',
  hint: 'ssh-add -l lists the keys of the agent at ca.agentSocket',
}

/** An agent that holds one key and answers a request for a signature as it is told. */
const startFake = async (blob: Uint8Array, answer: (n: number) => Uint8Array | undefined) => {
  const path = createPath()
  let asked = 0
  const list = concat(Uint8Array.of(12), encodeUint32(1), encodeStrings(blob, 'comment'))
  const server = createServer((connection) => {
    connection.on('error', () => {})
    connection.on('data', (request) => {
      const reply = request[4] === 11 ? list : answer(++asked)
      if (reply !== undefined) connection.write(encodeString(reply))
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => void server.close())
  return { path, asked: () => asked }
}

describe('a CA key in a real ssh-agent', () => {
  test('is found among others by its fingerprint, and outlives a restart of the agent', async () => {
    const socket = createPath()
    const [file, other] = [createPath(), createPath()]
    const { blob, fingerprint } = parsePublicKey(createKeyFile('ssh-ed25519', file))
    createKeyFile('ssh-ed25519', other)
    const first = await startAgent(socket)
    first.add(other)
    first.add(file)
    const signer = await openAgentSigner({ socket, fingerprint })
    expect(signer.external).toBe(true)
    expect(verifySignature(blob, data, await signer.sign(data))).toBe(true)

    await first.stop()
    await expect(signer.sign(data)).rejects.toMatchObject(unavailable)

    const second = await startAgent(socket)
    try {
      await expect(signer.sign(data)).rejects.toMatchObject(unavailable)
      second.add(file)
      expect(verifySignature(blob, data, await signer.sign(data))).toBe(true)
    } finally {
      await second.stop()
    }
  })

  test('that is not there is refused with what to run', async () => {
    const socket = createPath()
    const agent = await startAgent(socket)
    try {
      const { fingerprint } = parsePublicKey(createKeyFile('ssh-ed25519', createPath()))
      await expect(openAgentSigner({ socket, fingerprint })).rejects.toMatchObject({
        code: 'invalid_config',
        message: 'The ssh-agent does not hold the CA key.',
        hint: `ssh-add adds a key; ssh-add -l must list ${fingerprint}`,
      })
    } finally {
      await agent.stop()
    }
  })

  test('that is RSA of 2048 bits is refused, ATTACKS 6', async () => {
    const socket = createPath()
    const agent = await startAgent(socket)
    try {
      const file = createPath()
      runTool('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file])
      agent.add(file)
      const fingerprint = runTool('ssh-keygen', ['-lf', file]).split(' ')[1] as string
      await expect(openAgentSigner({ socket, fingerprint })).rejects.toMatchObject({
        code: 'invalid_config',
        message: 'The key in the ssh-agent can be no CA key.',
      })
    } finally {
      await agent.stop()
    }
  })
})

describe('an agent as a signer', () => {
  test('that is not there is unavailable, not a reason to go on', async () => {
    await expect(
      openAgentSigner({ socket: createPath(), fingerprint: 'SHA256:x' }),
    ).rejects.toMatchObject(unavailable)
  })

  test.each(Object.entries(fidoLines))('with a key of type %s is refused', async (_type, line) => {
    const { blob, fingerprint } = parsePublicKey(line)
    const { path } = await startFake(blob, () => undefined)
    await expect(openAgentSigner({ socket: path, fingerprint })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The CA key in the ssh-agent must be no FIDO key.',
    })
  })

  const rsa = parsePublicKey(createKeyFile('ssh-rsa', createPath()))

  test.each([
    ['signs with SHA-1, ATTACKS 54', encodeStrings('ssh-rsa', new Uint8Array(384))],
    ['signs with SHA-256', encodeStrings('rsa-sha2-256', new Uint8Array(384))],
    ['signs with nothing', new Uint8Array()],
  ])('that %s is unavailable', async (_what, signature) => {
    const { blob, fingerprint } = rsa
    const reply = concat(Uint8Array.of(14), encodeString(signature))
    const { path } = await startFake(blob, () => reply)
    const signer = await openAgentSigner({ socket: path, fingerprint })
    await expect(signer.sign(data)).rejects.toMatchObject(unavailable)
  })

  test('that hangs is unavailable within 5 s, and is asked 256 times at most, ATTACKS 68', async () => {
    const { blob, fingerprint } = parsePublicKey(createKeyFile('ssh-ed25519', createPath()))
    const reply = encodeStrings(encodeStrings('ssh-ed25519', new Uint8Array(64)))
    const late = concat(Uint8Array.of(14), reply)
    const fake = await startFake(blob, (n) => (n <= 256 ? undefined : late))
    const signer = await openAgentSigner({ socket: fake.path, fingerprint })
    const start = performance.now()
    const ask = async () => signer.sign(data)
    const all = Array.from({ length: 257 }, () => ask().catch((error) => error))
    expect(await all.at(-1)).toMatchObject({
      ...unavailable,
      detail: '256 signatures are under way',
    })
    const answers = await Promise.all(all.slice(0, 256))
    for (const answer of answers) {
      expect(answer).toMatchObject({ ...unavailable, detail: 'no answer within 5000 ms' })
    }
    expect(performance.now() - start).toBeLessThan(10_000)
    expect(fake.asked()).toBe(256)
    // Those that were given up hold no place.
    await expect(signer.sign(data)).resolves.toHaveLength(83)
  })
})
