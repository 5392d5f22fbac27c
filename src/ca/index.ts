import { AppError } from '../errors.ts'
import { encodeUtf8, isEqual } from '../lib/bytes.ts'
import { type Clock, formatTime, toSeconds } from '../lib/clock.ts'
import { authorityAlgorithms, isAuthorityKeyType } from '../ssh/algorithms.ts'
import { decodePublicKey, formatPublicKey, type PublicKey } from '../ssh/keys.ts'
import { createVerifier } from '../ssh/signature.ts'
import { checkIntent, checkSigned, type Issuer } from './check.ts'
import { createEncoder } from './encode.ts'
import { findPublished } from './published.ts'
import type { Signer } from './signer.ts'

export { parsePublicKey } from '../ssh/keys.ts'
export type { PublicKey }

/**
 * A certificate as decided, before it is signed. Times are seconds since 1970; `validBefore` is
 * exclusive (OpenSSH PROTOCOL.certkeys).
 */
export interface CertificateIntent {
  readonly publicKey: PublicKey
  readonly serial: bigint
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: number
  readonly validBefore: number
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
}

/** A signed certificate that has passed its own check. */
export interface Certified {
  /** One line, `TYPE BASE64`, without a comment. */
  readonly text: string
  readonly intent: CertificateIntent
}

/**
 * The CA. Only issue.ts asks it to certify.
 */
export interface Authority {
  /** The CA's public key, `TYPE BASE64`, ready for `TrustedUserCAKeys`. */
  readonly publicKey: string
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
  /**
   * Signs exactly this. Refuses an unsound intent whoever asks (`unsound_certificate`); `key_in_use`
   * for a key that is the CA's own; `signer_unavailable` where the key does not answer;
   * `signer_selfcheck` where an independent parse of the result finds anything but the intent.
   */
  certify(intent: CertificateIntent): Promise<Certified>
  /** A test signature, kept for 10 s, over a text that can be read as no certificate. */
  check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>
  close(): Promise<void>
}

const signSeconds = 5
const proofMilliseconds = 10_000

/**
 * Opens the CA over its key. A key inside the process is proved here, by a signature that is
 * verified; one outside is proved with every certificate.
 * Codes: `invalid_config` for a key that may be no CA's; `signer_unavailable` where it does not
 * answer; `signer_selfcheck` where its signature does not verify.
 */
export const createAuthority = async (deps: {
  readonly signer: Signer
  readonly clock: Clock
  readonly maxTtlSeconds: number
  readonly backdateSeconds: number
}): Promise<Authority> => {
  const { signer, clock } = deps
  const key = decodeIssuer(signer)
  const { algorithm, external } = signer
  const verify = createVerifier(key.blob)
  const issuer: Issuer = { publicKey: key.blob, algorithm, external, verify }
  const encode = createEncoder(key.blob)

  const sign = (data: Uint8Array) => withDeadline(async () => signer.sign(data))
  const prove = async (): Promise<void> => {
    // No certificate: it would begin with a length, and these letters make one of 1.8 GB. No SSHSIG
    // either, which begins with its own name.
    const text = encodeUtf8(`postern: the CA key answers, ${formatTime(clock())}`)
    if (verify(text, await sign(text)) === true) return
    throw new AppError('signer_selfcheck', 'The CA key made a signature that does not verify.')
  }
  if (!external) await prove()

  let proof: { readonly at: number; readonly result: ReturnType<Authority['check']> } | undefined
  return Object.freeze({
    publicKey: formatPublicKey(key),
    fingerprint: key.fingerprint,
    async certify(intent: CertificateIntent) {
      const now = toSeconds(clock())
      // A second or two may pass between the decision and here; that is nobody's fault but ours.
      if (intent.validBefore <= now) {
        throw new AppError(
          'overloaded',
          'The certificate would have ended before it was signed: ask again, or for a longer ttl.',
          { retryAfter: 1 },
        )
      }
      checkIntent(intent, deps, now)
      if (isEqual(intent.publicKey.blob, key.blob)) {
        throw new AppError(
          'key_in_use',
          'This key may not be certified, for it is the CA’s own: make one of your own with "ssh-keygen -t ed25519".',
        )
      }
      const text = await encode(intent, sign)
      checkSigned(text, intent, issuer)
      return Object.freeze({ text, intent })
    },
    check() {
      const at = clock().getTime()
      const age = at - (proof?.at ?? Number.NEGATIVE_INFINITY)
      if (proof === undefined || age < 0 || age >= proofMilliseconds) {
        proof = { at, result: prove().then(() => ({ ok: true }) as const, describe) }
      }
      return proof.result
    },
    close: () => signer.close(),
  })
}

/** The CA's key, checked as strictly as a user's, and for what a CA's may not be. */
const decodeIssuer = (signer: Signer): PublicKey => {
  const refuse = (message: string, hint: string, cause?: unknown) =>
    new AppError('invalid_config', message, { hint, ...(cause === undefined ? {} : { cause }) })
  let key: PublicKey
  try {
    key = decodePublicKey(signer.publicKey)
  } catch (cause) {
    throw refuse('The CA key does not pass the checks of a public key.', makeKey, cause)
  }
  if (!isAuthorityKeyType(key.type) || authorityAlgorithms[key.type] !== signer.algorithm) {
    throw refuse('The CA key must be ed25519, ECDSA or RSA (signing with SHA-512).', makeKey)
  }
  const place = findPublished(key.fingerprint)
  if (place !== undefined) {
    throw refuse(`The private half of this CA key is published: ${place}.`, makeKey)
  }
  return key
}

const makeKey = 'postern init makes a CA key; or: ssh-keygen -t ed25519 -f CA_KEY'

const describe = (error: unknown) => {
  const reason = error instanceof AppError ? error.message : 'the CA key does not answer'
  return { ok: false, reason } as const
}

/** Whatever a signer does, the caller hears within 5 s, and hears of nothing but the key. */
const withDeadline = (work: () => Promise<Uint8Array>): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const fail = (detail: string, cause?: unknown) =>
      reject(
        new AppError('signer_unavailable', 'The signing key does not answer: try again.', {
          detail,
          ...(cause === undefined ? {} : { cause }),
        }),
      )
    const timer = setTimeout(() => fail(`no answer in ${signSeconds} s`), signSeconds * 1000)
    work()
      .then(resolve, (error: unknown) => {
        if (error instanceof AppError) reject(error)
        else fail('the signer failed', error)
      })
      .finally(() => clearTimeout(timer))
  })
