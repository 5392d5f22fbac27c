import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { AppError } from '../../errors.ts'
import {
  authorityAlgorithms,
  isAuthorityKeyType,
  keyTypes,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from '../../ssh/algorithms.ts'
import { decodePublicKey } from '../../ssh/keys.ts'
import { encodePublicKey } from '../../ssh/native.ts'
import { encodeSignature } from '../../ssh/signature.ts'
import type { Signer } from '../signer.ts'

/**
 * Where each algorithm signs. An ed25519 or P-256 signature takes 25 to 45 µs, and the thread pool
 * costs 20 µs more CPU than it saves; the others take 1 to 5 ms and would hold the event loop.
 */
const threads = {
  'ssh-ed25519': 'main',
  'ecdsa-sha2-nistp256': 'main',
  'ecdsa-sha2-nistp384': 'pool',
  'ecdsa-sha2-nistp521': 'pool',
  'rsa-sha2-512': 'pool',
} as const satisfies Record<SignatureAlgorithm, 'main' | 'pool'>

/**
 * A signer whose key is in this process's memory: a fresh ed25519 key unless one is given.
 * Codes: `invalid_config` for a key that can be no CA's, `weak_key` for one that is too weak.
 */
export const createMemorySigner = (
  privateKey: KeyObject = generateKeyPairSync('ed25519').privateKey,
): Signer => {
  const publicKey = encodePublicKey(privateKey)
  const type = publicKey === undefined ? '' : decodePublicKey(publicKey).type
  if (publicKey === undefined || !isAuthorityKeyType(type)) {
    throw new AppError('invalid_config', 'A CA key must be ed25519, ECDSA P-256/384/521 or RSA.')
  }
  const algorithm = authorityAlgorithms[type]
  const { hash } = signatureAlgorithms[algorithm]
  // Only where it says something: a bare key signs a fifth faster than one inside an object.
  const isEcdsa = keyTypes[type].family === 'ecdsa'
  let key: KeyObject | undefined = privateKey

  const signInPool = (data: Uint8Array, given: Parameters<typeof sign>[2]): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      sign(hash, data, given, (error, raw) => (error === null ? resolve(raw) : reject(error)))
    })
  return Object.freeze({
    algorithm,
    publicKey,
    external: false,
    sign: (data: Uint8Array) => {
      if (key === undefined) {
        const message = 'The signing key has been closed: try again.'
        return Promise.reject(new AppError('signer_unavailable', message))
      }
      const given = isEcdsa ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key
      const encode = (raw: Uint8Array) => encodeSignature(algorithm, raw)
      if (threads[algorithm] === 'main') return encode(sign(hash, data, given))
      return signInPool(data, given).then(encode)
    },
    close: async () => {
      key = undefined
    },
  })
}
