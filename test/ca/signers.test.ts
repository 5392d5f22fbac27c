import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { openAgentSigner } from '../../src/ca/signers/agent.ts'
import { openFileSigner } from '../../src/ca/signers/file.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { AppError } from '../../src/errors.ts'
import type { AuthorityKeyType } from '../../src/ssh/algorithms.ts'
import { decodePublicKey, parsePublicKey } from '../../src/ssh/keys.ts'
import { describeSigner } from '../contracts/signer.ts'
import { authorityTypes, createPrivate } from './keys.ts'
import { createDirectory, createKeyFile, startAgent } from './tools.ts'

const directory = createDirectory()
const keys = new Map(authorityTypes.map((type) => [type, createPrivate(type)]))
const keyOf = (type: AuthorityKeyType) => keys.get(type) as ReturnType<typeof createPrivate>
const fileOf = (type: AuthorityKeyType) => `${directory.path}/${type}.pem`
for (const [type, key] of keys) {
  writeFileSync(fileOf(type), key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
}
const socket = `${directory.path}/agent`
const agent = await startAgent(socket)
const agentFileOf = (type: AuthorityKeyType) => `${directory.path}/${type}`
for (const type of authorityTypes) {
  createKeyFile(type, agentFileOf(type))
  agent.add(agentFileOf(type))
}
afterAll(async () => {
  await agent.stop()
  directory.remove()
})

const nothing = async () => {}
for (const type of authorityTypes) {
  describeSigner('memory', type, async () => ({
    signer: createMemorySigner(keyOf(type)),
    close: nothing,
  }))
  describeSigner('file', type, async () => ({
    signer: await openFileSigner({ path: fileOf(type) }),
    close: nothing,
  }))
  describeSigner('agent', type, async () => {
    const { fingerprint } = parsePublicKey(readFileSync(`${agentFileOf(type)}.pub`, 'utf8'))
    return { signer: await openAgentSigner({ socket, fingerprint }), close: nothing }
  })
}

describe('the memory signer', () => {
  test('makes an ed25519 key of its own, each time another', () => {
    const [one, two] = [createMemorySigner(), createMemorySigner()]
    expect(one.algorithm).toBe('ssh-ed25519')
    expect(one.external).toBe(false)
    expect(decodePublicKey(one.publicKey).fingerprint).not.toBe(
      decodePublicKey(two.publicKey).fingerprint,
    )
  })

  test.each([
    [
      'x25519',
      () => generateKeyPairSync('x25519').privateKey,
      'invalid_config',
      'A CA key must be ed25519, ECDSA P-256/384/521 or RSA.',
    ],
    [
      'secp256k1',
      () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
      'invalid_config',
      'A CA key must be ed25519, ECDSA P-256/384/521 or RSA.',
    ],
    [
      'RSA of 2048 bits',
      () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
      'weak_key',
      'The key is too weak to be certified: make a new one with "ssh-keygen -t ed25519".',
    ],
  ])('takes no %s', (_what, make, code, message) => {
    const error = (() => {
      try {
        return createMemorySigner(make())
      } catch (thrown) {
        return thrown
      }
    })()
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({ code, message })
  })
})
