import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

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

/**
 * What no certificate can be quicker than whose entry is durable before it leaves: so many bytes written over
 * others, and their fsync. In milliseconds, the median of half a second.
 */
export const measureDisk = (dir: string, bytes = 8192): number => {
  const file = openSync(join(dir, 'disk'), 'w')
  try {
    const data = Buffer.alloc(bytes, 'd')
    const millis: number[] = []
    const once = () => {
      writeSync(file, data, 0, bytes, 0)
      fsyncSync(file)
    }
    once()
    for (const start = performance.now(); performance.now() - start < 500; ) {
      const before = performance.now()
      once()
      millis.push(performance.now() - before)
    }
    return millis.sort((a, b) => a - b)[millis.length >> 1] as number
  } finally {
    closeSync(file)
  }
}
