import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { AppError } from '../errors.ts'
import { encodeUtf8 } from '../lib/bytes.ts'
import { type OwnFault, readOwnFile, writeOwnFile } from '../lib/own-file.ts'
import { formatPublicKey } from '../ssh/keys.ts'
import { encodePublicKey } from '../ssh/native.ts'
import { encodeSignature } from '../ssh/signature.ts'
import { formatSshsig } from '../ssh/sshsig.ts'

/**
 * The key that hosts pin when they enrol, and by which they know their trust bundles and scripts.
 * It is never the CA's: it certifies nobody, and only says which CA keys to trust.
 */
export interface TrustKey {
  /** `TYPE BASE64`. */
  readonly publicKey: string
  /** Its SSH wire blob. */
  readonly blob: Uint8Array
  /** An armored SSHSIG over the text. */
  sign(namespace: string, text: string): string
}

const type = 'ssh-ed25519'

export const createTrustKey = (key: KeyObject): TrustKey => {
  const blob = encodePublicKey(key)
  if (blob === undefined || key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError('a trust key is ed25519')
  }
  return Object.freeze({
    publicKey: formatPublicKey({ type, blob }),
    blob,
    sign: (namespace: string, text: string) =>
      formatSshsig({
        publicKey: blob,
        namespace,
        message: encodeUtf8(text),
        sign: (data) => encodeSignature(type, sign(null, data, key)),
      }),
  })
}

const refuse = (message: string, hint: string, cause?: unknown): AppError =>
  new AppError('invalid_config', message, { hint, ...(cause === undefined ? {} : { cause }) })

/** What to say of a file that is no key of ours, and what to do about it. */
const faults: Readonly<Record<Exclude<OwnFault, 'missing'>, readonly [string, string]>> = {
  unreadable: ['The trust key cannot be read.', 'ls -l'],
  'no file': ['The trust key is no file that postern has written.', 'ls -l'],
  foreign: ['The trust key belongs to another user.', 'chown $(id -u)'],
  'open to others': ['Other users may read or change the trust key.', 'chmod 600'],
}

/**
 * The trust key from its file (PKCS #8), made at the first start: 0600, on the disk when this
 * resolves. Where hosts have pinned it already it is never made anew: they would take no bundle any
 * more. Code: `invalid_config`.
 */
export const openTrustKey = async (given: {
  readonly path: string
  /** Whether a host may have pinned it. */
  readonly isPinned: boolean
}): Promise<TrustKey> => {
  const { path, isPinned } = given
  let found = await readOwnFile(path)
  if ('fault' in found && found.fault === 'missing') {
    if (isPinned) {
      throw refuse(
        'The trust key is gone, and hosts that enrolled know the service by it.',
        `put ${path} back from a copy of it`,
      )
    }
    const { privateKey } = generateKeyPairSync('ed25519')
    await writeOwnFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    found = await readOwnFile(path)
  }
  if ('fault' in found) {
    const [message, command] = faults[found.fault === 'missing' ? 'unreadable' : found.fault]
    throw refuse(message, `${command} ${path}`, found.cause)
  }
  try {
    return createTrustKey(createPrivateKey(found.text))
  } catch (cause) {
    throw refuse('The trust key is damaged.', `put ${path} back from a copy of it`, cause)
  }
}
