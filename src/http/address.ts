import { parseAddress } from '../lib/address.ts'

/** A hop as proxies write it: an address, or one with a port behind it. */
const parseHop = (text: string): string | undefined => {
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, '$1')
  return parseAddress(bare)
}

/**
 * Who sent the request: the peer, or, where the peer is a trusted proxy, the rightmost entry of
 * X-Forwarded-For that is no trusted proxy. Everything left of that entry was written by somebody
 * we do not know, and so was any `Forwarded`, `X-Real-IP` and the like: they are not read. A hop
 * that is no address ends the walk, at the last proxy that vouches for itself.
 *
 * A unix socket's peers were let in by its file mode, so they count as trusted proxies.
 */
export const findClientAddress = (given: {
  readonly peer: string | undefined
  readonly isUnix: boolean
  readonly forwardedFor: string | undefined
  readonly isTrusted: (address: string) => boolean
}): string => {
  const peer = given.peer === undefined ? undefined : parseAddress(given.peer)
  let nearest = peer ?? (given.isUnix ? 'unix' : 'unknown')
  if (given.forwardedFor === undefined) return nearest
  const isProxy = given.isUnix || (peer !== undefined && given.isTrusted(peer))
  if (!isProxy) return nearest
  for (const hop of given.forwardedFor.split(',').reverse()) {
    const address = parseHop(hop.trim())
    if (address === undefined) return nearest
    nearest = address
    if (!given.isTrusted(address)) return nearest
  }
  return nearest
}
