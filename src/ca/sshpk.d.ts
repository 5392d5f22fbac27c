/** The few members of sshpk 1.18 that we use; it brings no types of its own. */
declare module 'sshpk' {
  import type { Buffer } from 'node:buffer'

  export interface Key {
    readonly type: string
  }

  interface KeyPart {
    /** As in sshpk's algs.js; the parts stand in the order of the wire blob. */
    readonly name: string
    readonly data: Buffer
  }

  interface PrivateKey extends Key {
    readonly part: Readonly<Record<string, { readonly data: Buffer } | undefined>>
    /** PEM, in spite of its name. */
    toBuffer(format: 'pkcs8'): Buffer
    toPublic(): { toBuffer(format: 'rfc4253'): Buffer }
  }

  interface Identity {
    readonly type: string
  }

  interface Certificate {
    readonly serial: Buffer
  }

  interface Signature {
    toBuffer(format: 'ssh'): Buffer
  }

  interface Extension {
    readonly critical: boolean
    readonly name: string
    /** What stands after the name, without its own length: an SSH string, or nothing for a flag. */
    readonly data: Buffer
  }

  const sshpk: {
    readonly Key: {
      new (fields: { readonly type: string; readonly parts: readonly KeyPart[] }): Key
    }
    readonly Certificate: {
      new (fields: {
        readonly subjects: readonly Identity[]
        readonly subjectKey: Key
        readonly issuer: Identity
        readonly issuerKey: Key
        /** Exactly 8 bytes: a shorter one is written left-aligned. */
        readonly serial: Buffer
        readonly validFrom: Date
        readonly validUntil: Date
        readonly signatures: {
          readonly openssh: {
            readonly nonce: Buffer
            readonly keyId: string
            readonly exts: readonly Extension[]
          }
        }
      }): Certificate
      readonly formats: {
        readonly openssh: {
          signAsync(
            certificate: Certificate,
            signer: (signed: Buffer, done: (error: unknown, signature?: Signature) => void) => void,
            done: (error?: unknown) => void,
          ): void
        }
      }
    }
    identityForUser(name: string): Identity
    identityForHost(name: string): Identity
    parseKey(data: Buffer, format: 'rfc4253'): Key
    parsePrivateKey(
      data: string,
      format: 'ssh-private',
      options: { readonly passphrase?: string; readonly filename: string },
    ): PrivateKey
  }
  export default sshpk
}
