import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findPlaces } from '../../src/desk/places.ts'
import {
  formatSshConfig,
  installSshConfig,
  isHostPattern,
  uninstallSshConfig,
} from '../../src/desk/ssh-config.ts'
import { AppError } from '../../src/errors.ts'
import { useDirectories } from '../fakes/directory.ts'
import { execute } from '../tools.ts'
import { createHome } from './desk.ts'

const createDirectory = useDirectories()

const setUp = (before?: Buffer, mode = 0o644, name = '') => {
  const home = join(createDirectory(), name)
  const file = join(home, '.ssh/config')
  const places = findPlaces({ HOME: home })
  if (before !== undefined) {
    mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 })
    writeFileSync(file, before)
    chmodSync(file, mode)
  }
  const line = `Include "${places.sshConfig}"\n`
  const install = () => installSshConfig(places, home, 'Match all\n')
  const uninstall = () => uninstallSshConfig(places, home, (path) => rmSync(path, { force: true }))
  return { home, file, places, line, install, uninstall }
}

const given = Buffer.from('Host *\r\n\tUser maya\xff\x80\n\n# no newline at the end', 'latin1')

describe('ssh-config --install', () => {
  test('adds one line on top, every other byte as it was, and twice changes nothing', () => {
    const { file, places, line, install } = setUp(given)
    expect(install()).toEqual({ file, isChanged: true })
    const after = readFileSync(file)
    expect(after.equals(Buffer.concat([Buffer.from(line), given]))).toBe(true)
    expect(statSync(file).mode & 0o777).toBe(0o644)
    expect(install()).toEqual({ file, isChanged: false })
    expect(readFileSync(file).equals(after)).toBe(true)
    expect(statSync(places.sshConfig).mode & 0o777).toBe(0o600)
  })

  test('and --uninstall takes exactly that away, wherever it was moved', () => {
    const { file, line, install, uninstall, places } = setUp(given)
    install()
    expect(uninstall()).toEqual({ file, isChanged: true })
    expect(readFileSync(file).equals(given)).toBe(true)
    expect(existsSync(places.sshConfig)).toBe(false)
    writeFileSync(file, `Host a\n${line}Host b\n`)
    uninstall()
    expect(readFileSync(file, 'utf8')).toBe('Host a\nHost b\n')
    expect(uninstall()).toEqual({ file, isChanged: false })
  })

  test('and all of it where it is there twice, or last without a newline', () => {
    const { file, line, uninstall } = setUp(given)
    writeFileSync(file, `${line}Host a\n${line.trimEnd()}`)
    expect(uninstall()).toEqual({ file, isChanged: true })
    expect(readFileSync(file, 'utf8')).toBe('Host a\n')
  })

  test('names a place with letters of any alphabet as it is called, and once', async () => {
    const { file, line, install, uninstall } = setUp(given, 0o600, 'josé-łódź')
    install()
    const after = readFileSync(file)
    expect(after.equals(Buffer.concat([Buffer.from(line), given]))).toBe(true)
    const { stderr } = await execute('ssh', ['-G', '-v', '-F', file, 'web-1'])
    expect(stderr).toMatch(/Reading configuration data .*\/postern\/ssh_config/)
    expect(install()).toEqual({ file, isChanged: false })
    uninstall()
    expect(readFileSync(file).equals(given)).toBe(true)
  })

  test('makes the file, 0600 in a directory 0700, where there is none', () => {
    const { home, file, line, install } = setUp()
    install()
    expect(readFileSync(file, 'utf8')).toBe(line)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(home, '.ssh')).mode & 0o777).toBe(0o700)
  })

  test('leaves a link a link, and writes what it points to', () => {
    const { home, file, line, install } = setUp(given)
    const real = join(home, 'dotfiles')
    writeFileSync(real, given)
    rmSync(file)
    symlinkSync(real, file)
    expect(install()).toEqual({ file: real, isChanged: true })
    expect(lstatSync(file).isSymbolicLink()).toBe(true)
    expect(readFileSync(real).equals(Buffer.concat([Buffer.from(line), given]))).toBe(true)
  })

  test('is not written where no home directory says where', async () => {
    const home = createHome()
    const outcome = await home.here(['ssh-config', '--install'], { HOME: '' })
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: There is no home directory to find ~/.ssh/config in.\nhint: set HOME to its absolute path\n',
    })
    await home.close()
  })

  test('refuses a link to nothing', () => {
    const { home, file, install } = setUp(given)
    rmSync(file)
    symlinkSync(join(home, 'gone'), file)
    expect(install).toThrow(`${file} is a link to nothing.`)
  })
})

describe('what ssh is told', () => {
  const places = findPlaces({ HOME: '/home/maya' })
  const argv = ['/usr/bin/node', '/opt/postern/main.js']

  test('is one Match block', () => {
    expect(formatSshConfig({ places, argv, hosts: [] })).toMatchInlineSnapshot(`
      "# Written by "postern ssh-config --install"; "--uninstall" takes it away again.
      Match originalhost "!*'*,!*\\*,!*!*,*" host "!*'*,!*\\*,!*!*,*" user "!*'*,!*\\*,!*!*,*" exec "'/usr/bin/node' '/opt/postern/main.js' 'ready' '--' '%h' '%r' '%n'"
          IdentityAgent "/home/maya/.local/state/postern/agent.sock"
          IdentitiesOnly yes
          IdentityFile "/home/maya/.local/state/postern/certificates/%r@%n"
          GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 "/home/maya/.local/state/postern/known_hosts"
          ForwardAgent no
      "
    `)
  })

  test.each(["it's", 'a"b', 'a\\b', 'a%b', 'a*b', 'a$b', 'a\nb'])(
    'never holds a path such as %j',
    (name) => {
      const odd = { places, argv: [`/opt/${name}/node`], hosts: [] }
      const refusal = new AppError(
        'unsafe_place',
        'A path has a sign that cannot be written for ssh.',
        { hint: `give it a name of plain letters: /opt/${name}/node` },
      )
      expect(() => formatSshConfig(odd)).toThrow(refusal)
    },
  )

  test.each([
    ['web-*.example.com', true],
    ['*', true],
    ['web-1', true],
    ['!web', false],
    ['a,b', false],
    ['a b', false],
    ['a"', false],
    ['-o', false],
    ['', false],
  ])('takes the pattern %j: %j', (pattern, isTaken) => {
    expect(isHostPattern(pattern)).toBe(isTaken)
  })
})
