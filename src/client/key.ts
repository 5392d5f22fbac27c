import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { concat, encodeBase64, encodeUtf8 } from '../lib/bytes.ts'
import type { Random } from '../lib/ids.ts'
import { formatPublicKey } from '../ssh/keys.ts'
import { encodeSignature } from '../ssh/signature.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../ssh/wire.ts'

const type = 'ssh-ed25519'

/** An ed25519 key pair that is in memory and nowhere else. */
export interface MemoryKey {
  /** `ssh-ed25519 AAAA…`. */
  readonly publicKey: string
  /** The public key's wire blob (RFC 4253 section 6.6). */
  readonly blob: Uint8Array
  /** The SSH signature blob over `data`. @throws TypeError once the key is wiped. */
  sign(data: Uint8Array): Uint8Array
  /**
   * The private key as ssh-keygen writes it (`-----BEGIN OPENSSH PRIVATE KEY-----`), for a transport
   * that wants it whole. The bytes are zeroed with the key.
   */
  exportPrivateKey(): Uint8Array
  /**
   * Forgets the key. Zeroed at once: every buffer that `exportPrivateKey` answered. Out of
   * JavaScript's reach: the key itself lives in OpenSSL's memory, which zeroes it when the garbage
   * collector lets go of it, and a string made of an export cannot be zeroed at all.
   */
  wipe(): void
}

/** Makes a key pair. Its private half is never in JavaScript's memory unless it is exported. */
export const createMemoryKey = (random: Random): MemoryKey => {
  const pair = generateKeyPairSync('ed25519')
  let secret: typeof pair.privateKey | undefined = pair.privateKey
  const exported: Uint8Array[] = []
  // The last 32 bytes of an ed25519 SubjectPublicKeyInfo are the key (RFC 8410 section 4).
  const point = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const blob = encodeStrings(type, point)
  const use = () => {
    if (secret === undefined) throw new TypeError('the key has been wiped')
    return secret
  }
  return Object.freeze({
    publicKey: formatPublicKey({ type, blob }),
    blob,
    sign: (data: Uint8Array) => encodeSignature(type, signBytes(null, data, use())),
    exportPrivateKey() {
      const der = use().export({ type: 'pkcs8', format: 'der' })
      const text = encodePrivateKey(blob, der.subarray(-32), point, random)
      der.fill(0)
      exported.push(text)
      return text
    },
    wipe() {
      secret = undefined
      for (const bytes of exported.splice(0)) bytes.fill(0)
    },
  })
}

/** OpenSSH's own format, without a passphrase (PROTOCOL.key). */
const encodePrivateKey = (
  blob: Uint8Array,
  seed: Uint8Array,
  point: Uint8Array,
  random: Random,
): Uint8Array => {
  const check = random(4)
  const both = concat(seed, point)
  const fields = concat(check, check, encodeStrings(type, point, both, ''))
  // Padded to the cipher's block, 8 bytes for none, with 1, 2, 3, …
  const padding = Uint8Array.from({ length: (8 - (fields.length % 8)) % 8 }, (_, at) => at + 1)
  const secretPart = concat(fields, padding)
  const file = concat(
    encodeUtf8('openssh-key-v1\0'),
    encodeStrings('none', 'none', ''),
    encodeUint32(1),
    encodeString(blob),
    encodeString(secretPart),
  )
  const text = formatPem(file)
  for (const bytes of [both, fields, secretPart, file]) bytes.fill(0)
  return text
}

/** Base64 in lines; only short strings, each of one line, are made on the way. */
const formatPem = (file: Uint8Array): Uint8Array => {
  const begin = '-----BEGIN OPENSSH PRIVATE KEY-----\n'
  const end = '-----END OPENSSH PRIVATE KEY-----\n'
  const parts: Uint8Array[] = [encodeUtf8(begin)]
  // 51 bytes are 68 characters.
  for (let at = 0; at < file.length; at += 51) {
    parts.push(encodeUtf8(`${encodeBase64(file.subarray(at, at + 51))}\n`))
  }
  const text = concat(...parts, encodeUtf8(end))
  for (const part of parts) part.fill(0)
  return text
}
