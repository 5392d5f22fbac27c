import type { SignatureAlgorithm } from '../ssh/algorithms.ts'

export type { SignatureAlgorithm }

/**
 * A CA key that can sign, wherever it is kept. What every implementation promises
 * (test/contracts/signer.ts):
 *
 * - `sign(data)` answers with an SSH signature blob (RFC 4253 section 6.6: `string algorithm,
 *   string signature`) over exactly `data`, by the key whose public blob is `publicKey`, with
 *   `algorithm`; RSA is never SHA-1. It answers at once where the signature takes no longer than a
 *   promise is worth, and else by one.
 * - A key that cannot be reached, or does not answer within 5 s, is `signer_unavailable`. Never a
 *   partial or empty signature.
 * - Calls may overlap. Each gets the signature of its own data.
 * - The private key leaves no signer, and is in no error.
 * - After `close`, `sign` rejects with `signer_unavailable`.
 *
 * Only ca/index.ts calls it: nothing but a certificate or the readiness text is ever signed.
 */
export interface Signer {
  readonly algorithm: SignatureAlgorithm
  /** The public key as an SSH wire blob (RFC 4253 section 6.6). */
  readonly publicKey: Uint8Array
  /**
   * Whether the key lives outside this process, as in an ssh-agent. Its signatures are then
   * verified one by one; a key of ours is proved at start and by `/readyz`.
   */
  readonly external: boolean
  sign(data: Uint8Array): Uint8Array | Promise<Uint8Array>
  close(): Promise<void>
}
