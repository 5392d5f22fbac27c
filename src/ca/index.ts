import type { PublicKey } from '../ssh/keys.ts'

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
