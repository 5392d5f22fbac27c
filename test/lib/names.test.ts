import { describe, expect, test } from 'vitest'
import { isHostName, isLogin, isPrincipal, isRuleName } from '../../src/lib/names.ts'

const label = 'a'.repeat(63)
const longest = `${label}.${label}.${label}.${'a'.repeat(61)}`

describe('a host name', () => {
  test.each([
    'web-1',
    'a',
    '1web',
    'web-1.example.com',
    'xn--bcher-kva.example',
    'a.b-c.d',
    `${label}.example`,
    longest,
    '10.0.0.1a',
    '1.2.3.example',
  ])('%s is taken', (text) => {
    expect(isHostName(text)).toBe(true)
  })

  // ATTACKS 159
  test.each([
    '',
    'Web-1',
    'web-1.',
    '.web-1',
    'web..example',
    '-web',
    'web-',
    'a.-b',
    'web_1',
    'web 1',
    'web-1\n',
    'web-1\u0000',
    'bücher.example',
    'ｗｅｂ',
    '\u212Aelvin',
    `${label}a.example`,
    `${longest}a`,
    '192.0.2.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.0.0.0x1',
    '0x',
    '017700000001',
    '::1',
    '[::1]',
    'web-*',
    'a,b',
    'a/b',
    'user@web-1',
    '%h',
    '..',
  ])('%j is not [ATTACKS 159]', (text) => {
    expect(isHostName(text)).toBe(false)
  })
})

describe('a login', () => {
  test.each(['root', 'deploy', '_apt', 'a', 'maya.b-c_1', 'a'.repeat(32)])(
    '%s is taken',
    (text) => {
      expect(isLogin(text)).toBe(true)
    },
  )
  test.each([
    '',
    'Root',
    '1a',
    '-a',
    '.a',
    'a'.repeat(33),
    'a b',
    'a@b',
    'a,b',
    'a\n',
    'a/b',
    'ｒｏｏｔ',
    'a$',
    '%u',
    'a:b',
  ])('%j is not', (text) => {
    expect(isLogin(text)).toBe(false)
  })
})

describe('a rule’s name', () => {
  test.each(['a', '0', 'runner-setup', 'a'.repeat(64)])('%s is taken', (text) => {
    expect(isRuleName(text)).toBe(true)
  })
  test.each(['', '-a', 'A', 'a_b', 'a/b', 'a b', 'a\n', 'a'.repeat(65), '__proto__'])(
    '%j is not',
    (text) => {
      expect(isRuleName(text)).toBe(false)
    },
  )
})

describe('a principal', () => {
  test.each(['deploy@web-1', 'root', 'ops:eu', 'a'.repeat(286)])('%s is taken', (text) => {
    expect(isPrincipal(text)).toBe(true)
  })
  test.each([
    '',
    'a,b',
    'a b',
    'a#b',
    'a*',
    'a?',
    'A',
    'a\n',
    'a\u0000',
    'a'.repeat(287),
    'ä',
    '%u',
    'a/b',
    '"a"',
  ])('%j is not', (text) => {
    expect(isPrincipal(text)).toBe(false)
  })
})
