import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findKnownHost } from '../../src/client/known-hosts.ts'
import { decodeBase64 } from '../../src/lib/bytes.ts'
import { createPublicKeyLine } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'
import { execute } from '../tools.ts'

const createDirectory = useDirectories()
const [known, other] = [createPublicKeyLine(), createPublicKeyLine()]
const blobOf = (line: string) => decodeBase64(line.split(' ')[1] ?? '') ?? new Uint8Array()
const names = ['web-1.example.com']
/** Whether the key passes, or the code of its refusal. */
const check = (text: string, line = known, port = 22) => {
  try {
    findKnownHost(text, { names, port }).check(blobOf(line))
    return 'known'
  } catch (error) {
    return (error as { readonly code: string }).code
  }
}

describe('known hosts', () => {
  test.each([
    [`web-1.example.com ${known}`, 'known'],
    [`web-1.example.com\t${known} a comment\r\n`, 'known'],
    [`\n# web-1\nweb-2,web-1.example.com,web-3 ${known}`, 'known'],
    [`WEB-1.example.COM ${known}`, 'known'],
    [`web-?.example.* ${known}`, 'known'],
    [`*,!web-2.example.com ${known}`, 'known'],
    [`web-1.example.com ${other}\nweb-1.example.com ${known}`, 'known'],
    [`[web-1.example.com]:22 ${known}`, 'host_key_unknown'],
    [`web-1.example.com ${other}`, 'host_key_mismatch'],
    ['', 'host_key_unknown'],
    [`web-2.example.com ${known}`, 'host_key_unknown'],
    [`web-1.example.com.evil.example ${known}`, 'host_key_unknown'],
    [`*,!web-1.example.com ${known}`, 'host_key_unknown'],
    [`# web-1.example.com ${known}`, 'host_key_unknown'],
    [`@cert-authority *.example.com ${known}`, 'host_key_unknown'],
    [`@revoked web-1.example.com ${known}`, 'host_key_unknown'],
    [`web-1.example.com ${known}\n@revoked * ${known}`, 'host_key_revoked'],
    [`web-1.example.com ${known}\n@revoked * ${other}`, 'known'],
    [`@trusted web-1.example.com ${known}`, 'invalid_known_hosts'],
    ['web-1.example.com ssh-ed25519', 'invalid_known_hosts'],
    [`web-1.example.com ${known.replace('ssh-ed25519', 'ssh-rsa')}`, 'invalid_known_hosts'],
    ['web-1.example.com ssh-ed25519 AAAA!', 'invalid_known_hosts'],
    ['web-1.example.com ssh-dss AAAAB3NzaC1kc3M=', 'host_key_unknown'],
  ])('%j says of the key: %s', (text, answer) => {
    expect(check(text)).toBe(answer)
  })

  test('the port belongs to the name; a plain name counts where there is no line for the port', () => {
    expect(check(`[web-1.example.com]:2222 ${known}`, known, 2222)).toBe('known')
    expect(check(`[web-1.example.com]:2222 ${known}`, known, 2223)).toBe('host_key_unknown')
    expect(check(`web-1.example.com ${known}`, known, 2222)).toBe('known')
    const both = `web-1.example.com ${known}\n[web-1.example.com]:2222 ${other}`
    expect(check(both, known, 2222)).toBe('host_key_mismatch')
    expect(check(both, other, 2222)).toBe('known')
    expect(check(`${both}\n@revoked web-1.example.com ${other}`, other, 2222)).toBe(
      'host_key_revoked',
    )
  })

  test('an address is found however its letters are written', async () => {
    const file = join(createDirectory(), 'known_hosts')
    writeFileSync(file, `2001:db8::a ${known}\n`)
    const find = (text: string) =>
      findKnownHost(text, { names: ['web-1.example.com', '2001:DB8::A'], port: 22 }).types
    expect(find(readFileSync(file, 'utf8'))).toEqual(['ssh-ed25519'])
    await execute('ssh-keygen', ['-H', '-f', file])
    expect(find(readFileSync(file, 'utf8'))).toEqual(['ssh-ed25519'])
  })

  test('hashed names are found, as ssh-keygen hashes them', async () => {
    const file = join(createDirectory(), 'known_hosts')
    writeFileSync(file, `web-1.example.com ${known}\n[web-1.example.com]:2222 ${other}\n`)
    await execute('ssh-keygen', ['-H', '-f', file])
    const text = readFileSync(file, 'utf8')
    expect(text).not.toContain('web-1')
    expect(check(text)).toBe('known')
    expect(check(text, other)).toBe('host_key_mismatch')
    expect(check(text, other, 2222)).toBe('known')
    expect(check(text.replaceAll('|1|', '|2|'))).toBe('host_key_unknown')
  })

  test('only types that are known are agreed on, and the line of a mistake is named', () => {
    expect(findKnownHost(`web-1.example.com ${known}`, { names, port: 22 }).types).toEqual([
      'ssh-ed25519',
    ])
    expect(() =>
      findKnownHost(`\nweb-1.example.com ${known}\nnonsense`, { names, port: 22 }),
    ).toThrow(
      'Line 3 of the known hosts is not valid: write NAMES TYPE BASE64, as ssh-keyscan does.',
    )
  })
})
