/** The user-key types we certify (OpenSSH's names). */
export type KeyType =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'ssh-rsa'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com'

/** The NIST curves of RFC 5656 section 10.1, by SSH's names. */
export type Curve = 'nistp256' | 'nistp384' | 'nistp521'

/** The algorithms a CA key signs with (RFC 8709, 5656, 8332). */
export type SignatureAlgorithm =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'rsa-sha2-512'

/** What a signature may be verified by: also `rsa-sha2-256`, which others make. Never SHA-1. */
export type VerifiableAlgorithm = SignatureAlgorithm | 'rsa-sha2-256'

/**
 * Each key type: its family, its curve, the number of fields after the type in its blob, and the
 * name of its certificates (OpenSSH PROTOCOL.certkeys, PROTOCOL.u2f).
 */
export const keyTypes = {
  'ssh-ed25519': {
    family: 'ed25519',
    fields: 1,
    certificate: 'ssh-ed25519-cert-v01@openssh.com',
  },
  'ecdsa-sha2-nistp256': {
    family: 'ecdsa',
    curve: 'nistp256',
    fields: 2,
    certificate: 'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  },
  'ecdsa-sha2-nistp384': {
    family: 'ecdsa',
    curve: 'nistp384',
    fields: 2,
    certificate: 'ecdsa-sha2-nistp384-cert-v01@openssh.com',
  },
  'ecdsa-sha2-nistp521': {
    family: 'ecdsa',
    curve: 'nistp521',
    fields: 2,
    certificate: 'ecdsa-sha2-nistp521-cert-v01@openssh.com',
  },
  'ssh-rsa': { family: 'rsa', fields: 2, certificate: 'ssh-rsa-cert-v01@openssh.com' },
  'sk-ssh-ed25519@openssh.com': {
    family: 'sk-ed25519',
    fields: 2,
    certificate: 'sk-ssh-ed25519-cert-v01@openssh.com',
  },
  'sk-ecdsa-sha2-nistp256@openssh.com': {
    family: 'sk-ecdsa',
    curve: 'nistp256',
    fields: 3,
    certificate: 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
  },
} as const satisfies Record<
  KeyType,
  {
    readonly family: 'ed25519' | 'ecdsa' | 'rsa' | 'sk-ed25519' | 'sk-ecdsa'
    readonly curve?: Curve
    readonly fields: number
    readonly certificate: string
  }
>

/**
 * Each curve: its name in a JWK (RFC 7518 section 6.2.1.1), OpenSSL's name for it, and the bytes of
 * a coordinate.
 */
export const curves = {
  nistp256: { jwk: 'P-256', openssl: 'prime256v1', bytes: 32 },
  nistp384: { jwk: 'P-384', openssl: 'secp384r1', bytes: 48 },
  nistp521: { jwk: 'P-521', openssl: 'secp521r1', bytes: 66 },
} as const satisfies Record<
  Curve,
  { readonly jwk: string; readonly openssl: string; readonly bytes: number }
>

/** Each signature algorithm: the one key type it belongs to, and its hash (ed25519 has its own). */
export const signatureAlgorithms = {
  'ssh-ed25519': { keyType: 'ssh-ed25519', hash: null },
  'ecdsa-sha2-nistp256': { keyType: 'ecdsa-sha2-nistp256', hash: 'sha256' },
  'ecdsa-sha2-nistp384': { keyType: 'ecdsa-sha2-nistp384', hash: 'sha384' },
  'ecdsa-sha2-nistp521': { keyType: 'ecdsa-sha2-nistp521', hash: 'sha512' },
  'rsa-sha2-256': { keyType: 'ssh-rsa', hash: 'sha256' },
  'rsa-sha2-512': { keyType: 'ssh-rsa', hash: 'sha512' },
} as const satisfies Record<
  VerifiableAlgorithm,
  { readonly keyType: KeyType; readonly hash: string | null }
>

/** The algorithm each kind of CA key signs with; a type that is not here can be no CA. */
export const authorityAlgorithms = {
  'ssh-ed25519': 'ssh-ed25519',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384': 'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521': 'ecdsa-sha2-nistp521',
  'ssh-rsa': 'rsa-sha2-512',
} as const satisfies Partial<Record<KeyType, SignatureAlgorithm>>

/** A key type a CA may have: not the FIDO ones, which want a touch for every signature. */
export type AuthorityKeyType = keyof typeof authorityAlgorithms

export const isKeyType = (name: string): name is KeyType => Object.hasOwn(keyTypes, name)

export const isCurve = (name: string): name is Curve => Object.hasOwn(curves, name)

export const isVerifiableAlgorithm = (name: string): name is VerifiableAlgorithm =>
  Object.hasOwn(signatureAlgorithms, name)

export const isAuthorityKeyType = (name: string): name is AuthorityKeyType =>
  Object.hasOwn(authorityAlgorithms, name)

const typeByCertificate: ReadonlyMap<string, KeyType> = new Map(
  Object.entries(keyTypes).map(([type, { certificate }]) => [certificate, type as KeyType]),
)

/** The key type that a certificate type certifies; undefined for any other name. */
export const findCertifiedType = (certificate: string): KeyType | undefined =>
  typeByCertificate.get(certificate)
