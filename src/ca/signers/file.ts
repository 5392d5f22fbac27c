import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { constants, type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sshpk from 'sshpk'
import { AppError } from '../../errors.ts'
import { isEqual } from '../../lib/bytes.ts'
import { formatFingerprint } from '../../ssh/keys.ts'
import { encodePublicKey } from '../../ssh/native.ts'
import type { Signer } from '../signer.ts'
import { createMemorySigner } from './memory.ts'

const maxBytes = 64 * 1024

/** The message is for the admin at the terminal, who knows the path: it stands in the hint. */
const refuse = (message: string, hint: string, cause?: unknown): AppError =>
  new AppError('invalid_config', message, { hint, ...(cause === undefined ? {} : { cause }) })

/**
 * A signer over a private key file: PKCS#8 PEM or OpenSSH format, ed25519, ECDSA or RSA from 3072
 * bits. A symlink is followed and its target checked: a regular file, ours, and nobody else's to
 * read. Where anything is wrong it is `invalid_config` with the command that mends it; a key is
 * never made here, for a new CA would be one that no host trusts.
 */
export const openFileSigner = async (given: {
  readonly path: string
  readonly passphrase?: string
}): Promise<Signer> => {
  const { path, passphrase } = given
  const text = await readSecret(path)
  try {
    return createMemorySigner(parsePrivateKey(text, path, passphrase))
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'invalid_config') throw error
    const message = 'The CA key is too weak, or is of a type no CA may have.'
    throw refuse(message, 'use an ed25519 key, ECDSA, or RSA of at least 3072 bits', error)
  }
}

/** Opens first and looks at what was opened, so that nothing can be swapped in between. */
const readSecret = async (path: string): Promise<string> => {
  let file: FileHandle
  try {
    // Not blocking: the open of a pipe would wait for its writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT') {
      throw refuse(
        'The CA key file does not exist.',
        `look for ${path}; a new CA key is made by postern init`,
        cause,
      )
    }
    throw refuse('The CA key file cannot be read.', `ls -l ${path}`, cause)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw refuse('The CA key is not a regular file.', `ls -l ${path}`)
    if (stat.uid !== process.getuid?.()) {
      throw refuse('The CA key file belongs to another user.', `chown $(id -u) ${path}`)
    }
    if ((stat.mode & 0o077) !== 0) {
      throw refuse('Other users may read or change the CA key file.', `chmod 600 ${path}`)
    }
    if (stat.size > maxBytes) throw refuse('The CA key file is too large.', `head ${path}`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** The forms a key file has, by the label of its PEM armour. */
const parsers: Readonly<
  Record<string, (text: string, path: string, passphrase: string | undefined) => KeyObject>
> = {
  'PRIVATE KEY': (text) => createPrivateKey(text),
  'ENCRYPTED PRIVATE KEY': (text, _path, passphrase) =>
    createPrivateKey({ key: text, passphrase: passphrase ?? '' }),
  'OPENSSH PRIVATE KEY': (text, path, passphrase) => parseOpenSsh(text, path, passphrase),
}

const parsePrivateKey = (text: string, path: string, passphrase: string | undefined): KeyObject => {
  const label = /^-----BEGIN ([A-Z0-9 ]+)-----\r?$/m.exec(text)?.[1] ?? ''
  const parse = Object.hasOwn(parsers, label) ? parsers[label] : undefined
  if (parse === undefined) {
    throw refuse(
      'The CA key file is neither PKCS#8 PEM nor in OpenSSH format.',
      `ssh-keygen -p -f ${path} writes it anew in OpenSSH format`,
    )
  }
  try {
    return parse(text, path, passphrase)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw refuse(
      passphrase === undefined
        ? 'The CA key file is damaged, or has a passphrase and none is configured.'
        : 'The CA key file is damaged, or its passphrase is another.',
      `ssh-keygen -y -f ${path} tells which; ca.userKeyPassphraseFile names the passphrase`,
      // The library’s own error could quote what it read.
    )
  }
}

/** PKCS#8 around an ed25519 seed (RFC 8410 section 7). */
const ed25519Header = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Node reads no OpenSSH format: sshpk does, and Node takes its PKCS#8. But for an ed25519 seed that
 * starts with a zero byte, one in 512, sshpk's PKCS#8 is a byte short, so that one we write.
 */
const parseOpenSsh = (text: string, path: string, passphrase: string | undefined): KeyObject => {
  const parsed = sshpk.parsePrivateKey(text, 'ssh-private', {
    filename: 'CA key',
    ...(passphrase === undefined ? {} : { passphrase }),
  })
  const seed = parsed.type === 'ed25519' ? parsed.part['k']?.data : undefined
  const key =
    seed === undefined
      ? createPrivateKey({ key: parsed.toBuffer('pkcs8'), format: 'pem' })
      : createPrivateKey({
          key: Buffer.concat([ed25519Header, seed]),
          format: 'der',
          type: 'pkcs8',
        })
  const derived = encodePublicKey(key)
  if (derived === undefined || !isEqual(derived, parsed.toPublic().toBuffer('rfc4253'))) {
    throw refuse('The two halves of the CA key do not belong together.', `ssh-keygen -y -f ${path}`)
  }
  return key
}

/**
 * Makes a CA key: ed25519, PKCS#8 PEM, mode 0600, on the disk when this resolves; with a passphrase
 * encrypted by it (PBES2, AES-256). `invalid_config` where something of that name exists: a CA key is
 * never overwritten.
 */
export const createCaKeyFile = async (path: string): Promise<void> =>
  writeKeyFile(path, generateKeyPairSync('ed25519').privateKey)

/** Makes such a key in a directory, which is made too, under the name that `formatKeyName` gives it. */
export const createNamedKeyFile = async (given: {
  readonly directory: string
  readonly passphrase?: string
}): Promise<Signer> => {
  const { directory, passphrase } = given
  const { privateKey } = generateKeyPairSync('ed25519')
  const signer = createMemorySigner(privateKey)
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw refuse('The CA key file cannot be written.', `ls -ld ${dirname(directory)}`, cause)
  }
  const name = formatKeyName(formatFingerprint(signer.publicKey))
  await writeKeyFile(join(directory, name), privateKey, passphrase)
  return signer
}

/** The name of a key's file: the first 16 characters of its fingerprint, none of them a slash. */
export const formatKeyName = (fingerprint: string): string =>
  fingerprint
    .slice('SHA256:'.length, 'SHA256:'.length + 16)
    .replace(/\+/g, '-')
    .replace(/\//g, '_')

const writeKeyFile = async (
  path: string,
  privateKey: KeyObject,
  passphrase?: string,
): Promise<void> => {
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8', ...encryption })
  let file: FileHandle
  try {
    file = await open(path, 'wx', 0o600)
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    throw isThere
      ? refuse('The CA key file exists already and is left as it is.', `ls -l ${path}`, cause)
      : refuse('The CA key file cannot be written.', `ls -ld ${dirname(path)}`, cause)
  }
  try {
    await file.writeFile(pem)
    await file.sync()
  } finally {
    await file.close()
  }
  // The name is an entry of the directory, and durable only with it.
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
