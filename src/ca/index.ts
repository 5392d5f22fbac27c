import { AppError } from '../errors.ts'
import { type Clock, toSeconds } from '../lib/clock.ts'
import type { PublicKey } from '../ssh/keys.ts'
import { checkIntent } from './check.ts'
import type { KeyRing, RingKey } from './rotation.ts'
import type { Signer } from './signer.ts'
import { createSigningKey, type SigningKey } from './signing-key.ts'

export { parsePublicKey } from '../ssh/keys.ts'
export type { KeyRing, KeyState, RingKey, RingPlace } from './rotation.ts'
export { hasSigned, isTrusted } from './rotation.ts'
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
  /** The fingerprint of the key that signed it. */
  readonly ca: string
}

/**
 * The CA. Only issue.ts asks it to certify. Its keys are those of the ring: the active one signs.
 */
export interface Authority {
  /** The active key, `TYPE BASE64`, and its `SHA256:…`, as ssh-keygen -l prints it. */
  readonly publicKey: string
  readonly fingerprint: string
  /**
   * Signs exactly this, with the key that is active when it begins. Refuses an unsound intent whoever
   * asks (`unsound_certificate`); `key_in_use` for a key of the ring; `signer_unavailable` where the
   * key does not answer; `signer_selfcheck` where an independent parse of the result finds anything
   * but the intent.
   */
  certify(intent: CertificateIntent): Promise<Certified>
  /** A test signature of the active key, kept for 10 s, over a text that can be read as no certificate. */
  check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>
  /** Takes in a key that may become active; proved as at `createAuthority`. */
  add(signer: Signer): Promise<Pick<RingKey, 'fingerprint' | 'publicKey'>>
  /** Whether the key of this fingerprint is open. */
  has(fingerprint: string): boolean
  /** Proves, by a signature, that a key can sign now. Codes: as `createAuthority`. */
  prove(fingerprint: string): Promise<void>
  /** Closes a key for good, once the certificates it is signing are signed. */
  drop(fingerprint: string): Promise<void>
  close(): Promise<void>
}

const proofMilliseconds = 10_000

/**
 * Opens the CA over the ring's active key. A key inside the process is proved here, by a signature
 * that is verified; one outside is proved with every certificate. A ring of the one key unless given.
 * Codes: `invalid_config` for a key that may be no CA's; `signer_unavailable` where it does not
 * answer; `signer_selfcheck` where its signature does not verify.
 */
export const createAuthority = async (deps: {
  readonly signer: Signer
  readonly ring?: KeyRing
  readonly clock: Clock
  readonly maxTtlSeconds: number
  readonly backdateSeconds: number
}): Promise<Authority> => {
  const { clock } = deps
  const keys = new Map<string, SigningKey>()
  const add = async (signer: Signer): Promise<SigningKey> => {
    const sign = (data: Uint8Array) => signInTime(signer, data)
    const key = createSigningKey({ signer, sign, clock })
    if (!signer.external) await key.prove()
    keys.set(key.fingerprint, key)
    return key
  }
  const first = await add(deps.signer)
  const find = (fingerprint: string): SigningKey => {
    const key = keys.get(fingerprint)
    if (key !== undefined) return key
    throw new AppError('signer_unavailable', 'The signing key is not open: try again.', {
      detail: `${fingerprint} is not open`,
    })
  }
  const prove = async (fingerprint: string) => find(fingerprint).prove()
  const active = () => deps.ring?.active() ?? first
  const isOurs = ({ fingerprint }: PublicKey): boolean =>
    keys.has(fingerprint) ||
    deps.ring?.list().some((key) => key.fingerprint === fingerprint) === true

  let proof: Proof | undefined
  return Object.freeze({
    get publicKey() {
      return active().publicKey
    },
    get fingerprint() {
      return active().fingerprint
    },
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
      if (isOurs(intent.publicKey)) {
        throw new AppError(
          'key_in_use',
          'This key may not be certified, for it is the CA’s own: make one of your own with "ssh-keygen -t ed25519".',
        )
      }
      const key = find(active().fingerprint)
      const text = await key.signCertificate(intent)
      return Object.freeze({ text, intent, ca: key.fingerprint })
    },
    check() {
      const at = clock().getTime()
      const { fingerprint } = active()
      const age = at - (proof?.at ?? Number.NEGATIVE_INFINITY)
      if (proof?.fingerprint !== fingerprint || age < 0 || age >= proofMilliseconds) {
        const result = prove(fingerprint).then(() => ({ ok: true }) as const, describe)
        proof = { fingerprint, at, result }
      }
      return proof.result
    },
    async add(signer: Signer) {
      const { fingerprint, publicKey } = await add(signer)
      return { fingerprint, publicKey }
    },
    has: (fingerprint: string) => keys.has(fingerprint),
    prove,
    async drop(fingerprint: string) {
      const key = keys.get(fingerprint)
      keys.delete(fingerprint)
      await key?.close()
    },
    async close() {
      await Promise.all([...keys.values()].map((key) => key.close()))
    },
  })
}

interface Proof {
  readonly fingerprint: string
  readonly at: number
  readonly result: ReturnType<Authority['check']>
}

const describe = (error: unknown) => {
  const reason = error instanceof AppError ? error.message : 'the CA key does not answer'
  return { ok: false, reason } as const
}

const signSeconds = 5

/**
 * Whatever a signer does, the caller hears within 5 s, and hears of nothing but the key. An answer
 * that is there at once needs no timer.
 */
const signInTime = (signer: Signer, data: Uint8Array): Uint8Array | Promise<Uint8Array> => {
  try {
    const answer = signer.sign(data)
    return answer instanceof Uint8Array ? answer : waitFor(answer)
  } catch (error) {
    throw toUnavailable(error)
  }
}

const waitFor = (answer: Promise<Uint8Array>): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const late = () => reject(unavailable(`no answer in ${signSeconds} s`))
    const timer = setTimeout(late, signSeconds * 1000)
    answer
      .then(resolve, (error: unknown) => reject(toUnavailable(error)))
      .finally(() => clearTimeout(timer))
  })

const toUnavailable = (error: unknown): AppError =>
  error instanceof AppError ? error : unavailable('the signer failed', error)

const unavailable = (detail: string, cause?: unknown): AppError =>
  new AppError('signer_unavailable', 'The signing key does not answer: try again.', {
    detail,
    ...(cause === undefined ? {} : { cause }),
  })
