import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Signer } from '../../src/ca/signer.ts'
import { type AuthorityKeyType, authorityAlgorithms } from '../../src/ssh/algorithms.ts'
import { decodePublicKey } from '../../src/ssh/keys.ts'
import { decodeSignature, verifySignature } from '../../src/ssh/signature.ts'

/** What src/ca/signer.ts promises, asked of one implementation with a key of one type. */
export const describeSigner = (
  name: string,
  type: AuthorityKeyType,
  open: () => Promise<{ readonly signer: Signer; readonly close: () => Promise<void> }>,
): void => {
  describe(`the ${name} signer with a key of type ${type}`, () => {
    let signer: Signer
    let close: () => Promise<void>
    beforeAll(async () => {
      ;({ signer, close } = await open())
    })
    afterAll(() => close())

    test('says its key and its algorithm', () => {
      expect(decodePublicKey(signer.publicKey).type).toBe(type)
      expect(signer.algorithm).toBe(authorityAlgorithms[type])
    })

    test.each([0, 1, 500, 60_000])(
      'signs %i bytes with its own algorithm, ATTACKS 54',
      async (size) => {
        const data = new Uint8Array(size).fill(size)
        const signature = await signer.sign(data)
        expect(decodeSignature(signature).algorithm).toBe(authorityAlgorithms[type])
        expect(verifySignature(signer.publicKey, data, signature)).toBe(true)
      },
    )

    test('gives each of many calls at once the signature of its own data', async () => {
      const texts = Array.from({ length: 32 }, (_, n) => Buffer.from(`data ${n}`))
      const signatures = await Promise.all(texts.map((data) => signer.sign(data)))
      const verified = texts.map((data, n) =>
        verifySignature(signer.publicKey, data, signatures[n] as Uint8Array),
      )
      expect(verified).toEqual(texts.map(() => true))
    })

    test('has nothing but what the contract names, and shows no private key', () => {
      const names = ['algorithm', 'close', 'external', 'publicKey', 'sign']
      expect(Object.keys(signer).sort()).toEqual(names)
      expect(Object.isFrozen(signer)).toBe(true)
      expect(inspect(signer, { depth: 9, showHidden: true })).not.toMatch(/private/i)
    })

    test('signs nothing once it is closed', async () => {
      const { signer: other, close: closeOther } = await open()
      await other.sign(Uint8Array.of(1))
      await other.close()
      await expect(other.sign(Uint8Array.of(1))).rejects.toMatchObject({
        code: 'signer_unavailable',
      })
      await closeOther()
    })
  })
}
