import sshpk, { type Key } from 'sshpk'
import { fromSeconds } from '../lib/clock.ts'
import { systemRandom } from '../lib/ids.ts'
import { keyTypes } from '../ssh/algorithms.ts'
import { encodeCertificate, encodeOptionData, type Option } from '../ssh/certificate.ts'
import { createReader, encodeString } from '../ssh/wire.ts'
import { listOptions } from './check.ts'
import type { CertificateIntent, PublicKey } from './index.ts'

/** Signs to-be-signed bytes: answers with an SSH signature blob, at once or by a promise. */
export type SignBytes = (signed: Uint8Array) => Uint8Array | Promise<Uint8Array>

/**
 * Writes and signs a certificate: one line, `TYPE BASE64`, as soon as there is a signature. The
 * intent must have been checked.
 */
export type Encoder = (intent: CertificateIntent, sign: SignBytes) => string | Promise<string>

/** "Typically 16 or 32 bytes" (PROTOCOL.certkeys): it makes the signed bytes unforeseeable. */
const nonceBytes = 32

/**
 * An encoder for one CA key, which is parsed once. sshpk writes the certificates of the key types
 * it reads; it knows no FIDO key, and those are written by our own encoder.
 */
export const createEncoder = (issuer: Uint8Array): Encoder => {
  const issuerKey = sshpk.parseKey(Buffer.from(issuer), 'rfc4253')
  const issuerName = sshpk.identityForHost('ca')

  const encodeWithSshpk = (intent: CertificateIntent, subjectKey: Key): Uint8Array => {
    const certificate = new sshpk.Certificate({
      subjects: intent.principals.map((name) => sshpk.identityForUser(name)),
      subjectKey,
      issuer: issuerName,
      issuerKey,
      serial: encodeSerial(intent.serial),
      validFrom: fromSeconds(intent.validAfter),
      validUntil: fromSeconds(intent.validBefore),
      signatures: {
        openssh: {
          nonce: Buffer.from(systemRandom(nonceBytes)),
          keyId: intent.keyId,
          exts: [
            ...listExtensions(intent.criticalOptions, true),
            ...listExtensions(intent.extensions, false),
          ],
        },
      },
    })
    // sshpk hands over the bytes to sign at once. It is told no signature: its writer would encode
    // them all again, where these very bytes are what was signed.
    let signed: Uint8Array | undefined
    sshpk.Certificate.formats.openssh.signAsync(
      certificate,
      (bytes) => {
        signed = bytes
      },
      (error) => {
        throw error
      },
    )
    if (signed === undefined) throw new TypeError('sshpk has written no certificate')
    return signed
  }

  const encodeDirectly = (intent: CertificateIntent): Uint8Array =>
    encodeCertificate({
      nonce: systemRandom(nonceBytes),
      publicKey: intent.publicKey.blob,
      serial: intent.serial,
      keyId: intent.keyId,
      principals: intent.principals,
      validAfter: BigInt(intent.validAfter),
      validBefore: BigInt(intent.validBefore),
      criticalOptions: listOptions(intent.criticalOptions),
      extensions: listOptions(intent.extensions),
      authority: issuer,
    })

  return (intent, sign) => {
    const { certificate } = keyTypes[intent.publicKey.type]
    const subjectKey = findSshpkKey(intent.publicKey)
    const signed =
      subjectKey === undefined ? encodeDirectly(intent) : encodeWithSshpk(intent, subjectKey)
    const format = (signature: Uint8Array) =>
      `${certificate} ${Buffer.concat([signed, encodeString(signature)]).toString('base64')}`
    const signature = sign(signed)
    return signature instanceof Uint8Array ? format(signature) : signature.then(format)
  }
}

/** The fields of a key's blob in their order, by sshpk's names (algs.js). */
const sshpkParts = {
  ed25519: ['A'],
  ecdsa: ['curve', 'Q'],
  rsa: ['e', 'n'],
  'sk-ed25519': undefined,
  'sk-ecdsa': undefined,
} as const

/**
 * The key as sshpk has it; undefined for a FIDO key. It has passed our checks, so its fields are
 * taken as they stand: sshpk's own parser takes three times as long, and checks less.
 */
const findSshpkKey = ({ type, blob }: PublicKey): Key | undefined => {
  const { family } = keyTypes[type]
  const names = sshpkParts[family]
  if (names === undefined) return undefined
  const reader = createReader(blob)
  reader.readString()
  const parts = names.map((name) => ({ name, data: Buffer.from(reader.readString()) }))
  return new sshpk.Key({ type: family, parts })
}

const encodeSerial = (serial: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(serial)
  return bytes
}

/** A flag's data: made once, for an empty Buffer costs as much as a full one. */
const noData = Buffer.alloc(0)

const listExtensions = (options: Readonly<Record<string, string>>, critical: boolean) =>
  listOptions(options).map(({ name, value }: Option) => ({
    critical,
    name,
    data: value === '' ? noData : Buffer.from(encodeOptionData(value)),
  }))
