import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { concat, encodeBase64 } from '../../src/lib/bytes.ts'
import { encodeCertificate } from '../../src/ssh/certificate.ts'
import { decodeKrl, isRevoked, type RevocableCertificate } from '../../src/ssh/krl-reader.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeMpint, encodeString, encodeStrings } from '../../src/ssh/wire.ts'
import { execute } from '../tools.ts'

/** A key pair with its wire blob. */
export interface Pair {
  readonly blob: Uint8Array
  readonly privateKey: KeyObject
}

/** P-256: OpenSSH verifies its signatures ten times faster than ed25519's, and there are many. */
export const createPair = (): Pair => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { blob: encodePublicKey(publicKey) as Uint8Array, privateKey }
}

/** A certificate that ssh-keygen reads, and what a KRL may know it by. */
export interface Probe extends RevocableCertificate {
  readonly text: string
}

/** Signed in earnest: OpenSSH verifies a certificate when it reads it. */
export const createProbe = (given: {
  readonly authority: Pair
  readonly publicKey: Uint8Array
  readonly serial: bigint
  readonly keyId: string
}): Probe => {
  const signed = encodeCertificate({
    nonce: new Uint8Array(32),
    publicKey: given.publicKey,
    serial: given.serial,
    keyId: given.keyId,
    principals: ['deploy@web-1'],
    validAfter: 0n,
    validBefore: 2n ** 64n - 1n,
    criticalOptions: [],
    extensions: [],
    authority: given.authority.blob,
  })
  const key = { key: given.authority.privateKey, dsaEncoding: 'ieee-p1363' } as const
  const numbers = sign('sha256', signed, key)
  const signature = concat(encodeMpint(numbers.subarray(0, 32)), encodeMpint(numbers.subarray(32)))
  const blob = concat(signed, encodeString(encodeStrings('ecdsa-sha2-nistp256', signature)))
  const text = `ecdsa-sha2-nistp256-cert-v01@openssh.com ${encodeBase64(blob)}`
  return { ...given, authority: given.authority.blob, text }
}

/** What OpenSSH says of the first so many under a KRL: `ssh-keygen -Q`. */
export const createOracle = (dir: string, probes: readonly Probe[]) => {
  mkdirSync(dir, { recursive: true })
  const names = probes.map((_, at) => `${at}`)
  for (const [at, { text }] of probes.entries()) writeFileSync(join(dir, `${at}`), `${text}\n`)
  return {
    async ask(krl: Uint8Array, count = names.length): Promise<readonly boolean[]> {
      writeFileSync(join(dir, 'krl'), krl)
      const args = ['-Q', '-f', 'krl', '--', ...names.slice(0, count)]
      const { stdout, stderr } = await execute('ssh-keygen', args, { cwd: dir })
      const found = stdout.split('\n').filter((line) => line !== '')
      if (found.length !== Math.min(count, names.length))
        throw new Error(`ssh-keygen said: ${stderr}`)
      return found.map((line, at) => {
        if (!line.startsWith(`${at} `)) throw new Error(`ssh-keygen said of ${at}: ${line}`)
        return line.endsWith(': REVOKED')
      })
    },
  }
}

/** What our own reader says of each. */
export const judge = (krl: Uint8Array, probes: readonly Probe[]): readonly boolean[] => {
  const read = decodeKrl(krl)
  return probes.map((probe) => isRevoked(read, probe))
}
