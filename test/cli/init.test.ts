import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('postern init', () => {
  test('makes what serve needs, closed to others, and says what is next (ATTACKS 338)', async () => {
    const cwd = createDirectory()
    const { code, stdout, stderr } = await runCli(['init', 'ca'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const dir = join(cwd, 'ca')
    expect(
      ['', 'data', 'policies', 'postern.yaml', 'user_ca', 'policies/first.yaml'].map((name) =>
        modeOf(join(dir, name)),
      ),
    ).toEqual(['700', '700', '700', '600', '600', '600'])

    const shown = await runCli(['ca', 'show'], { cwd: dir })
    const [line = '', fingerprint = ''] = shown.stdout.split('\n')
    expect(line).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]+$/)
    expect(fingerprint).toMatch(/^# SHA256:/)
    expect(stdout).toBe(`Made:
  ${dir}/postern.yaml         the configuration
  ${dir}/user_ca              the CA key: it signs for every host that trusts it; keep a copy offline
  ${dir}/policies/first.yaml  a first policy, an example
  ${dir}/data                 for the log
  ${dir}/schemas              for an editor, which then explains and checks these files

Next:
  1. Name your identity provider under "identity" in ca/postern.yaml.
  2. Say who may reach what in ${dir}/policies/first.yaml, then: postern policy check --config ca/postern.yaml
  3. postern serve --config ca/postern.yaml
  4. On each host, as root: put this line into /etc/ssh/postern/user_ca.pub
       ${line}
     and into /etc/ssh/sshd_config.d/50-postern.conf
       TrustedUserCAKeys /etc/ssh/postern/user_ca.pub
       AuthorizedPrincipalsFile /etc/ssh/postern/principals/%u
     with the line LOGIN@HOST in /etc/ssh/postern/principals/LOGIN.
`)
  })

  test('writes a policy that loads without a warning, and a configuration that serve refuses alone', async () => {
    const cwd = createDirectory()
    expect((await runCli(['init'], { cwd })).code).toBe(0)
    const checked = await runCli(['policy', 'check'], { cwd })
    expect(checked).toMatchObject({ code: 0, stderr: '' })
    expect(checked.stdout).toMatch(/^ok: 1 rule in 1 file, sha256 [0-9a-f]{64}\n$/)
    expect(await runCli(['serve'], { cwd })).toEqual({
      code: 78,
      stdout: '',
      stderr: `error: No identity provider is configured: nobody could ask.\nhint: add one under identity in ${cwd}/postern.yaml; "postern init" writes an example of each\n`,
    })
  })

  test('writes a configuration whose every line may be uncommented', async () => {
    const cwd = createDirectory()
    await runCli(['init'], { cwd })
    const file = join(cwd, 'postern.yaml')
    const text = readFileSync(file, 'utf8')
    // A passphrase goes with a file, the agent's socket with a key in it: both are shown.
    const whole = text.replace(/^( *)#([a-zA-Z-])/gm, '$1$2')
    expect(whole).not.toBe(text)
    writeFileSync(file, whole)
    const { config, warnings } = await loadConfig({ env: {}, cwd })
    expect(warnings).toEqual([])
    expect(config.identity.oidc).toHaveLength(1)
    expect(config.identity.github).toHaveLength(1)
    expect(config.tls).toBeDefined()
    expect(config.ca.userKeyPassphraseFile).toBe(join(cwd, 'user_ca.passphrase'))
  })

  test.each(['postern.yaml', 'user_ca', 'policies/first.yaml'])(
    'leaves everything as it is where there is a %s',
    async (name) => {
      const cwd = writeFiles(createDirectory(), { [name]: 'mine' })
      expect(await runCli(['init'], { cwd })).toEqual({
        code: 1,
        stdout: '',
        stderr: `error: ${cwd}/${name} exists already; nothing was written.\nhint: name another directory: postern init DIR\n`,
      })
      expect(readFileSync(join(cwd, name), 'utf8')).toBe('mine')
      const others = ['postern.yaml', 'user_ca', 'policies/first.yaml'].filter((n) => n !== name)
      expect(others.filter((other) => existsSync(join(cwd, other)))).toEqual([])
    },
  )

  test('does not write through a link to nowhere', async () => {
    const cwd = createDirectory()
    symlinkSync(join(cwd, 'elsewhere'), join(cwd, 'user_ca'))
    const { code, stderr } = await runCli(['init'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain(`${cwd}/user_ca exists already; nothing was written.`)
    expect(existsSync(join(cwd, 'elsewhere'))).toBe(false)
  })

  test('says where it could not write', async () => {
    const cwd = writeFiles(createDirectory(), { file: '' })
    const { code, stderr } = await runCli(['init', 'file/ca'], { cwd })
    expect(code).toBe(78)
    expect(stderr).toMatch(
      /^error: The directory cannot be written\.\ndetail: .*ENOTDIR.*\nhint: ls -ld /,
    )
  })
})
