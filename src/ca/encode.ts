import sshpk from 'sshpk'
import { concat, encodeBase64 } from '../lib/bytes.ts'
import { fromSeconds } from '../lib/clock.ts'
import { systemRandom } from '../lib/ids.ts'
import { keyTypes } from '../ssh/algorithms.ts'
import { encodeCertificate, encodeOptionData, type Option } from '../ssh/certificate.ts'
import { encodeString } from '../ssh/wire.ts'
import { listOptions } from './check.ts'
import type { CertificateIntent } from './index.ts'

/** Signs to-be-signed bytes: resolves with an SSH signature blob. */
export type SignBytes = (signed: Uint8Array) => Promise<Uint8Array>

/** Writes and signs a certificate: one line, `TYPE BASE64`. The intent must have been checked. */
export type Encoder = (intent: CertificateIntent, sign: SignBytes) => Promise<string>

/** "Typically 16 or 32 bytes" (PROTOCOL.certkeys): it makes the signed bytes unforeseeable. */
const nonceBytes = 32

/**
 * An encoder for one CA key, which is parsed once. sshpk writes the certificates of the key types
 * it reads; it knows no FIDO key, and those are written by our own encoder.
 */
export const createEncoder = (issuer: Uint8Array): Encoder => {
  const issuerKey = sshpk.parseKey(toBuffer(issuer), 'rfc4253')
  const issuerName = sshpk.identityForHost('ca')

  const signWithSshpk = (intent: CertificateIntent, sign: SignBytes): Promise<Uint8Array> => {
    const certificate = new sshpk.Certificate({
      subjects: intent.principals.map((name) => sshpk.identityForUser(name)),
      subjectKey: sshpk.parseKey(toBuffer(intent.publicKey.blob), 'rfc4253'),
      issuer: issuerName,
      issuerKey,
      serial: encodeSerial(intent.serial),
      validFrom: fromSeconds(intent.validAfter),
      validUntil: fromSeconds(intent.validBefore),
      signatures: {
        openssh: {
          nonce: toBuffer(systemRandom(nonceBytes)),
          keyId: intent.keyId,
          exts: [
            ...listExtensions(intent.criticalOptions, true),
            ...listExtensions(intent.extensions, false),
          ],
        },
      },
    })
    return new Promise((resolve, reject) => {
      sshpk.Certificate.formats.openssh.signAsync(
        certificate,
        // The result is the very bytes that were signed: sshpk's writer would encode them again.
        (signed, done) => {
          sign(signed).then((signature) => {
            resolve(concat(signed, encodeString(signature)))
            done(undefined, { toBuffer: () => toBuffer(signature) })
          }, reject)
        },
        (error) => {
          if (error !== undefined) reject(error)
        },
      )
    })
  }

  const signDirectly = async (intent: CertificateIntent, sign: SignBytes): Promise<Uint8Array> => {
    const signed = encodeCertificate({
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
    return concat(signed, encodeString(await sign(signed)))
  }

  return async (intent, sign) => {
    const { certificate, family } = keyTypes[intent.publicKey.type]
    const isFido = family === 'sk-ed25519' || family === 'sk-ecdsa'
    const blob = await (isFido ? signDirectly : signWithSshpk)(intent, sign)
    return `${certificate} ${encodeBase64(blob)}`
  }
}

const encodeSerial = (serial: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(serial)
  return bytes
}

const listExtensions = (options: Readonly<Record<string, string>>, critical: boolean) =>
  listOptions(options).map(({ name, value }: Option) => ({
    critical,
    name,
    data: toBuffer(encodeOptionData(value)),
  }))

/** sshpk takes Buffers only. */
const toBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
