import { describe, expect, test } from 'vitest'
import {
  createAddressMatcher,
  formatAddressBlock,
  parseAddress,
  parseCidr,
} from '../../src/lib/address.ts'

const block = (text: string) => {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new Error(`${text} is no block`)
  return cidr
}

describe('a block of addresses', () => {
  test.each([
    ['10.2.0.0/16', '10.2.0.0/16'],
    ['192.0.2.1', '192.0.2.1/32'],
    ['192.0.2.1/32', '192.0.2.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['::/0', '::/0'],
    ['::1', '::1/128'],
    ['64:ff9b::192.0.2.0/120', '64:ff9b::192.0.2.0/120'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8/128'],
  ])('%s is %s', (text, canonical) => {
    expect(parseCidr(text)?.text).toBe(canonical)
  })

  // Each of these, in a certificate, makes sshd refuse the whole login (ATTACKS 49, 50, 158).
  test.each([
    '10.2.0.1/16',
    '10.2.0.0/33',
    '10.2.0.0/-1',
    '10.2.0.0/08',
    '10.2.0.0/',
    '10.2.0.0/16 ',
    ' 10.2.0.0/16',
    '!10.2.0.0/16',
    '10.2.0.0/16,10.3.0.0/16',
    '',
    '010.2.0.0/16',
    '10.2/16',
    '0x0a020000/16',
    '167772160',
    'localhost',
    '2001:db8::1/32',
    '2001:db8::/129',
    '2001:DB8::/32',
    'fe80::1%eth0',
    '[::1]',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '0::ffff:0a00:0001/128',
    '::ffff:0:0/96',
  ])('%j is none', (text) => {
    expect(parseCidr(text)).toBeUndefined()
  })

  test('holds the addresses in it and no others', () => {
    const matches = createAddressMatcher(['10.2.0.0/16', '2001:db8::/32', '192.0.2.1'].map(block))
    const inside = ['10.2.0.0', '10.2.255.255', '2001:db8::1', '2001:db8:ffff::', '192.0.2.1']
    const outside = [
      '10.3.0.0',
      '10.1.255.255',
      '2001:db9::',
      '192.0.2.2',
      '::1',
      '',
      'web-1',
      '10.2.0.0/16',
    ]
    expect(inside.filter((address) => !matches(address))).toEqual([])
    expect(outside.filter((address) => matches(address))).toEqual([])
    expect(createAddressMatcher([])('10.2.0.0')).toBe(false)
  })

  test.each(['::/0', '::/64', '::/80'])('%s holds no IPv4 address', (text) => {
    const matches = createAddressMatcher([block(text)])
    expect(matches('::1')).toBe(true)
    expect(matches('10.2.0.0')).toBe(false)
  })
})

describe('a peer’s address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['::ffff:192.0.2.1%eth0', '192.0.2.1'],
  ])('%s is %s [ATTACKS 158]', (text, address) => {
    expect(parseAddress(text)).toBe(address)
  })

  test.each([
    '',
    'unknown',
    '192.0.2',
    '192.0.2.1:80',
    '[::1]',
    '192.0.2.1%eth0',
    '1.2.3.4, 5.6.7.8',
  ])('%j is none [ATTACKS 158]', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '20010db800010002::/64'],
    ['2001:db8:1:2::', '20010db800010002::/64'],
    ['::1', '0::/64'],
  ])('%s is counted as %s', (address, key) => {
    expect(formatAddressBlock(address)).toBe(key)
  })
})
