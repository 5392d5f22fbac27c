import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { createMemoryKey } from '../../src/client/key.ts'
import { decodeBase64 } from '../../src/lib/bytes.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import { useDirectories } from '../fakes/directory.ts'
import { logIn } from '../ssh/client.ts'
import { execute } from '../tools.ts'
import { startWorld } from './setup.ts'

const createDirectory = useDirectories()
const world = await startWorld()
afterAll(() => world.close())

test('ssh-keygen reads an exported key, and finds the same public one', async () => {
  const key = createMemoryKey(systemRandom)
  const path = join(createDirectory(), 'key')
  writeFileSync(path, key.exportPrivateKey(), { mode: 0o600 })
  const { stdout } = await execute('ssh-keygen', ['-y', '-f', path])
  expect(stdout.trim()).toBe(key.publicKey)
})

test('a wiped key signs nothing, and what was exported is zeroed', () => {
  const key = createMemoryKey(systemRandom)
  const data = Uint8Array.of(1, 2, 3)
  expect(verifySignature(key.blob, data, key.sign(data))).toBe(true)
  const exported = key.exportPrivateKey()
  key.wipe()
  expect(exported.every((byte) => byte === 0)).toBe(true)
  expect(() => key.sign(data)).toThrow(new TypeError('the key has been wiped'))
  expect(() => key.exportPrivateKey()).toThrow(new TypeError('the key has been wiped'))
  expect(inspect(key, { depth: 9, showHidden: true })).not.toMatch(/private key|KeyObject/i)
})

test('certificate and key alone let ssh in, and the session has none of the key left', async () => {
  const { token, host, login } = world.options()
  const issued = await world.client().issue({ token, host, login })
  const key = join(createDirectory(), 'key')
  writeFileSync(key, issued.key.exportPrivateKey())
  chmodSync(key, 0o600)
  const certificate = `${key}-cert.pub`
  writeFileSync(certificate, `${issued.certificate}\n`)
  expect(await logIn({ sshd: world.sshd, key, certificate })).toMatchObject({ code: 0 })
  expect(decodeBase64(issued.key.publicKey.split(' ')[1] ?? '')).toEqual(issued.key.blob)
  issued.key.wipe()

  const session = await world.client().connect(world.options())
  expect(inspect(session, { depth: 9, showHidden: true })).not.toMatch(/KeyObject|token/i)
  await session.close()
})
