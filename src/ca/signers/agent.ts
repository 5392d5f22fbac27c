import { AppError } from '../../errors.ts'
import { type Agent, AgentError, createAgent } from '../../ssh/agent.ts'
import { authorityAlgorithms, isAuthorityKeyType } from '../../ssh/algorithms.ts'
import { decodePublicKey, formatFingerprint, type PublicKey } from '../../ssh/keys.ts'
import { decodeSignature } from '../../ssh/signature.ts'
import type { Signer } from '../signer.ts'

const timeoutMs = 5000
/** More at once than an agent signs in 5 s only queue up in it. */
const maxInFlight = 256

/**
 * A signer whose key is held by an ssh-agent, and so perhaps by a hardware token behind it. The key
 * is found by its `SHA256:…` fingerprint. An agent that is restarted with the key is used again.
 * Codes: `signer_unavailable` where the agent does not answer; `invalid_config` where it does not
 * hold the key, or the key can be no CA's (an `sk-` key wants a touch for every certificate).
 */
export const openAgentSigner = async (given: {
  readonly socket: string
  readonly fingerprint: string
}): Promise<Signer> => {
  const agent = createAgent({ socket: given.socket, timeoutMs })
  const key = await findKey(agent, given.fingerprint)
  if (!isAuthorityKeyType(key.type)) {
    throw new AppError('invalid_config', 'The CA key in the ssh-agent must be no FIDO key.', {
      hint: 'use an ed25519 key, ECDSA, or RSA of at least 3072 bits',
    })
  }
  const algorithm = authorityAlgorithms[key.type]
  let inFlight = 0
  let isOpen = true
  return Object.freeze({
    algorithm,
    publicKey: key.blob,
    external: true,
    async sign(data: Uint8Array) {
      if (!isOpen) throw unavailable('the signer is closed')
      if (inFlight >= maxInFlight) throw unavailable(`${maxInFlight} signatures are under way`)
      inFlight++
      try {
        const signature = await agent.sign(key.blob, data)
        // An old agent ignores the flag that asks for SHA-2 and signs with SHA-1.
        if (decodeSignature(signature).algorithm !== algorithm) {
          throw new AgentError('the agent signed with another algorithm')
        }
        return signature
      } catch (error) {
        throw unavailable(error instanceof Error ? error.message : 'the agent failed', error)
      } finally {
        inFlight--
      }
    },
    async close() {
      isOpen = false
    },
  })
}

const unavailable = (detail: string, cause?: unknown): AppError =>
  new AppError(
    'signer_unavailable',
    'The ssh-agent with the signing key does not answer: try again.',
    {
      detail,
      hint: 'ssh-add -l lists the keys of the agent at ca.agentSocket',
      ...(cause === undefined ? {} : { cause }),
    },
  )

const findKey = async (agent: Agent, fingerprint: string): Promise<PublicKey> => {
  let blob: Uint8Array | undefined
  try {
    blob = (await agent.list()).find((key) => formatFingerprint(key.blob) === fingerprint)?.blob
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : 'the agent failed', error)
  }
  if (blob === undefined) {
    throw new AppError('invalid_config', 'The ssh-agent does not hold the CA key.', {
      hint: `ssh-add adds a key; ssh-add -l must list ${fingerprint}`,
    })
  }
  try {
    // Copied out of the agent's answer, which it would keep alive.
    return decodePublicKey(Uint8Array.from(blob))
  } catch (cause) {
    throw new AppError('invalid_config', 'The key in the ssh-agent can be no CA key.', {
      hint: 'use an ed25519 key, ECDSA, or RSA of at least 3072 bits',
      cause,
    })
  }
}
