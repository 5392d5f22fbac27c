import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { KeyRing } from '../ca/index.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { encodeBase64 } from '../lib/bytes.ts'
import { encodePublicKey } from '../ssh/native.ts'

/** The pair of files that `tls` names; undefined where it names none. Code: `invalid_config`. */
export const readTls = ({ tls }: Config) => {
  if (tls === undefined) return undefined
  try {
    const [cert, key] = [readFileSync(tls.cert, 'utf8'), readFileSync(tls.key, 'utf8')]
    new X509Certificate(cert)
    createSecureContext({ cert, key })
    return { cert, key }
  } catch (cause) {
    throw new AppError(
      'invalid_config',
      'tls: the certificate or the key cannot be read, or is not of the other.',
      {
        hint: 'name two PEM files that belong together, the key without a passphrase, under tls in postern.yaml',
        cause,
      },
    )
  }
}

/**
 * One key, one purpose: whoever breaks into TLS must not thereby sign certificates. Code:
 * `invalid_config`.
 */
export const checkDistinct = (ring: KeyRing, tlsKey: string): void => {
  const blob = encodePublicKey(createPublicKey(tlsKey))
  const base64 = blob && encodeBase64(blob)
  if (ring.list().some(({ publicKey }) => publicKey.split(' ')[1] === base64)) {
    throw new AppError('invalid_config', 'The CA key is also the TLS key.', {
      hint: 'make a key of its own for the CA: postern init',
    })
  }
}
