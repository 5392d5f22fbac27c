import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { concat, encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import type { AuthorityKeyType, KeyType } from '../../src/ssh/algorithms.ts'
import { decodePublicKey, formatPublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeMpint, encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'

const makers = {
  'ssh-ed25519': () => generateKeyPairSync('ed25519'),
  'ecdsa-sha2-nistp256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'ecdsa-sha2-nistp384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'ecdsa-sha2-nistp521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'ssh-rsa': () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
} as const satisfies Record<AuthorityKeyType, () => { readonly privateKey: KeyObject }>

export const authorityTypes = Object.keys(makers) as readonly AuthorityKeyType[]

export const createPrivate = (type: AuthorityKeyType): KeyObject => makers[type]().privateKey

/** The public line of a node:crypto key. */
export const formatLine = (key: KeyObject): string => {
  const blob = encodePublicKey(key)
  if (blob === undefined) throw new Error('a key SSH does not have')
  return formatPublicKey(decodePublicKey(blob))
}

/** Made by OpenSSH's software authenticator (Debian's openssh-tests); the private halves are gone. */
export const fidoLines = {
  'sk-ssh-ed25519@openssh.com':
    'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIIUQQzGtVK5sRq9E+xExmNHz7TplULlocFYUFj6yVM5DAAAABHNzaDo=',
  'sk-ecdsa-sha2-nistp256@openssh.com':
    'sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBEawHpEXADrxC+90lLK5GC9EnznEX3mw0HMRKmcj8UD2ZJeDiBxr5zCATh+A0uXAmjkrGZODkqv12uLSXKN2G8wAAAAEc3NoOg==',
} as const satisfies Partial<Record<KeyType, string>>

/** A fresh line of each type we certify. */
export const createLines = (): Readonly<Record<KeyType, string>> => ({
  'ssh-ed25519': formatLine(createPrivate('ssh-ed25519')),
  'ecdsa-sha2-nistp256': formatLine(createPrivate('ecdsa-sha2-nistp256')),
  'ecdsa-sha2-nistp384': formatLine(createPrivate('ecdsa-sha2-nistp384')),
  'ecdsa-sha2-nistp521': formatLine(createPrivate('ecdsa-sha2-nistp521')),
  'ssh-rsa': formatLine(createPrivate('ssh-rsa')),
  ...fidoLines,
})

/** A line over whatever stands in a blob. */
export const line = (type: string, ...fields: readonly (Uint8Array | string)[]): string =>
  `${type} ${encodeBase64(encodeStrings(type, ...fields))}`

/** An `ssh-rsa` line of any two numbers. */
export const rsaLine = (modulus: bigint, exponent: bigint): string => {
  const magnitude = (value: bigint) => {
    const hex = value.toString(16)
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  }
  const blob = concat(
    encodeString('ssh-rsa'),
    encodeMpint(magnitude(exponent)),
    encodeMpint(magnitude(modulus)),
  )
  return `ssh-rsa ${encodeBase64(blob)}`
}

/** An ed25519 private key of a known seed (RFC 8410 section 7). */
export const createFromSeed = (seedHex: string): KeyObject =>
  createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${seedHex}`, 'hex'),
    format: 'der',
    type: 'pkcs8',
  })

/** OpenSSH's private key format (PROTOCOL.key), without a passphrase. */
export const formatOpenSsh = (publicBlob: Uint8Array, privatePart: Uint8Array): string => {
  const secret = concat(encodeUint32(7), encodeUint32(7), privatePart, encodeString('comment'))
  const pad = Uint8Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, n) => n + 1)
  const blob = concat(
    encodeUtf8('openssh-key-v1\0'),
    encodeStrings('none', 'none', ''),
    encodeUint32(1),
    encodeStrings(publicBlob, concat(secret, pad)),
  )
  const lines = encodeBase64(blob).match(/.{1,70}/g) ?? []
  const label = 'OPENSSH PRIVATE KEY'
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
