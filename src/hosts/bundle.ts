import { encodeBase64 } from '../lib/bytes.ts'
import { isHostName, isLogin, isPrincipal } from '../lib/names.ts'
import { parseHostKey } from '../ssh/host-keys.ts'

/** Everything a host installs, before it is signed. */
export interface BundleContents {
  readonly host: string
  readonly version: number
  /** The CA's public keys, `TYPE BASE64` each; none, where the host is to trust nobody. */
  readonly caKeys: readonly string[]
  readonly logins: readonly string[]
  readonly krl: Uint8Array
}

/** What its signature is for (SSHSIG): it can be taken for nothing else. */
export const bundleNamespace = 'postern-trust@v1'

/**
 * The text of a bundle, in lines that POSIX sh reads without a library. Each login has one
 * principal, `login@host`, as a certificate has it that opens this host alone. What a rule with
 * `fleetWide: true` or with `principals` of its own grants stands in none: a bare login there would
 * open every host at once, and hosts that shall take such certificates have files of their own.
 *
 * Nothing is written that could be read as two lines, as options of a principals file, or as a path.
 * @throws TypeError for such a name or key: it was to be refused long before.
 */
export const formatBundle = ({ host, version, caKeys, logins, krl }: BundleContents): string => {
  if (!isHostName(host)) throw new TypeError('no host has this name')
  const principals = logins.map((login) => {
    const principal = `${login}@${host}`
    if (!isLogin(login) || !isPrincipal(principal)) throw new TypeError('no login has this name')
    return `principal ${login} ${principal}`
  })
  const keys = caKeys.map((key) => {
    if (typeof parseHostKey(key) === 'string') throw new TypeError('no CA has this key')
    return `ca ${key}`
  })
  return [
    'postern-trust v1',
    `host ${host}`,
    `version ${version}`,
    ...keys,
    ...principals,
    `krl ${krl.length} ${encodeBase64(krl)}`,
    'end',
    '',
  ].join('\n')
}
