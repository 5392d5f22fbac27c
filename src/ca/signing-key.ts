import { AppError } from '../errors.ts'
import { encodeUtf8 } from '../lib/bytes.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import { authorityAlgorithms, isAuthorityKeyType } from '../ssh/algorithms.ts'
import { decodePublicKey, formatPublicKey, type PublicKey } from '../ssh/keys.ts'
import { createVerifier } from '../ssh/signature.ts'
import { checkSigned, type Issuer } from './check.ts'
import { createEncoder, type SignBytes } from './encode.ts'
import type { CertificateIntent } from './index.ts'
import { findPublished } from './published.ts'
import type { Signer } from './signer.ts'

/** A key of the CA that can sign. What it signs, and when, is the Authority's to say. */
export interface SigningKey {
  /** `TYPE BASE64`. */
  readonly publicKey: string
  readonly fingerprint: string
  /** The certificate's text, checked. Codes: `signer_unavailable`, `signer_selfcheck` */
  signCertificate(intent: CertificateIntent): Promise<string>
  /** A test signature, verified. Codes: `signer_unavailable`, `signer_selfcheck` */
  prove(): Promise<void>
  /** Resolves once the certificates under way are signed, and the key is closed. */
  close(): Promise<void>
}

/**
 * The key of a signer, checked as strictly as a user's, and for what a CA's may not be; `sign` is how
 * the Authority has it sign. Code: `invalid_config`
 */
export const createSigningKey = (given: {
  readonly signer: Pick<Signer, 'publicKey' | 'algorithm' | 'external' | 'close'>
  readonly sign: SignBytes
  readonly clock: Clock
}): SigningKey => {
  const { signer, sign, clock } = given
  const key = decodeIssuer(signer)
  const { algorithm, external } = signer
  const verify = createVerifier(key.blob)
  const issuer: Issuer = { publicKey: key.blob, algorithm, external, verify }
  const encode = createEncoder(key.blob)
  const underWay = new Set<Promise<string>>()
  const follow = async (signing: Promise<string>): Promise<string> => {
    underWay.add(signing)
    try {
      return await signing
    } finally {
      underWay.delete(signing)
    }
  }

  return Object.freeze({
    publicKey: formatPublicKey(key),
    fingerprint: key.fingerprint,
    async signCertificate(intent: CertificateIntent) {
      const signing = encode(intent, sign)
      const text = typeof signing === 'string' ? signing : await follow(signing)
      checkSigned(text, intent, issuer)
      return text
    },
    async prove() {
      // No certificate: it would begin with a length, and these letters make one of 1.8 GB. No SSHSIG
      // either, which begins with its own name.
      const text = encodeUtf8(`postern: the CA key answers, ${formatTime(clock())}`)
      if (verify(text, await sign(text)) === true) return
      throw new AppError('signer_selfcheck', 'The CA key made a signature that does not verify.')
    },
    async close() {
      await Promise.allSettled(underWay)
      await signer.close()
    },
  })
}

/** What a signer's key is known by. Code: `invalid_config` for a key that may be no CA's. */
export const describeSigner = (
  signer: Pick<Signer, 'publicKey' | 'algorithm'>,
): Pick<SigningKey, 'fingerprint' | 'publicKey'> => {
  const key = decodeIssuer(signer)
  return { fingerprint: key.fingerprint, publicKey: formatPublicKey(key) }
}

const makeKey = 'postern init makes a CA key; or: ssh-keygen -t ed25519 -f CA_KEY'

const decodeIssuer = (signer: Pick<Signer, 'publicKey' | 'algorithm'>): PublicKey => {
  const refuse = (message: string, cause?: unknown) =>
    new AppError('invalid_config', message, {
      hint: makeKey,
      ...(cause === undefined ? {} : { cause }),
    })
  let key: PublicKey
  try {
    key = decodePublicKey(signer.publicKey)
  } catch (cause) {
    throw refuse('The CA key does not pass the checks of a public key.', cause)
  }
  if (!isAuthorityKeyType(key.type) || authorityAlgorithms[key.type] !== signer.algorithm) {
    throw refuse('The CA key must be ed25519, ECDSA or RSA (signing with SHA-512).')
  }
  const place = findPublished(key.fingerprint)
  if (place !== undefined) {
    throw refuse(`The private half of this CA key is published: ${place}.`)
  }
  return key
}
