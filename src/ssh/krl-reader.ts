import { isEqual, sha256 } from '../lib/bytes.ts'
import type { Certificate } from './certificate.ts'
import { joinRanges, krlFormat, type SerialRange } from './krl.ts'
import { createReader, type Reader, WireError } from './wire.ts'

/** A KRL, read. */
export interface Krl {
  readonly version: bigint
  /** Seconds since 1970. */
  readonly generated: number
  readonly comment: string
  readonly certificates: readonly {
    /** The CA's wire blob; undefined for what is revoked under any CA. */
    readonly authority: Uint8Array | undefined
    /** Sorted; nothing overlaps or touches. */
    readonly ranges: readonly SerialRange[]
    readonly keyIds: ReadonlySet<string>
  }[]
  readonly keys: readonly Uint8Array[]
  /** SHA-256 of keys' blobs. */
  readonly fingerprints: readonly Uint8Array[]
}

const pastEnd = 1n << 64n

/**
 * Reads a KRL (PROTOCOL.krl) as strictly as the strictest OpenSSH: magic and format version, no
 * signature, no section it does not know, nothing left over, nothing in the reserved fields. What
 * is cut off at the end of a section is still a KRL: compare its length with what was signed.
 * @throws WireError
 */
export const decodeKrl = (bytes: Uint8Array): Krl => {
  const reader = createReader(bytes)
  for (const byte of krlFormat.magic) {
    if (reader.readByte() !== byte) throw new WireError('not a KRL')
  }
  if (reader.readUint32() !== krlFormat.version) throw new WireError('a KRL of another version')
  const version = reader.readUint64()
  const generated = Number(reader.readUint64())
  reader.readUint64()
  if (reader.readString().length > 0) throw new WireError('the reserved field is not empty')
  const comment = reader.readText()
  const certificates: Krl['certificates'][number][] = []
  const keys: Uint8Array[] = []
  const fingerprints: Uint8Array[] = []
  while (!reader.isAtEnd()) {
    const type = reader.readByte()
    const section = createReader(reader.readString())
    if (type === krlFormat.section.certificates) certificates.push(readCertificates(section))
    else if (type === krlFormat.section.keys) keys.push(...readBlobs(section))
    else if (type === krlFormat.section.sha256) fingerprints.push(...readBlobs(section, 32))
    else if (type === krlFormat.section.signature) throw new WireError('the KRL is signed')
    else throw new WireError('a section of an unknown type')
  }
  return Object.freeze({ version, generated, comment, certificates, keys, fingerprints })
}

const readBlobs = (section: Reader, length?: number): readonly Uint8Array[] => {
  const blobs: Uint8Array[] = []
  while (!section.isAtEnd()) {
    const blob = section.readString()
    if (blob.length === 0 || (length ?? blob.length) !== blob.length) {
      throw new WireError('a key or hash of another length')
    }
    blobs.push(blob)
  }
  return blobs
}

const readCertificates = (section: Reader): Krl['certificates'][number] => {
  const { certificateSection } = krlFormat
  const authority = section.readString()
  if (section.readString().length > 0) throw new WireError('the reserved field is not empty')
  const ranges: SerialRange[] = []
  const keyIds = new Set<string>()
  const add = (from: bigint, to: bigint) => {
    if (from === 0n || to < from || to >= pastEnd) throw new WireError('no serials to revoke')
    ranges.push({ from, to })
  }
  while (!section.isAtEnd()) {
    const type = section.readByte()
    const part = createReader(section.readString())
    if (type === certificateSection.range) {
      add(part.readUint64(), part.readUint64())
      part.checkEnd()
    } else if (type === certificateSection.bitmap) {
      const offset = part.readUint64()
      for (const bit of listBits(part.readMpint())) add(offset + bit, offset + bit)
      part.checkEnd()
    } else if (type === certificateSection.serials) {
      while (!part.isAtEnd()) {
        const serial = part.readUint64()
        add(serial, serial)
      }
    } else if (type === certificateSection.keyIds) {
      while (!part.isAtEnd()) keyIds.add(part.readText())
    } else throw new WireError('a section of an unknown type')
  }
  return {
    authority: authority.length === 0 ? undefined : authority,
    ranges: joinRanges(ranges),
    keyIds,
  }
}

function* listBits(magnitude: Uint8Array): Generator<bigint> {
  for (let bit = 0; bit < magnitude.length * 8; bit++) {
    const byte = magnitude[magnitude.length - 1 - (bit >> 3)] as number
    if ((byte & (1 << (bit & 7))) !== 0) yield BigInt(bit)
  }
}

/** As much of a certificate as a KRL speaks of. */
export type RevocableCertificate = Pick<Certificate, 'authority' | 'serial' | 'keyId' | 'publicKey'>

/** Whether a host with this KRL refuses the certificate, in OpenSSH's way (krl.c `ssh_krl_check_key`). */
export const isRevoked = (krl: Krl, certificate: RevocableCertificate): boolean =>
  [certificate.publicKey, certificate.authority].some((key) => isKeyRevoked(krl, key)) ||
  krl.certificates.some(
    ({ authority, ranges, keyIds }) =>
      (authority === undefined || isEqual(authority, certificate.authority)) &&
      (keyIds.has(certificate.keyId) || holds(ranges, certificate.serial)),
  )

/** Whether a host with this KRL refuses the key itself. */
export const isKeyRevoked = (krl: Krl, key: Uint8Array): boolean => {
  const hash = sha256(key)
  return (
    krl.keys.some((revoked) => isEqual(revoked, key)) ||
    krl.fingerprints.some((revoked) => isEqual(revoked, hash))
  )
}

const holds = (ranges: readonly SerialRange[], serial: bigint): boolean => {
  let [low, high] = [0, ranges.length - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const { from, to } = ranges[middle] as SerialRange
    if (serial < from) high = middle - 1
    else if (serial > to) low = middle + 1
    else return true
  }
  return false
}
