import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** One DER element (X.690): its tag, its length, its content. */
const encode = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const size = content.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
const sequence = (...parts: readonly Uint8Array[]) => encode(0x30, ...parts)
const text = (tag: number, value: string) => encode(tag, Buffer.from(value))
const hex = (value: string) => Buffer.from(value, 'hex')

/** ecdsa-with-SHA256 (RFC 5758), commonName and subjectAltName (RFC 5280). */
const algorithm = sequence(hex('06082a8648ce3d040302'))
const commonName = hex('0603550403')
const subjectAltName = hex('0603551d11')

/** A certificate for `localhost` and 127.0.0.1 (RFC 5280), and its key, in PEM; self-signed unless a key is given. */
export const createTlsPair = (
  given?: KeyObject,
): { readonly cert: string; readonly key: string } => {
  const { privateKey: own } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const privateKey = given ?? own
  const publicKey = createPublicKey(privateKey)
  const name = sequence(encode(0x31, sequence(commonName, text(0x0c, 'localhost'))))
  const names = sequence(text(0x82, 'localhost'), encode(0x87, hex('7f000001')))
  const body = sequence(
    encode(0xa0, hex('020102')),
    hex('020101'),
    algorithm,
    name,
    sequence(text(0x17, '200101000000Z'), text(0x17, '491231235959Z')),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    encode(0xa3, sequence(sequence(subjectAltName, encode(0x04, names)))),
  )
  const signature = encode(0x03, Buffer.from([0]), sign('sha256', body, own))
  const lines =
    sequence(body, algorithm, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: exportPem(privateKey),
  }
}

const exportPem = (key: KeyObject): string =>
  key.export({ format: 'pem', type: 'pkcs8' }).toString()
