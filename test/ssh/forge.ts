import type { Signer } from '../../src/ca/signer.ts'
import { concat, encodeBase64 } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import {
  createReader,
  encodeString,
  encodeStrings,
  encodeUint32,
  encodeUint64,
} from '../../src/ssh/wire.ts'

/** An option as its name and its bytes, in whatever order and number. */
export type RawOption = readonly [name: string, data: Uint8Array]

/** A value as sshd reads it: a string inside the string. */
export const value = (text: string): Uint8Array => encodeString(text)

/** A flag has no bytes. */
export const flag = new Uint8Array()

/**
 * A certificate over an ed25519 key that no part of ours would write, to see what sshd makes of
 * it (PROTOCOL.certkeys): options and principals stand exactly as given.
 */
export const forgeCertificate = async (given: {
  readonly signer: Pick<Signer, 'publicKey' | 'sign'>
  /** The line of the key to certify. */
  readonly publicKey: string
  readonly principals: readonly string[]
  readonly kind?: 'user' | 'host'
  readonly serial?: bigint
  readonly keyId?: string
  /** Seconds since 1970; an hour around now unless given. */
  readonly validAfter?: number
  readonly validBefore?: number
  readonly criticalOptions?: readonly RawOption[]
  readonly extensions?: readonly RawOption[]
}): Promise<string> => {
  const { signer, principals, kind = 'user', serial = 1n, keyId = 'forged' } = given
  const now = Math.floor(Date.now() / 1000)
  const { validAfter = now - 1800, validBefore = now + 1800 } = given
  const reader = createReader(parsePublicKey(given.publicKey).blob)
  reader.readString()
  const type = 'ssh-ed25519-cert-v01@openssh.com'
  const signed = concat(
    encodeStrings(type, new Uint8Array(32), reader.readString()),
    encodeUint64(serial),
    encodeUint32(kind === 'user' ? 1 : 2),
    encodeStrings(keyId, encodeStrings(...principals)),
    encodeUint64(BigInt(validAfter)),
    encodeUint64(BigInt(validBefore)),
    encodeOptions(given.criticalOptions),
    encodeOptions(given.extensions),
    encodeStrings('', signer.publicKey),
  )
  return `${type} ${encodeBase64(concat(signed, encodeString(await signer.sign(signed))))}`
}

const encodeOptions = (options: readonly RawOption[] = []): Uint8Array =>
  encodeString(concat(...options.map(([name, data]) => encodeStrings(name, data))))
