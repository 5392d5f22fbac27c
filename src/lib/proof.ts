import { encodeUtf8 } from './bytes.ts'
import { formatCanonical } from './json.ts'

/** The SSHSIG namespace of a proof: what is signed for this is good for nothing else. */
export const proofNamespace = 'postern-request@v1'

/**
 * The bytes a proof of possession signs: RFC 8785 JSON of the ask as it is sent (`wanted`: every member
 * but the proof), with the `audience` (the service's public URL) and the `time`. What the ask leaves
 * out is left out.
 */
export const formatProofMessage = (
  given: {
    readonly wanted: Readonly<Record<string, string | undefined>>
    /** RFC 3339 in UTC. */
    readonly time: string
  },
  audience: string,
): Uint8Array => encodeUtf8(formatCanonical({ ...given.wanted, audience, time: given.time }))
