import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** One block of addresses, as `10.2.0.0/16` or `2001:db8::/32`; a bare address is a block of one. */
export interface Cidr {
  /** As written in OpenSSH's `source-address`: always with a prefix length. */
  readonly text: string
  readonly family: 'ipv4' | 'ipv6'
  readonly address: string
  readonly prefix: number
}

/**
 * Reads a CIDR block. Undefined for everything sshd would choke on (it then refuses the whole login):
 * host bits set, spaces, `!`, zone ids, a prefix out of range, an IPv4 address mapped into IPv6.
 */
export const parseCidr = (text: string): Cidr | undefined => {
  const match = /^([0-9a-f.:]{2,45})(?:\/([0-9]{1,3}))?$/.exec(text)
  if (match === null) return undefined
  const address = match[1] as string
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined
  if (family === undefined) return undefined
  const bits = family === 'ipv4' ? 32 : 128
  const prefix = match[2] === undefined ? bits : Number(match[2])
  if (prefix > bits || (match[2] !== undefined && String(prefix) !== match[2])) return undefined
  const value = toBigInt(address, family)
  if (family === 'ipv6' && isMapped(value)) return undefined
  if (value & ((1n << BigInt(bits - prefix)) - 1n)) return undefined
  return { text: `${address}/${prefix}`, family, address, prefix }
}

const toBigInt = (address: string, family: 'ipv4' | 'ipv6'): bigint => {
  if (family === 'ipv4') {
    return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  }
  // Only the textual form matters here: an IPv4 tail becomes two groups, `::` the missing zeros.
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
    const high = ((Number(a) << 8) | Number(b)).toString(16)
    const low = ((Number(c) << 8) | Number(d)).toString(16)
    return `${high}:${low}`
  })
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}

/** Whether an IPv6 address is an IPv4 one in disguise, however it is spelled (RFC 4291 section 2.5.5.2). */
const isMapped = (value: bigint): boolean => value >> 32n === 0xffffn

/**
 * The canonical form of a peer's address: an IPv4 address mapped into IPv6 becomes plain IPv4, a
 * zone id falls away. Undefined where it is no IP address.
 */
export const parseAddress = (text: string): string | undefined => {
  if (isIPv4(text)) return text
  const address = text.replace(/%.*$/, '').toLowerCase()
  if (!isIPv6(address)) return undefined
  const value = toBigInt(address, 'ipv6')
  if (!isMapped(value)) return address
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.')
}

/** A function that says whether an address lies in one of the blocks: an IPv4 address, mapped or not, in those of IPv4 alone. */
export const createAddressMatcher = (blocks: readonly Cidr[]): ((address: string) => boolean) => {
  // One list of both would find every IPv4 address in `::/64`, where they are mapped to.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const { address, prefix, family } of blocks) lists[family].addSubnet(address, prefix, family)
  return (text) => {
    const address = parseAddress(text)
    if (address === undefined) return false
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    return lists[family].check(address, family)
  }
}

/** Whether every address of some blocks lies in one of the others. */
export const isCovered = (blocks: readonly Cidr[], by: readonly Cidr[]): boolean =>
  blocks.every(({ family, address, prefix }) => {
    const others = by
      .filter((other) => other.family === family)
      .map((other) => ({ start: toBigInt(other.address, family), prefix: other.prefix }))
    return isRangeCovered(toBigInt(address, family), prefix, family === 'ipv4' ? 32 : 128, others)
  })

/** A block that is in no other as a whole may be so in two halves. */
const isRangeCovered = (
  start: bigint,
  prefix: number,
  bits: number,
  by: readonly { readonly start: bigint; readonly prefix: number }[],
): boolean => {
  const shift = (length: number) => BigInt(bits - length)
  const holds = by.some(
    (other) =>
      other.prefix <= prefix && start >> shift(other.prefix) === other.start >> shift(other.prefix),
  )
  if (holds || prefix === bits) return holds
  const inside = by.filter((other) => other.start >> shift(prefix) === start >> shift(prefix))
  return (
    inside.length > 0 &&
    isRangeCovered(start, prefix + 1, bits, inside) &&
    isRangeCovered(start + (1n << shift(prefix + 1)), prefix + 1, bits, inside)
  )
}

/** The key a limit counts by: an IPv4 address, or the /64 an IPv6 address lies in. */
export const formatAddressBlock = (address: string): string => {
  if (!isIPv6(address)) return address
  return `${(toBigInt(address, 'ipv6') >> 64n).toString(16)}::/64`
}

/** Whether a URL's or a listener's host (an IPv6 address also in brackets) never leaves the machine. */
export const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' ||
  host === '::1' ||
  host === '[::1]' ||
  (isIPv4(host) && host.startsWith('127.'))
