import {
  constants,
  createHmac,
  generateKeyPair as generateKeyPairCallback,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto'
import { promisify } from 'node:util'

const generateKeyPair = promisify(generateKeyPairCallback)

/** A key of the fake issuer. The public half, as published, is `jwk`. */
export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JsonWebKey
}

const rsa = (modulusLength = 2048) => generateKeyPair('rsa', { modulusLength })
const ec = (namedCurve: string) => generateKeyPair('ec', { namedCurve })
const pss = (hash: string, privateKey: KeyObject) => (data: Buffer) =>
  sign(hash, data, {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })
const ecdsa = (hash: string, key: KeyObject) => (data: Buffer) =>
  sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })

/** How a token is signed: also what no verifier may take, for nothing here judges. */
const algorithms: Readonly<
  Record<
    string,
    {
      readonly generate?: () => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>
      readonly sign: (key: KeyObject) => (data: Buffer) => Buffer
    }
  >
> = {
  RS256: { generate: rsa, sign: (key) => (data) => sign('sha256', data, key) },
  RS384: { generate: rsa, sign: (key) => (data) => sign('sha384', data, key) },
  RS512: { generate: rsa, sign: (key) => (data) => sign('sha512', data, key) },
  PS256: { generate: rsa, sign: (key) => pss('sha256', key) },
  PS384: { generate: rsa, sign: (key) => pss('sha384', key) },
  PS512: { generate: rsa, sign: (key) => pss('sha512', key) },
  ES256: { generate: () => ec('P-256'), sign: (key) => ecdsa('sha256', key) },
  ES384: { generate: () => ec('P-384'), sign: (key) => ecdsa('sha384', key) },
  ES512: { generate: () => ec('P-521'), sign: (key) => ecdsa('sha512', key) },
  ES256K: { generate: () => ec('secp256k1'), sign: (key) => ecdsa('sha256', key) },
  EdDSA: {
    generate: () => generateKeyPair('ed25519'),
    sign: (key) => (data) => sign(null, data, key),
  },
  Ed25519: {
    generate: () => generateKeyPair('ed25519'),
    sign: (key) => (data) => sign(null, data, key),
  },
  HS256: { sign: (key) => (data) => createHmac('sha256', key).update(data).digest() },
}

/** Makes a key for one algorithm. `modulusLength` for RSA keys that are too small. */
export const generateKey = async (
  alg: string,
  kid: string,
  { modulusLength }: { modulusLength?: number } = {},
): Promise<SigningKey> => {
  const row = algorithms[alg]
  if (row?.generate === undefined) throw new TypeError(`no key is generated for ${alg}`)
  const { privateKey, publicKey } =
    modulusLength === undefined ? await row.generate() : await rsa(modulusLength)
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
  return Object.freeze({ kid, alg, privateKey, publicKey, jwk })
}

export const encodeSegment = (text: string | Uint8Array): string =>
  Buffer.from(text).toString('base64url')

/** A compact JWS over exactly these texts; `none` and unknown names get an empty signature. */
export const encodeJwt = (
  header: string,
  payload: string,
  alg: string,
  key: KeyObject | undefined,
): string => {
  const input = `${encodeSegment(header)}.${encodeSegment(payload)}`
  const row = algorithms[alg]
  const signature = row === undefined || key === undefined ? '' : row.sign(key)(Buffer.from(input))
  return `${input}.${encodeSegment(signature)}`
}
