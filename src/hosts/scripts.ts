import { readFileSync } from 'node:fs'
import type { TrustKey } from './trust-key.ts'

/** What a host downloads to enrol. */
export interface Scripts {
  /** The script of `curl … | sh`, for this service. */
  readonly enrol: string
  /** The script that stays on the host, and its signature by the trust key. */
  readonly host: string
  readonly hostSignature: string
}

/** What the signature of the script that stays is for (SSHSIG). */
export const scriptNamespace = 'postern-script@v1'

const read = (name: string): string =>
  readFileSync(new URL(`./scripts/${name}`, import.meta.url), 'utf8')

/** An origin without a character that a shell would read as anything but itself. */
const plainOrigin = /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/

/** @throws TypeError for a URL that a shell could misread: the configuration takes none such. */
export const readScripts = (given: {
  readonly publicUrl: string
  readonly key: TrustKey
}): Scripts => {
  const { publicUrl, key } = given
  if (!plainOrigin.test(publicUrl)) throw new TypeError('a shell could misread the public URL')
  const host = read('postern-host.sh')
  return Object.freeze({
    enrol: read('enrol.sh').replaceAll('@publicUrl@', () => publicUrl),
    host,
    hostSignature: key.sign(scriptNamespace, host),
  })
}
