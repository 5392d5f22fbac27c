import { concat, decodeBase64 } from '../lib/bytes.ts'
import { isAuthorityKeyType, keyTypes } from './algorithms.ts'
import {
  createReader,
  encodeString,
  encodeStrings,
  encodeUint32,
  encodeUint64,
  WireError,
} from './wire.ts'

/** A critical option or an extension; a flag has the empty value. */
export interface Option {
  readonly name: string
  readonly value: string
}

/** What a certificate says, whoever signed it. Times are seconds since 1970, `validBefore` exclusive. */
export interface CertificateFields {
  readonly nonce: Uint8Array
  /** The certified key as a plain wire blob (RFC 4253 section 6.6). */
  readonly publicKey: Uint8Array
  readonly serial: bigint
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: bigint
  readonly validBefore: bigint
  /** In the order of the file: by name, each once. */
  readonly criticalOptions: readonly Option[]
  readonly extensions: readonly Option[]
  /** The CA's public key as a wire blob. */
  readonly authority: Uint8Array
}

/** A certificate, parsed. Its signature has not been verified. */
export interface Certificate extends CertificateFields {
  /** As `ssh-ed25519-cert-v01@openssh.com`. */
  readonly type: string
  readonly kind: 'user' | 'host'
  /** The bytes the signature is over: everything before it. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

const kinds: Readonly<Record<number, Certificate['kind']>> = { 1: 'user', 2: 'host' }
const typePattern = /^[a-z0-9@.-]+$/
const restPattern = /^[^\r\n\0]*\n?$/
const maxPrincipals = 256

/**
 * Reads an OpenSSH certificate (PROTOCOL.certkeys, PROTOCOL.u2f): the one line of a `-cert.pub` file,
 * or its blob. Stricter than sshd: options must be sorted and unique, every text UTF-8, every
 * value one string or a flag, nothing left over. Independent of the library that writes them.
 * @throws WireError
 */
export const parseCertificate = (certificate: string | Uint8Array): Certificate => {
  if (typeof certificate !== 'string') return decodeCertificate(certificate)
  const { type, blob } = splitLine(certificate)
  const parsed = decodeCertificate(blob)
  if (parsed.type !== type) throw new WireError('the line names another type than the blob')
  return parsed
}

/** `TYPE BASE64`, perhaps a space and a comment, perhaps a newline. No pattern runs over the base64. */
const splitLine = (line: string): { readonly type: string; readonly blob: Uint8Array } => {
  const first = line.indexOf(' ')
  const second = line.indexOf(' ', first + 1)
  const end = second >= 0 ? second : line.endsWith('\n') ? line.length - 1 : line.length
  const type = first < 0 ? '' : line.slice(0, first)
  const base64 = line.slice(first + 1, end)
  const blob = base64 === '' ? undefined : decodeBase64(base64)
  if (blob === undefined || !typePattern.test(type) || !restPattern.test(line.slice(end))) {
    throw new WireError('not one line of type and base64')
  }
  return { type, blob }
}

/**
 * By the type of a certificate, how its key is read: the fields stand there as in the key's own blob,
 * which has its own name in front of them.
 */
const certifiedKeys: ReadonlyMap<string, { readonly name: Uint8Array; readonly fields: number }> =
  new Map(
    Object.entries(keyTypes).map(([type, { certificate, fields }]) => [
      certificate,
      { name: encodeString(type), fields },
    ]),
  )

const decodeCertificate = (blob: Uint8Array): Certificate => {
  const reader = createReader(blob)
  const type = reader.readText()
  const key = certifiedKeys.get(type)
  if (key === undefined) throw new WireError('not a certificate of a known type')
  const nonce = reader.readString()
  const start = reader.offset()
  for (let field = 0; field < key.fields; field++) reader.readString()
  const publicKey = concat(key.name, blob.subarray(start, reader.offset()))
  const serial = reader.readUint64()
  const kind = kinds[reader.readUint32()]
  if (kind === undefined) throw new WireError('neither a user nor a host certificate')
  const keyId = reader.readText()
  const principals = readPrincipals(reader.readString())
  const validAfter = reader.readUint64()
  const validBefore = reader.readUint64()
  const criticalOptions = readOptions(reader.readString())
  const extensions = readOptions(reader.readString())
  if (reader.readString().length > 0) throw new WireError('the reserved field is not empty')
  const authority = reader.readString()
  // A certificate signed by a certificate is nothing OpenSSH has, and CVE-2025-49825 elsewhere.
  if (!isAuthorityKeyType(createReader(authority).readText())) {
    throw new WireError('the signing key is of no type a CA may have')
  }
  const signed = blob.subarray(0, reader.offset())
  const signature = reader.readString()
  reader.checkEnd()
  return Object.freeze({
    type,
    nonce,
    publicKey,
    serial,
    kind,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    authority,
    signed,
    signature,
  })
}

const readPrincipals = (bytes: Uint8Array): readonly string[] => {
  const reader = createReader(bytes)
  const principals: string[] = []
  while (!reader.isAtEnd()) {
    principals.push(reader.readText())
    if (principals.length > maxPrincipals) throw new WireError('there are over 256 principals')
  }
  return principals
}

const readOptions = (bytes: Uint8Array): readonly Option[] => {
  const reader = createReader(bytes)
  const options: Option[] = []
  let previous: Uint8Array | undefined
  while (!reader.isAtEnd()) {
    const start = reader.offset()
    const name = reader.readText()
    const written = bytes.subarray(start + 4, reader.offset())
    if (previous !== undefined && Buffer.compare(previous, written) >= 0) {
      throw new WireError('the options are not sorted by name, each once')
    }
    previous = written
    options.push({ name, value: readValue(reader.readString()) })
  }
  return options
}

/** A value is a string inside the string; a flag's data is empty (PROTOCOL.certkeys). */
const readValue = (data: Uint8Array): string => {
  if (data.length === 0) return ''
  const reader = createReader(data)
  const value = reader.readText()
  reader.checkEnd()
  if (value === '') throw new WireError('an option has an empty value')
  return value
}

const isBefore = (a: string, b: string): boolean =>
  Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

/** An option's data as it stands in a certificate: a string inside the string, nothing for a flag. */
export const encodeOptionData = (value: string): Uint8Array =>
  value === '' ? new Uint8Array() : encodeString(value)

/**
 * The to-be-signed bytes of a user certificate for any key type, the FIDO ones included. Options
 * are written sorted by name; twice the same name is a RangeError.
 */
export const encodeCertificate = (fields: CertificateFields): Uint8Array => {
  const reader = createReader(fields.publicKey)
  const type = reader.readText()
  const row = Object.entries(keyTypes).find(([name]) => name === type)?.[1]
  if (row === undefined) throw new RangeError('no key type of ours')
  return concat(
    encodeStrings(row.certificate, fields.nonce),
    fields.publicKey.subarray(reader.offset()),
    encodeUint64(fields.serial),
    encodeUint32(1),
    encodeStrings(fields.keyId, encodeStrings(...fields.principals)),
    encodeUint64(fields.validAfter),
    encodeUint64(fields.validBefore),
    encodeString(encodeOptions(fields.criticalOptions)),
    encodeString(encodeOptions(fields.extensions)),
    encodeStrings('', fields.authority),
  )
}

const encodeOptions = (options: readonly Option[]): Uint8Array => {
  const sorted = options.toSorted((a, b) => (isBefore(a.name, b.name) ? -1 : 1))
  if (new Set(sorted.map(({ name }) => name)).size !== sorted.length) {
    throw new RangeError('an option stands twice')
  }
  return encodeStrings(...sorted.flatMap(({ name, value }) => [name, encodeOptionData(value)]))
}
