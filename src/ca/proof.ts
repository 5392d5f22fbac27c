import { AppError } from '../errors.ts'
import { encodeHex, sha256 } from '../lib/bytes.ts'
import { formatProofMessage, proofNamespace } from '../lib/proof.ts'
import type { PublicKey } from '../ssh/keys.ts'
import { findSshsigFault } from '../ssh/sshsig.ts'

/** A proof of possession: the ask, signed by the key that is to be certified. */
export interface Proof {
  /** RFC 3339 in UTC; fractions of a second may stand there. */
  readonly time: string
  /** An armored SSHSIG (OpenSSH PROTOCOL.sshsig). */
  readonly signature: string
  /** The ask as it was sent, every member but the proof. */
  readonly wanted: Readonly<Record<string, string | undefined>>
}

/** How far the time of a proof may lie from ours, either way. */
const windowSeconds = 60
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/

/**
 * Checks a proof and uses it up. Answers the SHA-256 of the signed bytes, in hex, by which `use`
 * knows it again: of the message and not of the signature, which for ECDSA anyone can turn into
 * another good one. Code: `pop_failed`, always with the same text; the reason is in the detail.
 */
export const checkProof = (given: {
  readonly proof: Proof
  readonly publicKey: PublicKey
  readonly audience: string
  readonly at: Date
  readonly use: (hash: string) => boolean
}): string => {
  const { proof, at } = given
  if (!timePattern.test(proof.time)) throw refused('its time is not RFC 3339 in UTC')
  const age = (at.getTime() - Date.parse(proof.time)) / 1000
  // NaN, for a 31st of February, is no age either.
  if (!(Math.abs(age) <= windowSeconds)) throw refused('its time is over a minute from ours')
  const message = formatProofMessage(proof, given.audience)
  const fault = findSshsigFault(proof.signature, {
    publicKey: given.publicKey.blob,
    namespace: proofNamespace,
    message,
  })
  if (fault !== undefined) throw refused(fault)
  const hash = encodeHex(sha256(message))
  if (!given.use(hash)) throw refused('it has been used before')
  return hash
}

const refused = (detail: string): AppError =>
  new AppError(
    'pop_failed',
    'The proof of possession is not accepted: sign this very request with the key to be certified, now, and send each proof once.',
    { detail },
  )
