import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'

// What an SSH server says of itself before anybody has logged in. Nothing is sent but what ssh-keyscan sends.

const timeoutMillis = 3000
/** RFC 4253 section 4.2: an identification has at most 255 bytes, and lines may stand before it. */
const maxBannerBytes = 4096
const maxScanBytes = 256 * 1024

/** Where a server is. */
export interface Address {
  /** A host name or an IP address that has been checked: it starts with no hyphen. */
  readonly address: string
  readonly port: number
}

/** The identification of an SSH server (`SSH-2.0-OpenSSH_9.2`), or in words why there is none. */
export const readBanner = async ({
  address,
  port,
}: Address): Promise<{ readonly banner: string } | { readonly fault: string }> => {
  const socket = connect({ host: address, port })
  const signal = AbortSignal.timeout(timeoutMillis)
  signal.addEventListener('abort', () => socket.destroy())
  try {
    let text = ''
    for await (const part of socket) {
      text += (part as Buffer).toString('latin1')
      const whole = text.slice(0, text.lastIndexOf('\n') + 1)
      const found = /^(SSH-[!-~ ]{1,251})\r?$/m.exec(whole)
      if (found !== null) return { banner: found[1] as string }
      if (text.length > maxBannerBytes) break
    }
    return { fault: 'what answers there is no SSH server' }
  } catch (error) {
    if (signal.aborted) return { fault: `it does not answer within ${timeoutMillis / 1000} s` }
    return { fault: describe(error) }
  } finally {
    socket.destroy()
  }
}

const describe = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return words[code] ?? `it cannot be reached (${code || String(error)})`
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens on that port',
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name could not be looked up',
  EHOSTUNREACH: 'there is no way to it from here',
  ENETUNREACH: 'there is no way to it from here',
}

/** The host keys a server offers, `TYPE BASE64` each; none where it offers none in time. */
export const scanHostKeys = async ({ address, port }: Address): Promise<readonly string[]> => {
  const args = ['-T', '3', '-p', String(port), '-t', 'ed25519,ecdsa,rsa', '--', address]
  const options = { timeout: 4 * timeoutMillis, maxBuffer: maxScanBytes }
  const { stdout } = await promisify(execFile)('ssh-keyscan', args, options).catch(() => ({
    stdout: '',
  }))
  return stdout.split('\n').flatMap((line) => {
    const [, key] = /^[^# ]\S* (\S+ [A-Za-z0-9+/=]+)$/.exec(line) ?? []
    return key === undefined ? [] : [key]
  })
}
