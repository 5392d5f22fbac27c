import type { Signer } from '../../src/ca/signer.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { encodeString, encodeStrings } from '../../src/ssh/wire.ts'

/** The ways a signing key has been seen to go wrong. */
export type SignerFault =
  | 'none'
  | 'fails'
  | 'throws'
  | 'hangs'
  | 'answers nothing'
  | 'answers garbage'
  | 'signs other data'
  | 'signs with another key'
  | 'names another algorithm'

/**
 * A signer that works, until it is told how to break. It says that its key is outside the process
 * unless told otherwise, and keeps what it was asked to sign.
 */
export const createFakeSigner = (given: { readonly external?: boolean } = {}) => {
  const real = createMemorySigner()
  const stranger = createMemorySigner()
  const requests: Uint8Array[] = []
  let fault: SignerFault = 'none'
  let isClosed = false

  const faults = {
    none: (data) => real.sign(data),
    fails: () => Promise.reject(new Error('the token is gone')),
    throws: () => {
      throw new Error('the driver crashed')
    },
    hangs: () => new Promise(() => {}),
    'answers nothing': () => Promise.resolve(new Uint8Array()),
    'answers garbage': () => Promise.resolve(encodeString('ssh-ed25519')),
    'signs other data': (data) => real.sign(Uint8Array.of(...data, 0)),
    'signs with another key': (data) => stranger.sign(data),
    'names another algorithm': () =>
      Promise.resolve(encodeStrings('rsa-sha2-512', new Uint8Array(64))),
  } as const satisfies Record<SignerFault, Signer['sign']>

  const signer: Signer = {
    algorithm: real.algorithm,
    publicKey: real.publicKey,
    external: given.external ?? true,
    sign: (data) => {
      requests.push(data)
      return faults[fault](data)
    },
    close: async () => {
      isClosed = true
      await real.close()
    },
  }
  return {
    signer,
    requests: requests as readonly Uint8Array[],
    isClosed: () => isClosed,
    break: (next: SignerFault) => {
      fault = next
    },
  }
}
