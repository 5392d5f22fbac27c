import { describe, expect, test } from 'vitest'
import {
  authenticator,
  ensurePackages,
  explainMissing,
  findProgram,
  isInstallable,
} from './tools.ts'

const debian = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
const mint = 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'
const fedora = 'ID=fedora\n'
const alpine = 'ID=alpine\n'

describe('where a package is missing', () => {
  test.each([
    ['root on Debian', debian, true, true],
    ['root on a child of Ubuntu', mint, true, true],
    ['a normal user on Debian', debian, false, false],
    ['root on Fedora', fedora, true, false],
    ['root on a system without os-release', '', true, false],
  ])('%s has it installed or not', (_who, osRelease, isRoot, expected) => {
    expect(isInstallable({ osRelease, isRoot })).toBe(expected)
  })

  test.each([
    [debian, false, 'sshd is missing: sudo apt-get install -y sshd'],
    [fedora, false, 'sshd is missing: sudo dnf install -y sshd'],
    [alpine, true, 'sshd is missing: apk add sshd'],
    ['', true, "sshd is missing: install what your system calls Debian's sshd."],
  ])('the one command is named', (osRelease, isRoot, message) => {
    expect(explainMissing(['sshd'], { osRelease, isRoot })).toBe(message)
  })

  test('nothing is said or done where nothing is missing', async () => {
    const said: string[] = []
    await ensurePackages(['openssh-server', 'openssh-tests'], (line) => said.push(line))
    expect(said).toEqual([])
    expect(findProgram('sshd')).toMatch(/^\/.*\/sshd$/)
    expect(authenticator).toMatch(/\.so$/)
  })
})
