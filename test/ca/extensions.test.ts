import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { checkIntent } from '../../src/ca/check.ts'
import { createAuthority } from '../../src/ca/index.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { clock, createSound, limits, now } from './intents.ts'
import { fidoLines } from './keys.ts'
import { createDirectory, createKeyFile, runTool } from './tools.ts'

const directory = createDirectory()
afterAll(directory.remove)

/** The extensions that `ssh-keygen -L` reads, with their values. */
const listByTool = (path: string): readonly string[] => {
  const text = runTool('ssh-keygen', ['-L', '-f', path])
  return text
    .slice(text.indexOf('Extensions:'))
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

describe("a vendor's extension with a value", () => {
  test('is read by ssh-keygen as one of its own is', async () => {
    const path = `${directory.path}/user`
    const line = createKeyFile('ssh-ed25519', path)
    const ca = `${directory.path}/ca`
    createKeyFile('ssh-ed25519', ca)
    const options = ['-O', 'clear', '-O', 'permit-pty', '-O', 'extension:login@github.com=octocat']
    runTool('ssh-keygen', ['-q', '-s', ca, '-I', 'id', '-n', 'a', ...options, `${path}.pub`])
    const expected = listByTool(`${path}-cert.pub`)
    expect(expected).toHaveLength(2)

    const authority = await createAuthority({ signer: createMemorySigner(), clock, ...limits })
    const extensions = { 'login@github.com': 'octocat', 'permit-pty': '' }
    for (const key of [line, fidoLines['sk-ssh-ed25519@openssh.com']]) {
      const publicKey = parsePublicKey(key)
      const { text } = await authority.certify(createSound({ publicKey, extensions }))
      writeFileSync(`${path}-cert.pub`, text)
      expect(listByTool(`${path}-cert.pub`)).toEqual(expected)
    }
    await authority.close()
  })

  const check = (extensions: Readonly<Record<string, string>>, criticalOptions = {}) => {
    try {
      checkIntent(createSound({ extensions, criticalOptions }), limits, now)
      return 'sound'
    } catch (error) {
      return error instanceof Error && 'detail' in error ? error.detail : error
    }
  }

  test('may stand beside a forced command: sshd does not know it', () => {
    expect(check({ 'login@github.com': 'x' }, { 'force-command': '/bin/true' })).toBe('sound')
  })

  test.each<[string, string, string]>([
    ['login@github.com', '', 'the value of login@github.com is not sound'],
    ['login@github.com', 'x\ny', 'the value of login@github.com is not sound'],
    ['login@github.com', 'é', 'the value of login@github.com is not sound'],
    ['login@github.com', 'x'.repeat(513), 'the value of login@github.com is not sound'],
    ['login@', 'x', 'an extension is not one of ours'],
    ['@github.com', 'x', 'an extension is not one of ours'],
    ['Login@github.com', 'x', 'an extension is not one of ours'],
    ['login@GitHub.com', 'x', 'an extension is not one of ours'],
    ['login@github.com@evil.example', 'x', 'an extension is not one of ours'],
    ['force-command', 'x', 'an extension is not one of ours'],
    ['no-touch-required', '', 'an extension is not one of ours'],
    ['no-touch-required@openssh.com', 'x', 'an extension is not one of ours'],
    ['x@sub.openssh.com', 'x', 'an extension is not one of ours'],
    ['permit-pty', 'x', 'permit-pty has a value'],
  ])('%s of %o is unsound [ATTACKS 12, 46]', (name, value, detail) => {
    if (name === 'login@github.com') expect(check({ [name]: 'octocat' })).toBe('sound')
    expect(check({ [name]: value })).toBe(detail)
  })
})
