import { generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { checkProof, type Proof } from '../../src/ca/proof.ts'
import { AppError } from '../../src/errors.ts'
import { concat, encodeBase64, encodeHex, encodeUtf8, sha256 } from '../../src/lib/bytes.ts'
import { formatProofMessage } from '../../src/lib/proof.ts'
import { decodePublicKey, type PublicKey, parsePublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'
import { createDirectory, createKeyFile, runTool } from './tools.ts'

const directory = createDirectory()
afterAll(directory.remove)

const at = new Date('2026-11-22T10:00:00Z')
const audience = 'https://postern.example.com'

const { privateKey } = generateKeyPairSync('ed25519')
const publicKey = decodePublicKey(encodePublicKey(privateKey) as Uint8Array)
const wanted = {
  publicKey: `ssh-ed25519 ${encodeBase64(publicKey.blob)}`,
  host: 'web-1.example.com',
  login: 'deploy',
  ttl: '5m',
}

/** An armored SSHSIG over a message, by the key above. */
const signSsh = (message: Uint8Array, namespace = 'postern-request@v1'): string => {
  const magic = encodeUtf8('SSHSIG')
  const signed = concat(magic, encodeStrings(namespace, '', 'sha256', sha256(message)))
  const signature = encodeSignature('ssh-ed25519', sign(null, signed, privateKey))
  const blob = concat(
    magic,
    encodeUint32(1),
    encodeStrings(publicKey.blob, namespace, '', 'sha256', signature),
  )
  return `-----BEGIN SSH SIGNATURE-----\n${encodeBase64(blob)}\n-----END SSH SIGNATURE-----\n`
}

const prove = (
  more: {
    readonly wanted?: Proof['wanted']
    readonly time?: string
    readonly audience?: string
  } = {},
): Proof => {
  const claim = { wanted, time: '2026-11-22T10:00:00Z', ...more }
  return { ...claim, signature: signSsh(formatProofMessage(claim, more.audience ?? audience)) }
}

const check = (proof: Proof, key: PublicKey = publicKey, use = (_hash: string) => true): string => {
  try {
    return checkProof({ proof, publicKey: key, audience, at, use })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    expect(error.code).toBe('pop_failed')
    expect(error.message).toBe(
      'The proof of possession is not accepted: sign this very request with the key to be certified, now, and send each proof once.',
    )
    return `refused: ${error.detail}`
  }
}

describe('a proof of possession', () => {
  test('is the signature over the ask as it was sent, with the audience and the time', () => {
    const proof = prove()
    const text = `{"audience":"${audience}","host":"web-1.example.com","login":"deploy","publicKey":"${wanted.publicKey}","time":"2026-11-22T10:00:00Z","ttl":"5m"}`
    expect(Buffer.from(formatProofMessage(proof, audience)).toString()).toBe(text)
    expect(check(proof)).toBe(encodeHex(sha256(encodeUtf8(text))))
  })

  test('may be made by ssh-keygen', () => {
    const path = `${directory.path}/key`
    const line = createKeyFile('ssh-ed25519', path).trim()
    const claim = { wanted: { ...wanted, publicKey: line }, time: '2026-11-22T10:00:00.123Z' }
    writeFileSync(`${path}.ask`, formatProofMessage(claim, audience))
    runTool('ssh-keygen', [
      '-q',
      '-Y',
      'sign',
      '-f',
      path,
      '-n',
      'postern-request@v1',
      `${path}.ask`,
    ])
    const signature = readFileSync(`${path}.ask.sig`, 'utf8')
    expect(check({ ...claim, signature }, parsePublicKey(line))).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each<[string, Record<string, string | undefined>]>([
    ['host', { ...wanted, host: 'web-2.example.com' }],
    ['login', { ...wanted, login: 'root' }],
    ['ttl', { ...wanted, ttl: '15m' }],
    ['ttl, left out', { publicKey: wanted.publicKey, host: wanted.host, login: wanted.login }],
    ['reason, put in', { ...wanted, reason: 'why not' }],
    ['command, put in', { ...wanted, command: 'setup' }],
    ['key, by its comment', { ...wanted, publicKey: `${wanted.publicKey} maya` }],
  ])('is refused where the %s was changed after signing [ATTACKS 15]', (_what, changed) => {
    expect(check({ ...prove(), wanted: changed })).toBe('refused: the signature does not verify')
  })

  test('is refused where it was made for another service, key, purpose or time [ATTACKS 15, 17]', () => {
    expect(check(prove({ audience: 'https://other.example.com' }))).toBe(
      'refused: the signature does not verify',
    )
    expect(check({ ...prove(), time: '2026-11-22T10:00:01Z' })).toBe(
      'refused: the signature does not verify',
    )
    const other = decodePublicKey(
      encodePublicKey(generateKeyPairSync('ed25519').privateKey) as Uint8Array,
    )
    expect(check(prove(), other)).toBe('refused: it is by another key')
    const file = signSsh(formatProofMessage(prove(), audience), 'file')
    expect(check({ ...prove(), signature: file })).toBe('refused: its namespace is another')
    expect(check({ ...prove(), signature: '' })).toBe('refused: it is no armored SSH signature')
  })

  test.each([
    ['2026-11-22T09:59:00Z', true],
    ['2026-11-22T10:01:00Z', true],
    ['2026-11-22T09:58:59.999Z', false],
    ['2026-11-22T10:01:00.001Z', false],
    ['2025-11-22T10:00:00Z', false],
  ])('of %s is within a minute of the clock: %s', (time, isWithin) => {
    const said = check(prove({ time }))
    if (isWithin) expect(said).toMatch(/^[0-9a-f]{64}$/)
    else expect(said).toBe('refused: its time is over a minute from ours')
  })

  test.each([
    '2026-11-22T11:00:00+01:00',
    '2026-11-22 10:00:00Z',
    '2026-11-22T10:00Z',
    '2026-11-22T10:00:00',
    '1795341600',
    '',
    'now',
  ])('of the time %o is refused, for two readers may read it differently', (time) => {
    expect(check(prove({ time }))).toBe('refused: its time is not RFC 3339 in UTC')
  })

  test('of a day that no calendar has is refused', () => {
    expect(check(prove({ time: '2026-11-31T10:00:00Z' }))).toMatch(/^refused: its time is/)
    expect(check(prove({ time: '2026-11-22T25:00:00Z' }))).toMatch(/^refused: its time is/)
  })

  test('is used up once it has verified, and not before [ATTACKS 16]', () => {
    const used = new Set<string>()
    const use = (hash: string) => !used.has(hash) && used.add(hash).has(hash)
    const proof = prove()
    expect(check({ ...proof, wanted: { ...wanted, login: 'root' } }, publicKey, use)).toMatch(
      /^refused/,
    )
    expect(used.size).toBe(0)
    expect(check(proof, publicKey, use)).toMatch(/^[0-9a-f]{64}$/)
    expect(check(proof, publicKey, use)).toBe('refused: it has been used before')
  })

  test('is known again by what it says, not by its signature: another one for the same is no other proof [ATTACKS 16, 18]', () => {
    const { privateKey: ecKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = decodePublicKey(encodePublicKey(ecKey) as Uint8Array)
    const claim = { wanted, time: '2026-11-22T10:00:00Z' }
    const message = formatProofMessage(claim, audience)
    const make = (): Proof => {
      const magic = encodeUtf8('SSHSIG')
      const space = 'postern-request@v1'
      const signed = concat(magic, encodeStrings(space, '', 'sha256', sha256(message)))
      const raw = sign('sha256', signed, { key: ecKey, dsaEncoding: 'ieee-p1363' })
      const signature = encodeSignature('ecdsa-sha2-nistp256', raw)
      const blob = concat(
        magic,
        encodeUint32(1),
        encodeStrings(key.blob, space, '', 'sha256', signature),
      )
      const body = `\n${encodeBase64(blob)}\n`
      return {
        ...claim,
        signature: `-----BEGIN SSH SIGNATURE-----${body}-----END SSH SIGNATURE-----`,
      }
    }
    const [first, second] = [make(), make()]
    expect(first.signature).not.toBe(second.signature)
    expect(check(first, key)).toBe(check(second, key))
  })
})
