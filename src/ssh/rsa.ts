/** Why an RSA public key is too weak to certify, in words for the log; undefined where it is not. */
export const findRsaWeakness = (modulus: Uint8Array, exponent: Uint8Array): string | undefined => {
  const bits = countBits(modulus)
  if (bits < minBits) return `the modulus has ${bits} bits`
  // Before any arithmetic: each further step costs more the longer the modulus is.
  if (bits >= endBits) return 'the modulus has 16384 bits or more'
  if (exponent.length > 5) return 'the exponent is over 2^33'
  const e = toBigInt(exponent)
  if (e > maxExponent) return 'the exponent is over 2^33'
  if (e < 3n || e % 2n === 0n) return 'the exponent is 1 or even'
  return findModulusWeakness(toBigInt(modulus))
}

const minBits = 3072
/** OpenSSH (SSHBUF_MAX_BIGNUM) and OpenSSL stop here too. */
const endBits = 16_384
const maxExponent = 2n ** 33n

const countBits = (magnitude: Uint8Array): number =>
  magnitude.length * 8 - Math.clz32(magnitude[0] ?? 0) + 24

const toBigInt = (magnitude: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(magnitude).toString('hex')}`)

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return true
}

/**
 * CVE-2017-15361 (ROCA): Infineon's library made every prime as k·M + (65537^a mod M), M being the
 * product of the first primes, so its moduli too are powers of 65537 modulo each of them. All
 * sizes it made share the primes up to 167; an honest modulus passes all by chance once in 2^27.
 */
const roca = Array.from({ length: 168 }, (_, n) => n)
  .filter((n) => n > 2 && isPrime(n))
  .map((prime) => {
    const powers = new Set<number>()
    for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power)
    return { prime, powers }
  })
const rocaProduct = roca.reduce((product, { prime }) => product * BigInt(prime), 2n)

const findModulusWeakness = (modulus: bigint): string | undefined => {
  const rest = modulus % rocaProduct
  if (rest % 2n === 0n) return 'the modulus is even'
  const residues = roca.map(({ prime, powers }) => ({
    residue: Number(rest % BigInt(prime)),
    powers,
  }))
  if (residues.some(({ residue }) => residue === 0)) return 'a small prime divides the modulus'
  if (residues.every(({ residue, powers }) => powers.has(residue))) {
    return 'the modulus has the ROCA fingerprint (CVE-2017-15361)'
  }
  return undefined
}
