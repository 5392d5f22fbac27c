import { describe, expect, test } from 'vitest'
import { findClientAddress } from '../../src/http/address.ts'
import {
  type Cidr,
  createAddressMatcher,
  isLoopbackHost,
  parseCidr,
} from '../../src/lib/address.ts'

const isTrusted = createAddressMatcher(
  ['10.0.0.0/8', 'fd00::/8'].map((text) => parseCidr(text) as Cidr),
)
const find = (peer: string | undefined, forwardedFor?: string, isUnix = false) =>
  findClientAddress({ peer, forwardedFor, isUnix, isTrusted })

// ATTACKS 170
describe('the client address', () => {
  test.each([
    ['the peer, where no proxy is trusted', '198.51.100.7', undefined, '198.51.100.7'],
    ['the peer, whatever it forwards', '198.51.100.7', '203.0.113.1', '198.51.100.7'],
    ['what a trusted proxy forwards', '10.0.0.1', '203.0.113.1', '203.0.113.1'],
    ['the rightmost of what a client made up', '10.0.0.1', '1.1.1.1, 203.0.113.1', '203.0.113.1'],
    ['past every trusted hop', '10.0.0.1', '203.0.113.1, 10.0.0.2,10.0.0.3', '203.0.113.1'],
    ['the leftmost, where all are trusted', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['the proxy itself, where it forwards nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['the proxy itself, where it forwards nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['the nearest hop that says something', '10.0.0.1', '1.1.1.1, _x, 10.0.0.2', '10.0.0.2'],
    ['without a port', '10.0.0.1', '203.0.113.1:4711', '203.0.113.1'],
    ['without brackets and port', '10.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['IPv4 in IPv6 as IPv4', '::ffff:10.0.0.1', '203.0.113.1', '203.0.113.1'],
    ['IPv6 through an IPv6 proxy', 'fd00::1', '2001:DB8::1', '2001:db8::1'],
    ['nothing of an empty list', '10.0.0.1', ' , ,', '10.0.0.1'],
  ])('is %s', (_what, peer, forwardedFor, expected) => {
    expect(find(peer, forwardedFor)).toBe(expected)
  })

  test('behind a unix socket is what the proxy there forwards', () => {
    expect(find(undefined, '203.0.113.1', true)).toBe('203.0.113.1')
    expect(find(undefined, undefined, true)).toBe('unix')
  })

  test('of a peer that has already gone is unknown, and nothing it forwards counts', () => {
    expect(find(undefined, '203.0.113.1')).toBe('unknown')
  })
})

describe('loopback', () => {
  test.each(['localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]'])('is %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true)
  })
  test.each(['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', '127.example.com', ''])(
    'is not "%s"',
    (host) => {
      expect(isLoopbackHost(host)).toBe(false)
    },
  )
})
