/** The user-key types we certify (OpenSSH's names). */
export type KeyType =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'ssh-rsa'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com'

/** A public key that has passed every check of `parsePublicKey`. */
export interface PublicKey {
  readonly type: KeyType
  /** The SSH wire blob (RFC 4253 section 6.6). */
  readonly blob: Uint8Array
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
}
