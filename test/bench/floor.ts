import { generateKeyPairSync, sign, verify } from 'node:crypto'

/**
 * What no service of this kind can go below: one ES256 verification of a token-sized text and one
 * Ed25519 signature of a certificate-sized one, on one thread of this Node.
 */
export const measureFloor = async (
  seconds: number,
): Promise<{ readonly cpuMicros: number; readonly perSecond: number }> => {
  const token = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ca = generateKeyPairSync('ed25519')
  const text = Buffer.alloc(500, 'a')
  const tbs = Buffer.alloc(350, 'b')
  const dsaEncoding = 'ieee-p1363'
  const signature = sign('sha256', text, { key: token.privateKey, dsaEncoding })
  const once = () => {
    if (verify('sha256', text, { key: token.publicKey, dsaEncoding }, signature) !== true) {
      throw new Error('the floor does not verify')
    }
    sign(null, tbs, ca.privateKey)
  }
  for (let i = 0; i < 1000; i++) once()
  const before = process.cpuUsage()
  const start = performance.now()
  let count = 0
  while (performance.now() - start < seconds * 1000) {
    once()
    count++
  }
  const { user, system } = process.cpuUsage(before)
  return {
    cpuMicros: (user + system) / count,
    perSecond: (count * 1000) / (performance.now() - start),
  }
}
