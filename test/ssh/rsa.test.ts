import { describe, expect, test } from 'vitest'
import { concat } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { line, rsaLine } from '../ca/keys.ts'
import { expectRefused } from './refusals.ts'

describe('an RSA key', () => {
  const power = (bits: number) => 2n ** BigInt(bits)
  /** The product of the primes up to 167. */
  const primorial = Array.from({ length: 168 }, (_, n) => n)
    .filter(
      (n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
    )
    .reduce((product, prime) => product * BigInt(prime), 1n)
  /** A number of exactly so many bits that leaves this residue modulo each of those primes. */
  const withResidue = (bits: number, residue: bigint) =>
    (power(bits - 1) / primorial + 1n) * primorial + residue
  const good = withResidue(3072, 173n)

  test.each([
    ['1024 bits', power(1024) - 1n, 65_537n, 'the modulus has 1024 bits'],
    ['2048 bits', power(2048) - 1n, 65_537n, 'the modulus has 2048 bits'],
    ['3071 bits', power(3071) - 1n, 65_537n, 'the modulus has 3071 bits'],
  ])('of %s is too weak, ATTACKS 6', (_what, n, e, detail) => {
    expectRefused(rsaLine(n, e), 'weak_key', detail)
  })

  test.each([
    ['16384 bits', power(16_384) - 1n, 65_537n, 'the modulus has 16384 bits or more'],
    ['60000 bits', power(60_000) - 1n, 65_537n, 'the modulus has 16384 bits or more'],
    ['exponent 1', good, 1n, 'the exponent is 1 or even'],
    ['an even exponent', good, 65_536n, 'the exponent is 1 or even'],
    ['an exponent over 2^33', good, power(33) + 1n, 'the exponent is over 2^33'],
    ['an exponent of 3000 bits', good, power(3000) + 1n, 'the exponent is over 2^33'],
    ['an even modulus', good + 1n, 65_537n, 'the modulus is even'],
    [
      'a modulus 167 divides',
      withResidue(3072, 167n),
      65_537n,
      'a small prime divides the modulus',
    ],
  ])('with %s is refused at once, ATTACKS 7', (_what, n, e, detail) => {
    expectRefused(rsaLine(n, e), 'weak_key', detail)
  })

  test('of 16383 bits costs under 50 ms', () => {
    const text = rsaLine(withResidue(16_383, 173n), 65_537n)
    const start = process.cpuUsage()
    expect(parsePublicKey(text).type).toBe('ssh-rsa')
    expect(process.cpuUsage(start).user).toBeLessThan(50_000)
  })

  test.each([3072, 4096])('of %i bits as Infineon made them is refused, ATTACKS 8', (bits) => {
    // Any n = k·M + (65537^a mod M) has the fingerprint, M being the product of the primes to 167.
    let n = 1n
    for (let step = 0; step < 29; step++) n = (n * 65_537n) % primorial
    const roca = withResidue(bits, n)
    expectRefused(
      rsaLine(roca, 65_537n),
      'weak_key',
      'the modulus has the ROCA fingerprint (CVE-2017-15361)',
    )
  })

  test('with a number that is negative or not in its shortest form is refused', () => {
    const n = Buffer.from(good.toString(16), 'hex')
    const e = Uint8Array.of(1, 0, 1)
    expectRefused(line('ssh-rsa', e, n), 'invalid_public_key', 'a number is not positive')
    expectRefused(
      line('ssh-rsa', concat(Uint8Array.of(0), e), concat(Uint8Array.of(0), n)),
      'invalid_public_key',
      'a number is not in its shortest form',
    )
  })
})
