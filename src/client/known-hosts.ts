import { createHmac } from 'node:crypto'
import { AppError } from '../errors.ts'
import { decodeBase64, encodeBase64, isEqual } from '../lib/bytes.ts'
import { createReader, WireError } from '../ssh/wire.ts'
import { hostKeyMismatch, hostKeyUnknown } from './errors.ts'

/** What is known of a host's keys, out of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHost {
  /** The types of the keys it may show. */
  readonly types: readonly HostKeyType[]
  /**
   * Never trusts on first use: only a key that stands there passes. The blob is what the host shows.
   * Codes: `host_key_mismatch`, `host_key_revoked`.
   */
  check(blob: Uint8Array): void
}

/** The types of host key we know how to verify. Certificates of hosts are not among them. */
export type HostKeyType = (typeof hostKeyTypes)[number]
const hostKeyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const

interface Line {
  readonly isRevoked: boolean
  readonly names: string
  readonly type: string
  readonly blob: Uint8Array
}

/**
 * Looks up a host by its name, and by the address where one is given, with the port: `[name]:port`
 * unless it is 22; a plain name counts for another port too where there is no line for that, as with
 * ssh. `@cert-authority` lines are passed over. Codes: `invalid_known_hosts`, `host_key_unknown`.
 */
export const findKnownHost = (
  text: string,
  place: { readonly names: readonly string[]; readonly port: number },
): KnownHost => {
  const lines = parseKnownHosts(text)
  const [name = ''] = place.names
  // An IPv6 address may come in capitals; patterns are compared, and hashes made, in lower case.
  const names = place.names.map((each) => each.toLowerCase())
  const withPort = names.map((each) => (place.port === 22 ? each : `[${each}]:${place.port}`))
  const select = (wanted: readonly string[]) =>
    lines.filter((line) => wanted.some((each) => isNamed(line.names, each)))
  const exact = select(withPort)
  const lenient = exact.some(({ isRevoked }) => !isRevoked) ? [] : select(names)
  const revoked = [...exact, ...select(names)].filter(({ isRevoked }) => isRevoked)
  const trusted = [...exact, ...lenient].filter(({ isRevoked }) => !isRevoked)
  const types = hostKeyTypes.filter((type) => trusted.some((line) => line.type === type))
  if (types.length === 0) throw hostKeyUnknown(name)
  return Object.freeze({
    types,
    check(blob: Uint8Array) {
      if (revoked.some((line) => isEqual(line.blob, blob))) {
        throw new AppError('host_key_revoked', `The host shows a key of ${name} that is revoked.`, {
          hint: 'do not log in; whoever holds the old key may stand in for the host',
        })
      }
      if (!trusted.some((line) => isEqual(line.blob, blob) === true)) throw hostKeyMismatch()
    },
  })
}

/**
 * Whether a line speaks of all of these names in full, so that whoever wrote it says they are one host. Patterns
 * and hashes say no such thing. Code: `invalid_known_hosts`.
 */
export const isOneHost = (text: string, names: readonly string[]): boolean =>
  parseKnownHosts(text).some(({ isRevoked, names: field }) => {
    const plain = field.split(',').map((name) => /^\[(.+)\]:[0-9]+$/.exec(name)?.[1] ?? name)
    return !isRevoked && names.every((name) => plain.includes(name))
  })

const parseKnownHosts = (text: string): readonly Line[] =>
  text.split('\n').flatMap((line, at) => {
    const words = line
      .replace(/\r$/, '')
      .split(/[ \t]+/)
      .filter((word) => word !== '')
    if (words.length === 0 || words[0]?.startsWith('#') === true) return []
    const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined
    if (marker === '@cert-authority') return []
    const [names, type, base64] = words
    const blob = base64 === undefined ? undefined : decodeBase64(base64)
    const isMarked = marker === undefined || marker === '@revoked'
    if (!isMarked || names === undefined || type === undefined || blob === undefined) {
      throw invalid(at + 1)
    }
    if (findType(blob) !== type) throw invalid(at + 1)
    return [{ isRevoked: marker === '@revoked', names, type, blob }]
  })

const findType = (blob: Uint8Array): string | undefined => {
  try {
    return createReader(blob).readText()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

const invalid = (line: number): AppError =>
  new AppError(
    'invalid_known_hosts',
    `Line ${line} of the known hosts is not valid: write NAMES TYPE BASE64, as ssh-keyscan does.`,
  )

/** Whether the first field of a line speaks of a name: hashed, or patterns of which none says `!`. */
const isNamed = (field: string, name: string): boolean => {
  if (field.startsWith('|')) return isHashOf(field, name)
  const patterns = field.split(',')
  const isRuledOut = patterns.some((each) => each.startsWith('!') && isMatch(each.slice(1), name))
  return !isRuledOut && patterns.some((each) => isMatch(each, name))
}

/** `|1|salt|hash`: an HMAC-SHA1 of the name, under the salt. */
const isHashOf = (field: string, name: string): boolean => {
  const [empty, version, salt, hash, ...rest] = field.split('|')
  const key = salt === undefined ? undefined : decodeBase64(salt)
  if (empty !== '' || version !== '1' || key === undefined || rest.length > 0) return false
  const found = createHmac('sha1', key).update(name).digest()
  return encodeBase64(new Uint8Array(found)) === hash
}

/** OpenSSH's `*` and `?`, without regard to case; goes back to the last `*` only, so never far. */
const isMatch = (pattern: string, name: string): boolean => {
  const wanted = pattern.toLowerCase()
  let at = 0
  let star = -1
  let resume = 0
  for (let i = 0; i < name.length; ) {
    if (wanted[at] === '*') {
      star = at++
      resume = i
    } else if (wanted[at] === '?' || (at < wanted.length && wanted[at] === name[i])) {
      at++
      i++
    } else if (star !== -1) {
      at = star + 1
      i = ++resume
    } else return false
  }
  return [...wanted.slice(at)].every((char) => char === '*')
}
