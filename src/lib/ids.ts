import { randomFillSync } from 'node:crypto'

/** Random bytes, as a parameter: `random(16)` is 16 of them. */
export type Random = (length: number) => Uint8Array

const pool = new Uint8Array(4096)
let taken = pool.length

/** The system's randomness, drawn in blocks: a call to it costs far more than the bytes. No byte is given twice. */
export const systemRandom: Random = (length) => {
  if (length > pool.length) return randomFillSync(new Uint8Array(length))
  if (length > pool.length - taken) {
    randomFillSync(pool)
    taken = 0
  }
  const bytes = pool.slice(taken, taken + length)
  pool.fill(0, taken, taken + length)
  taken += length
  return bytes
}

/** An opaque id: a prefix that says what it names, then 96 random bits: `req_1f0c…`. */
export const createId = (prefix: string, random: Random): string =>
  `${prefix}_${Buffer.from(random(12)).toString('hex')}`

/**
 * A certificate serial: 1 to 2^63-1. Never 0, which no KRL can revoke (OpenSSH krl.c), and never
 * past 63 bits, which SQLite and signed readers could not hold.
 */
export const createSerial = (random: Random): bigint => {
  for (;;) {
    const serial = Buffer.from(random(8)).readBigUInt64BE() >> 1n
    if (serial !== 0n) return serial
  }
}
