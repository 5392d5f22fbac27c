import { AppError } from '../errors.ts'
import { isEqual } from '../lib/bytes.ts'
import { isPrincipal } from '../lib/names.ts'
import { keyTypes, type SignatureAlgorithm } from '../ssh/algorithms.ts'
import { type Option, parseCertificate } from '../ssh/certificate.ts'
import { checkPublicKey } from '../ssh/keys.ts'
import { decodeSignature, type Verifier } from '../ssh/signature.ts'
import type { CertificateIntent } from './index.ts'
import {
  criticalOptions,
  extensions,
  isCriticalOption,
  isExtension,
  isVendorExtension,
  isVendorValue,
} from './options.ts'

/** What no certificate of this CA goes beyond, whoever asks for it. */
export interface Limits {
  readonly maxTtlSeconds: number
  readonly backdateSeconds: number
}

/** A decision may wait for GitHub this long before its certificate is signed. */
const decisionSeconds = 120
const maxSerial = 2n ** 63n - 1n
const maxPrincipals = 32
/** It starts with a letter, so that a helper it is handed to never takes it for an option. */
const keyIdPattern = /^[A-Za-z][A-Za-z0-9._:/@=-]{0,255}$/

const unsound = (detail: string, cause?: unknown): AppError =>
  new AppError(
    'unsound_certificate',
    'The certificate would have been unsound and was not signed: tell the administrator of this service.',
    { detail, ...(cause === undefined ? {} : { cause }) },
  )

/**
 * Refuses an intent that must never be signed, however it came about (`unsound_certificate`).
 * `now` is in whole seconds since 1970.
 */
export const checkIntent = (intent: CertificateIntent, limits: Limits, now: number): void => {
  const refuse = (isSound: boolean, detail: string): void => {
    if (!isSound) throw unsound(detail)
  }
  const { serial, keyId, principals, validAfter, validBefore } = intent
  try {
    checkPublicKey(intent.publicKey)
  } catch (cause) {
    throw unsound('the public key does not pass its checks', cause)
  }
  refuse(serial >= 1n && serial <= maxSerial, 'the serial is outside 1 to 2^63-1')
  refuse(keyIdPattern.test(keyId), 'the key id has a wrong character or length')

  refuse(principals.length >= 1, 'there is no principal')
  refuse(principals.length <= maxPrincipals, 'there are over 32 principals')
  refuse(principals.every(isPrincipal), 'a principal has a wrong character or length')
  refuse(new Set(principals).size === principals.length, 'a principal stands twice')

  refuse(
    Number.isSafeInteger(validAfter) && Number.isSafeInteger(validBefore),
    'a time is not in whole seconds',
  )
  refuse(validAfter >= 0 && validAfter < validBefore, 'it ends before it begins')
  refuse(validBefore > now, 'it has already ended')
  refuse(validBefore - now <= limits.maxTtlSeconds, 'it is valid for longer than ca.maxTtl')
  refuse(
    validAfter >= now - limits.backdateSeconds - decisionSeconds,
    'it begins further back than ca.backdate',
  )
  checkOptions(intent)
}

const checkOptions = (intent: CertificateIntent): void => {
  for (const [name, value] of Object.entries(intent.criticalOptions)) {
    if (!isCriticalOption(name)) throw unsound('a critical option is not one of ours')
    if (!criticalOptions[name](value)) throw unsound(`the value of ${name} is not sound`)
  }
  const isForced = Object.hasOwn(intent.criticalOptions, 'force-command')
  for (const [name, value] of Object.entries(intent.extensions)) {
    if (isVendorExtension(name)) {
      if (!isVendorValue(value)) throw unsound(`the value of ${name} is not sound`)
      continue
    }
    if (!isExtension(name)) throw unsound('an extension is not one of ours')
    if (value !== '') throw unsound(`${name} has a value`)
    if (isForced && extensions[name].forwards) throw unsound(`${name} goes around force-command`)
  }
}

/** What the authority knows of its own key, to check signed certificates by. */
export interface Issuer {
  readonly publicKey: Uint8Array
  readonly algorithm: SignatureAlgorithm
  readonly external: boolean
  readonly verify: Verifier
}

/** Options as a certificate must list them: by name, bytewise. */
export const listOptions = (options: Readonly<Record<string, string>>): readonly Option[] =>
  Object.entries(options)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))

/**
 * Reads the signed certificate anew, with our own parser, and finds exactly the intent in it, or
 * refuses (`signer_selfcheck`). A signature from outside the process is verified, too.
 */
export const checkSigned = (text: string, intent: CertificateIntent, issuer: Issuer): void => {
  const wrong = findDifference(text, intent, issuer)
  if (wrong === undefined) return
  throw new AppError(
    'signer_selfcheck',
    'The signed certificate failed its own check and was dropped: tell the administrator of this service.',
    { detail: `it differs from what was decided: ${wrong}` },
  )
}

const findDifference = (
  text: string,
  intent: CertificateIntent,
  issuer: Issuer,
): string | undefined => {
  let found: ReturnType<typeof parseCertificate>
  let algorithm: string
  try {
    found = parseCertificate(text)
    algorithm = decodeSignature(found.signature).algorithm
  } catch (error) {
    return error instanceof Error ? error.message : 'it cannot be read'
  }
  if (found.type !== keyTypes[intent.publicKey.type].certificate) return 'type'
  if (found.kind !== 'user') return 'kind'
  if (!isEqual(found.publicKey, intent.publicKey.blob)) return 'public key'
  if (found.serial !== intent.serial) return 'serial'
  if (found.keyId !== intent.keyId) return 'key id'
  if (!isSameList(found.principals, intent.principals)) return 'principals'
  if (found.validAfter !== BigInt(intent.validAfter)) return 'valid after'
  if (found.validBefore !== BigInt(intent.validBefore)) return 'valid before'
  if (!isSameOptions(found.criticalOptions, intent.criticalOptions)) return 'critical options'
  if (!isSameOptions(found.extensions, intent.extensions)) return 'extensions'
  if (!isEqual(found.authority, issuer.publicKey)) return 'signing key'
  if (algorithm !== issuer.algorithm) return 'signature algorithm'
  if (issuer.external && issuer.verify(found.signed, found.signature) !== true) return 'signature'
  return undefined
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((value, at) => value === b[at])

/** No name stands twice, or the parser had refused it: as many as intended, all intended, are the same. */
const isSameOptions = (
  found: readonly Option[],
  intended: Readonly<Record<string, string>>,
): boolean =>
  found.length === Object.keys(intended).length &&
  found.every(({ name, value }) => Object.hasOwn(intended, name) && intended[name] === value)
