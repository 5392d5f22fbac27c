import { expect } from 'vitest'
import { AppError, type Code } from '../../src/errors.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'

/** The one message of each way in which a public key is refused. */
export const messages = {
  invalid_public_key:
    'The public key must be one line, "TYPE BASE64", as ssh-keygen writes it to a .pub file.',
  private_key_submitted:
    'This is a private key: send the public one (the .pub file), and replace this key, for it has left your hands.',
  unsupported_key_type:
    'Keys of this type are not certified: use ed25519, ECDSA, RSA, or a FIDO key (ed25519-sk, ecdsa-sk).',
  weak_key: 'The key is too weak to be certified: make a new one with "ssh-keygen -t ed25519".',
} as const satisfies Partial<Record<Code, string>>

/** The error a text is refused with. */
export const refusalOf = (text: string): AppError => {
  try {
    parsePublicKey(text)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** Refused with this code and its message, and for under 50 ms of work. */
export const expectRefused = (text: string, code: keyof typeof messages, detail?: string) => {
  const start = process.cpuUsage()
  const error = refusalOf(text)
  expect(process.cpuUsage(start).user).toBeLessThan(50_000)
  expect([error.code, error.message]).toEqual([code, messages[code]])
  if (detail !== undefined) expect(error.detail).toBe(detail)
}
