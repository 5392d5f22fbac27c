import { isIP, isIPv6 } from 'node:net'
import type { CopyPlace, KeyPlace, Rate, TcpAddress, UnixAddress } from '../config.ts'
import { type Cidr, isLoopbackHost, parseCidr } from '../lib/address.ts'
import { formatDuration, parseDuration } from '../lib/duration.ts'
import { isHostName } from '../lib/names.ts'

/**
 * The forms a single setting is written in. Every function answers the value, or a Refusal: the
 * sentence that says what to write instead.
 */
export interface Refusal {
  readonly refused: string
}

const refuse = (refused: string): Refusal => ({ refused })

export const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' && value !== null && 'refused' in value

/** `127.0.0.1:8422`, `[::1]:8422`, `localhost:8422`. Port 0 takes any free one. */
export const parseTcp = (text: string): TcpAddress | Refusal => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(0|[1-9][0-9]{0,4})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  const isHost = match?.[1] === undefined ? isIP(host) === 4 || isHostName(host) : isIPv6(match[1])
  return isHost && port <= 65_535
    ? { kind: 'tcp', host, port }
    : refuse('must be an address and a port, as 127.0.0.1:8422 or "[::1]:8422"')
}

/** The path of a UNIX socket must fit sockaddr_un's 108 bytes with its final NUL (unix(7)). */
const maxSocketPath = 107

/** What `parseTcp` reads, or `unix:/path`. */
export const parseListen =
  (resolvePath: (path: string) => string) =>
  (text: string): TcpAddress | UnixAddress | Refusal => {
    if (!text.startsWith('unix:')) {
      const tcp = parseTcp(text)
      return isRefusal(tcp) ? refuse(`${tcp.refused}, or unix:/path`) : tcp
    }
    const path = text.slice('unix:'.length)
    if (path === '') return refuse('names no socket; write unix:/run/postern/postern.sock')
    const full = resolvePath(path)
    return Buffer.byteLength(full) > maxSocketPath
      ? refuse(`is longer than the ${maxSocketPath} bytes a socket's path may have`)
      : { kind: 'unix', path: full }
  }

const windows = { s: 1, m: 60, h: 3600 } as const

/** `600/m`, or `off`. */
export const parseRate = (text: string): Rate | 'off' | Refusal => {
  if (text === 'off') return 'off'
  const match = /^([1-9][0-9]{0,6})\/([smh])$/.exec(text)
  if (match === null) return refuse('must be a rate, as 10/s, 600/m or 5000/h, or off')
  return { count: Number(match[1]), windowSeconds: windows[match[2] as keyof typeof windows] }
}

/** A duration within bounds, as seconds. */
export const parseSpan =
  (least: number, most: number) =>
  (text: string): number | Refusal => {
    const seconds = parseDuration(text)
    if (seconds === undefined) return refuse('must be a duration, as 90s, 15m, 1h or 7d')
    return seconds >= least && seconds <= most
      ? seconds
      : refuse(`must be between ${formatDuration(least)} and ${formatDuration(most)}`)
  }

/** A CIDR block that is not the whole internet: a proxy that is everybody proves nothing. */
export const parseProxy = (text: string): Cidr | Refusal => {
  const block = parseCidr(text)
  if (block === undefined) {
    return refuse('must be an address or a block without host bits, as 10.2.0.0/16 or 10.2.0.7')
  }
  return block.prefix === 0
    ? refuse('trusts every address there is; name the proxies, as 10.2.0.7')
    : block
}

/** A file, or `agent:SHA256:…` for a key an ssh-agent holds. */
export const parseUserKey =
  (resolvePath: (path: string) => string) =>
  (text: string): KeyPlace | Refusal => {
    if (!text.startsWith('agent:')) return { kind: 'file', path: resolvePath(text) }
    const fingerprint = text.slice('agent:'.length)
    return /^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)
      ? { kind: 'agent', fingerprint }
      : refuse('must name the key as ssh-add -l prints it, as agent:SHA256:… (43 characters)')
  }

/** `stdout`, or a file; `./stdout` is a file of that name. */
export const parseCopy =
  (resolvePath: (path: string) => string) =>
  (text: string): CopyPlace =>
    text === 'stdout' ? { kind: 'stdout' } : { kind: 'file', path: resolvePath(text) }

/** What a URL of ours never has, whoever it names: user, query, fragment, or a second reading. */
const checkUrl = (text: string): URL | Refusal => {
  // Spaces, backslashes and control characters are what URL parsers mend each in its own way.
  if (!/^https?:\/\/[!-[\]-~]+$/.test(text) || !URL.canParse(text)) {
    return refuse('must be a URL, as https://idp.example.com')
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || text.includes('@')) {
    return refuse('must not hold a user name or password')
  }
  if (/[?#]/.test(text)) return refuse('must end before any ? or #')
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    return refuse('must begin with https://; plain http is for loopback alone')
  }
  return url
}

/** An API's base URL, without a slash at its end. One server has one spelling, or it would be two. */
export const parseApiUrl = (text: string): string | Refusal => {
  const url = checkUrl(text)
  if (isRefusal(url)) return url
  if (text.endsWith('/')) return refuse('must not end with a slash')
  const plain = url.href.replace(/\/$/, '')
  return text === plain ? text : refuse(`must be written as ${plain}`)
}

/** Our own origin. A slash at its end is dropped; a path would be silently lost, so it is refused. */
export const parseOrigin = (text: string): string | Refusal => {
  const url = checkUrl(text)
  if (isRefusal(url)) return url
  if (url.pathname !== '/') return refuse(`must be an origin alone, as ${url.origin}`)
  // It stands in the script that hosts run to enrol.
  return /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/.test(url.origin)
    ? url.origin
    : refuse('must name a host by letters, digits, hyphens and dots')
}

const entraHosts = [
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.windows.net',
  'sts.windows.net',
]

/** An OIDC issuer, kept as it is written: tokens are compared with it character by character. */
export const parseIssuer = (text: string): string | Refusal => {
  const url = checkUrl(text)
  if (isRefusal(url)) return url
  // Whoever owns any tenant mints tokens for all of these ("nOAuth"): a tenant has its own issuer.
  const [tenant = ''] = url.pathname.slice(1).split('/')
  if (
    entraHosts.includes(url.hostname) &&
    !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tenant)
  ) {
    return refuse(
      'is not one tenant of Entra ID; write its id, as https://login.microsoftonline.com/<tenant id>/v2.0',
    )
  }
  return text
}
