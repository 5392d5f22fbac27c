import { describe, expect, test } from 'vitest'
import { checkSigned, type Issuer } from '../../src/ca/check.ts'
import { createEncoder } from '../../src/ca/encode.ts'
import type { CertificateIntent } from '../../src/ca/index.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { AppError } from '../../src/errors.ts'
import { concat, decodeBase64, encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { encodeCertificate, parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { createVerifier } from '../../src/ssh/signature.ts'
import { encodeString, encodeStrings } from '../../src/ssh/wire.ts'
import { createSound } from './intents.ts'
import { fidoLines } from './keys.ts'

type Change = Partial<CertificateIntent>

const force = { 'force-command': '/usr/local/sbin/setup' }

describe('the check of what was signed, ATTACKS 56', () => {
  const signer = createMemorySigner()
  const issuer: Issuer = { ...signer, external: true, verify: createVerifier(signer.publicKey) }
  const intent = createSound({
    principals: ['deploy@web-1.example.com', 'ops'],
    criticalOptions: { 'source-address': '10.2.0.0/16', ...force },
    extensions: { 'permit-user-rc': '', 'permit-pty': '' },
  })
  const sign = createEncoder(signer.publicKey)

  const differenceOf = (text: string, by: Issuer = issuer): string | undefined => {
    try {
      checkSigned(text, intent, by)
      return undefined
    } catch (error) {
      expect(error).toBeInstanceOf(AppError)
      const { code, message, detail } = error as AppError
      expect([code, message]).toEqual([
        'signer_selfcheck',
        'The signed certificate failed its own check and was dropped: tell the administrator of this service.',
      ])
      return detail?.replace('it differs from what was decided: ', '')
    }
  }

  test('finds nothing where nothing differs', async () => {
    expect(differenceOf(await sign(intent, signer.sign))).toBe(undefined)
  })

  test.each<[string, Change]>([
    ['type', { publicKey: parsePublicKey(fidoLines['sk-ssh-ed25519@openssh.com']) }],
    [
      'public key',
      { publicKey: parsePublicKey(`ssh-ed25519 ${encodeBase64(createMemorySigner().publicKey)}`) },
    ],
    ['serial', { serial: intent.serial + 1n }],
    ['key id', { keyId: `${intent.keyId}2` }],
    // ATTACKS 30: neither more nor fewer of them, and in their order.
    ['principals', { principals: ['ops', 'deploy@web-1.example.com'] }],
    ['principals', { principals: [...intent.principals, 'root'] }],
    ['principals', { principals: intent.principals.slice(1) }],
    ['valid after', { validAfter: intent.validAfter - 1 }],
    ['valid before', { validBefore: intent.validBefore + 1 }],
    ['critical options', { criticalOptions: force }],
    [
      'critical options',
      { criticalOptions: { ...intent.criticalOptions, 'force-command': '/bin/sh' } },
    ],
    ['extensions', { extensions: { 'permit-pty': '' } }],
    ['extensions', { extensions: { ...intent.extensions, 'permit-port-forwarding': '' } }],
  ])('finds another %s', async (what, change) => {
    expect(differenceOf(await sign({ ...intent, ...change }, signer.sign))).toBe(what)
  })

  test('finds a restriction that has moved to the extensions, ATTACKS 46', async () => {
    const moved = { ...intent, criticalOptions: {}, extensions: { ...intent.extensions, ...force } }
    expect(differenceOf(await sign(moved, signer.sign))).toBe('critical options')
  })

  test('finds another signing key', async () => {
    const other = createMemorySigner()
    const text = await createEncoder(other.publicKey)(intent, other.sign)
    expect(differenceOf(text)).toBe('signing key')
  })

  test('finds a signature of another algorithm, ATTACKS 54', async () => {
    const forged = async () => encodeStrings('rsa-sha2-512', new Uint8Array(64))
    expect(differenceOf(await sign(intent, forged))).toBe('signature algorithm')
    const old = async () => encodeStrings('ssh-rsa', new Uint8Array(64))
    expect(differenceOf(await sign(intent, old))).toBe('the algorithm is not one of ours')
  })

  test('finds a signature over other bytes, where the key is outside', async () => {
    const wrong = () => signer.sign(encodeUtf8('other'))
    const text = await sign(intent, wrong)
    expect(differenceOf(text)).toBe('signature')
    expect(differenceOf(text, { ...issuer, external: false })).toBe(undefined)
  })

  test('finds a certificate of a host, ATTACKS 44', async () => {
    const text = await sign(intent, signer.sign)
    const [type = '', base64 = ''] = text.split(' ')
    const blob = decodeBase64(base64) as Uint8Array
    const found = parseCertificate(text)
    // The kind is the uint32 between the serial and the key id.
    const serial = Buffer.alloc(8)
    serial.writeBigUInt64BE(found.serial)
    blob[Buffer.from(blob).indexOf(serial) + 11] = 2
    expect(differenceOf(`${type} ${encodeBase64(blob)}`)).toBe('kind')
  })

  test('finds what cannot be read', async () => {
    const text = await sign(intent, signer.sign)
    expect(differenceOf('')).toBe('not one line of type and base64')
    expect(differenceOf(`${text.slice(0, -8)}`)).toMatch(/early|base64/)
  })

  test('finds options out of order, ATTACKS 48', async () => {
    const found = parseCertificate(await sign(intent, signer.sign))
    const forged = encodeCertificate({ ...found, criticalOptions: [], extensions: [] })
    const cut = forged.subarray(0, forged.length - (4 + 4 + 4 + 4 + signer.publicKey.length))
    const unsorted = encodeStrings('permit-user-rc', '', 'permit-pty', '')
    const signed = concat(
      cut,
      encodeStrings('', unsorted, '', signer.publicKey),
      encodeString(await signer.sign(forged)),
    )
    const text = `${found.type} ${encodeBase64(signed)}`
    expect(differenceOf(text)).toBe('the options are not sorted by name, each once')
  })
})
