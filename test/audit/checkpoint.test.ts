import { createPublicKey, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  createLogKey,
  openCheckpoint,
  parseLogKey,
  parseVerifierKey,
  signCheckpoint,
  splitNotes,
} from '../../src/audit/checkpoint.ts'
import { sha256 } from '../../src/lib/bytes.ts'

const makeKey = (origin = 'postern.example.com/log') => {
  const key = parseLogKey(createLogKey(origin))
  if (key === undefined) throw new Error('no key')
  return key
}
const key = makeKey()
const verifier = parseVerifierKey(key.verifierKey)
const root = sha256(Uint8Array.of(7))
const note = signCheckpoint(key, { size: 1234, root })

describe('a checkpoint', () => {
  test('is a C2SP checkpoint in a signed note, byte for byte', () => {
    const [text = '', signature = ''] = note.split('\n\n')
    expect(`${text}\n`).toBe(
      `postern.example.com/log\n1234\n${Buffer.from(root).toString('base64')}\n`,
    )
    const data = Buffer.from(signature.split(' ')[2] as string, 'base64')
    expect(signature).toBe(`— postern.example.com/log ${data.toString('base64')}\n`)
    // From the verifier key by the words of C2SP signed-note alone.
    const [, name = '', id = '', encoded = ''] =
      /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(key.verifierKey) ?? []
    const raw = Buffer.from(encoded, 'base64')
    expect(raw[0]).toBe(1)
    const expected = sha256(Buffer.from(`${name}\n`), raw).subarray(0, 4)
    expect(Buffer.from(expected).toString('hex')).toBe(id)
    expect(data.subarray(0, 4).toString('hex')).toBe(id)
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.subarray(1).toString('base64url') }
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
    expect(verify(null, Buffer.from(`${text}\n`), publicKey, data.subarray(4))).toBe(true)
  })

  test('is verified as everybody else verifies notes', () => {
    // The example of Go's golang.org/x/mod/sumdb/note, which signed-note is written after.
    const go = parseVerifierKey(
      'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    )
    const words = `If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n`
    const signed = Buffer.from(
      'x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=',
      'base64',
    )
    expect(Buffer.from(go.keyId)).toEqual(signed.subarray(0, 4))
    expect(go.verify(words, signed.subarray(4))).toBe(true)
    expect(go.verify(words.replace('you', 'we'), signed.subarray(4))).toBe(false)
  })

  test('opens with the key that signed it, also among the signatures of others', () => {
    const expected = { origin: 'postern.example.com/log', size: 1234, root }
    expect(openCheckpoint(note, verifier)).toEqual(expected)
    const witness = `— witness.example.org ${Buffer.alloc(76, 9).toString('base64')}\n`
    expect(openCheckpoint(note + witness, verifier)).toEqual(expected)
    const [text, signature] = note.split('\n\n')
    expect(openCheckpoint(`${text}\n\n${witness}${signature}`, verifier)).toEqual(expected)
  })

  const unsigned = 'The checkpoint is not signed by the key of this log.'
  const shapeless =
    'This is no signed checkpoint: give the text of GET /v1/audit/checkpoint, whole.'
  const resign = (text: string) =>
    `${text}\n— ${key.origin} ${Buffer.from(key.sign(text)).toString('base64')}\n`
  test.each([
    ['another size', note.replace('1234', '1233'), unsigned],
    ['another root', note.replace(/\n[A-Za-z0-9+/]{4}/, '\nAAAA'), unsigned],
    [
      'another origin',
      note.replace('postern.example.com/log\n', 'postern.example.org/log\n'),
      unsigned,
    ],
    ['another key of the same name', signCheckpoint(makeKey(), { size: 1234, root }), unsigned],
    ['another name of the signature', note.replace('— postern', '— postarn'), unsigned],
    ['a signature cut short', note.replace(/.{8}\n$/, '\n'), unsigned],
    ['a line more', note.replace('\n\n', '\nmore\n\n'), unsigned],
    ['no signature', `${note.split('\n\n')[0]}\n\n`, shapeless],
    ['no end of line', note.slice(0, -1), shapeless],
    ['a text after it', `${note}more\n`, shapeless],
    ['nothing', '', shapeless],
    [
      'a size with a sign',
      resign(`${key.origin}\n+12\n${'A'.repeat(43)}=\n`),
      'The checkpoint names no size and root.',
    ],
    [
      'a size with a zero before it',
      resign(`${key.origin}\n012\n${'A'.repeat(43)}=\n`),
      'The checkpoint names no size and root.',
    ],
    ['a short root', resign(`${key.origin}\n12\nAAAA\n`), 'The checkpoint names no size and root.'],
    [
      'the origin of another log',
      resign(`other.example.com/log\n12\n${'A'.repeat(43)}=\n`),
      unsigned,
    ],
  ])('with %s is refused', (_what, text, message) => {
    expect(() => openCheckpoint(text, verifier)).toThrow(
      expect.objectContaining({ code: 'invalid_checkpoint', message }),
    )
  })

  test('is found in a file of many, and a torn one at its end is not', () => {
    const second = signCheckpoint(key, { size: 2000, root })
    const file = Buffer.from(`${note}\n${second}\n${note.slice(0, 90)}`)
    expect(splitNotes(file)).toEqual([
      { note, end: Buffer.byteLength(note) },
      { note: second, end: Buffer.byteLength(`${note}\n${second}`) },
    ])
  })

  test('is not looked for at every byte of a file that is none', () => {
    const file = Buffer.from(`${'x'.repeat(999)}\n`.repeat(100))
    const begun = performance.now()
    expect(splitNotes(file)).toEqual([])
    expect(performance.now() - begun).toBeLessThan(1000)
  })
})

describe('a key of a log', () => {
  const text = createLogKey('a.example.com/log')
  test('is read again as it was made', () => {
    expect(parseLogKey(text)).toMatchObject({ origin: 'a.example.com/log' })
  })

  test.each([
    ['nothing', ''],
    ['without its label', text.slice(12)],
    ['of another name', text.replace('a.example', 'b.example')],
    ['cut short', text.slice(0, -4)],
    ['of another type', text.replace(/A(?=[A-Za-z0-9+/]{43}$)/, 'B')],
  ])('%s is none', (_what, wrong) => {
    expect(wrong).not.toBe(text)
    expect(parseLogKey(wrong)).toBeUndefined()
  })

  test.each(['', 'x', key.verifierKey.slice(0, -1), key.verifierKey.replace('postern', 'postarn')])(
    'to verify with is not %j',
    (wrong) => {
      expect(() => parseVerifierKey(wrong)).toThrow(
        expect.objectContaining({
          code: 'invalid_checkpoint',
          message: 'This is no verifier key: give the line that `postern audit key` prints.',
        }),
      )
    },
  )
})
