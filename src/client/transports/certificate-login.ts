import type { Protocol } from 'ssh2/lib/client.js'
import utils from 'ssh2/lib/protocol/utils.js'
import { concat } from '../../lib/bytes.ts'
import { findCertifiedType, keyTypes } from '../../ssh/algorithms.ts'
import { createReader, encodeString, encodeStrings } from '../../ssh/wire.ts'
import type { Credential } from '../transport.ts'

/** SSH_MSG_USERAUTH_REQUEST (RFC 4252 section 6). */
const userauthRequest = 50

/**
 * Sends the one request that logs in: method publickey, with the certificate where a key would stand
 * and a signature by the certified key (RFC 4252 section 7, PROTOCOL.certkeys). ssh2 has no certificates:
 * it would write the certificate's algorithm into the signature, and no host takes that. Nothing is
 * asked beforehand, and ssh2 never holds a private key of ours.
 */
export const requestLogin = (protocol: Protocol, login: string, credential: Credential): void => {
  const { certificate, algorithm, sign } = credential
  const request = concat(
    Uint8Array.of(userauthRequest),
    encodeStrings(login, 'ssh-connection', 'publickey'),
    Uint8Array.of(1),
    encodeStrings(nameAlgorithm(certificate, algorithm), certificate),
  )
  const signature = sign(concat(encodeString(protocol._kex.sessionID), request))
  const payload = concat(request, encodeString(signature))

  const { write } = protocol._packetRW
  const packet = write.alloc(payload.length)
  packet.set(payload, write.allocStart)
  // ssh2 takes the next answer for one to this.
  protocol._authsQueue.push('publickey')
  utils.sendPacket(protocol, write.finalize(packet))
}

/** For RSA the name says the hash: `rsa-sha2-512-cert-v01@openssh.com`; for others it is the certificate's type. */
const nameAlgorithm = (certificate: Uint8Array, algorithm: string): string => {
  const type = createReader(certificate).readText()
  const keyType = findCertifiedType(type)
  const isRsa = keyType !== undefined && keyTypes[keyType].family === 'rsa'
  return isRsa ? `${algorithm}-cert-v01@openssh.com` : type
}
