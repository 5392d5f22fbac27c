import { AppError } from '../errors.ts'
import { keyTypes } from './algorithms.ts'
import { formatPublicKey, type PublicKey, parsePublicKey } from './keys.ts'

/**
 * Reads a host's public key, `TYPE BASE64` without a comment; answers in words what is wrong with
 * one that cannot be pinned. A host has no FIDO key: nobody would be there to touch it.
 */
export const parseHostKey = (text: string): PublicKey | string => {
  let key: PublicKey
  try {
    key = parsePublicKey(text)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return words[error.code] ?? shape
  }
  if (keyTypes[key.type].family.startsWith('sk-')) return words['unsupported_key_type'] as string
  return formatPublicKey(key) === text ? key : shape
}

/** What is wrong with a host's public key, in words; undefined where it can be pinned. */
export const findHostKeyFault = (text: string): string | undefined => {
  const found = parseHostKey(text)
  return typeof found === 'string' ? found : undefined
}

const shape =
  'must be a public host key, "TYPE BASE64" without a comment, as /etc/ssh/ssh_host_ed25519_key.pub has it'

const words: Readonly<Record<string, string>> = {
  private_key_submitted: 'is a private key: write the public one, and replace this key',
  unsupported_key_type: 'must be an ed25519, ECDSA or RSA key',
  weak_key: 'is too weak a key: make the host a new one with "ssh-keygen -t ed25519"',
}
