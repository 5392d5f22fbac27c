import { describe, expect, test } from 'vitest'
import { createAuthority } from '../../src/ca/index.ts'
import type { Signer } from '../../src/ca/signer.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodeStrings } from '../../src/ssh/wire.ts'
import { createFakeSigner } from '../fakes/signer.ts'
import { clock, limits } from './intents.ts'
import { createFromSeed, fidoLines } from './keys.ts'

const open = (signer: Signer) => createAuthority({ signer, clock, ...limits })

describe('a key that may be no CA’s', () => {
  const seeds = [
    [
      'RFC 8032 section 7.1, and RFC 8037',
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    ],
    ['RFC 8032 section 7.1', '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'],
    ['RFC 8032 section 7.1', 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7'],
    ['RFC 8032 section 7.1', 'f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5'],
    ['RFC 8410 section 10.3', 'd4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842'],
    ['the seed of 32 zero bytes', '0'.repeat(64)],
  ] as const

  test.each(seeds)('is one from a document (%s), ATTACKS 63', async (place, seed) => {
    await expect(open(createMemorySigner(createFromSeed(seed)))).rejects.toMatchObject({
      code: 'invalid_config',
      message: `The private half of this CA key is published: ${place}.`,
      hint: 'postern init makes a CA key; or: ssh-keygen -t ed25519 -f CA_KEY',
    })
  })

  test('is the one every Vagrant box once had, ATTACKS 63', async () => {
    const { publicKey: _, ...rest } = createFakeSigner().signer
    const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y'
    await expect(open({ ...rest, publicKey: parsePublicKey(line).blob })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The private half of this CA key is published: the insecure key of Vagrant.',
    })
  })

  test.each<[string, Partial<Signer>, string]>([
    [
      'a FIDO key',
      { publicKey: parsePublicKey(fidoLines['sk-ssh-ed25519@openssh.com']).blob },
      'The CA key must be ed25519, ECDSA or RSA (signing with SHA-512).',
    ],
    [
      'one whose algorithm is another',
      { algorithm: 'rsa-sha2-512' },
      'The CA key must be ed25519, ECDSA or RSA (signing with SHA-512).',
    ],
    [
      'a certificate, ATTACKS 3',
      { publicKey: encodeStrings('ssh-ed25519-cert-v01@openssh.com', 'nonce') },
      'The CA key does not pass the checks of a public key.',
    ],
    [
      'nothing',
      { publicKey: new Uint8Array() },
      'The CA key does not pass the checks of a public key.',
    ],
  ])('is %s', async (_what, change, message) => {
    const { signer } = createFakeSigner()
    await expect(open({ ...signer, ...change })).rejects.toMatchObject({
      code: 'invalid_config',
      message,
    })
  })
})
