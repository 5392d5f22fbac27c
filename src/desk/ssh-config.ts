import { chmodSync, existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { openDirectory, type Places, replaceFile } from './places.ts'

/**
 * What ssh must be told. Match's criteria are read from left to right, and `exec` is not run once one
 * before it has failed (ssh_config(5); readconf.c, match_cfg_line). OpenSSH before 9.6 hands %h and
 * %r to the user's shell as they are, and a name may come from anywhere, a git submodule's URL for one: so a
 * name with a quote or a backslash never gets there, and every other one stands in single quotes, in
 * which no shell gives anything a meaning. `!` is for csh, which looks for it in quotes too.
 */
const unquotable = ["'", '\\', '!'].map((sign) => `!*${sign}*`).join(',')

/**
 * Include stands before every Host block: what comes first counts for ssh. The certificate is an `IdentityFile`, as
 * ssh looks in the agent for exactly those; for a `CertificateFile` it would look for its bare key.
 */
export const formatSshConfig = (given: {
  readonly places: Places
  /** The program, by absolute paths: node and main. */
  readonly argv: readonly string[]
  /** Patterns of hosts that are Postern's, listed or not; the service's list alone where empty. */
  readonly hosts: readonly string[]
}): string => {
  const { places, argv, hosts } = given
  const words = [...argv, 'ready', ...(hosts.length === 0 ? [] : ['--ours']), '--']
  const command = [...words.map((word) => `'${checkWord(word)}'`), "'%h' '%r' '%n'"].join(' ')
  const guard = (criterion: string, wanted: readonly string[]) =>
    `${criterion} "${[unquotable, ...wanted].join(',')}"`
  return `# Written by "postern ssh-config --install"; "--uninstall" takes it away again.
Match ${guard('originalhost', hosts.length === 0 ? ['*'] : hosts)} ${guard('host', ['*'])} ${guard('user', ['*'])} exec "${command}"
    IdentityAgent ${quote(places.agentSocket)}
    IdentitiesOnly yes
    IdentityFile ${quote(places.certificates, '/%r@%n')}
    GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 ${quote(places.knownHosts)}
    ForwardAgent no
`
}

const checkWord = (word: string): string => {
  // Quotes end a word; the rest are patterns to Include, and tokens or variables to other keywords.
  if (!/^[^'"\\*?[\]${}%\p{Cc}]+$/u.test(word)) {
    throw new AppError('unsafe_place', 'A path has a sign that cannot be written for ssh.', {
      hint: `give it a name of plain letters: ${word}`,
    })
  }
  return word
}

/** A path as one word for ssh; `tail` may hold its own tokens. Code: `unsafe_place`. */
export const quote = (path: string, tail = ''): string => `"${checkWord(path)}${tail}"`

/** Whether a pattern of `--host` may stand in a Match line. */
export const isHostPattern = (text: string): boolean => /^[a-z0-9*?][a-z0-9.*?-]*$/.test(text)

/** What installing has done. */
export interface Installed {
  readonly file: string
  readonly isChanged: boolean
}

/**
 * Writes our file, and one line at the top of ~/.ssh/config; every other byte there stays, a link stays a
 * link, and the permissions stay. Doing it twice changes nothing. Code: `unsafe_place`.
 */
export const installSshConfig = (places: Places, home: string, text: string): Installed => {
  openDirectory(places.dir)
  replaceFile(places.sshConfig, text)
  const file = findConfig(home)
  const before = readText(file)
  if (listLines(before).includes(includeLine(places))) return { file, isChanged: false }
  write(file, `${includeLine(places)}\n${before}`)
  return { file, isChanged: true }
}

/** Takes that line away again, and our file. */
export const uninstallSshConfig = (
  places: Places,
  home: string,
  remove: (path: string) => void,
): Installed => {
  const file = findConfig(home)
  const before = readText(file)
  const line = includeLine(places)
  const isChanged = listLines(before).includes(line)
  if (isChanged) {
    // Each with its end, so that the others keep theirs.
    const lines = before.split(/(?<=\n)/)
    write(file, lines.filter((each) => each.replace(/\n$/, '') !== line).join(''))
  }
  remove(places.sshConfig)
  return { file, isChanged }
}

/** As the file is read, byte for byte. */
const includeLine = (places: Places): string =>
  Buffer.from(`Include ${quote(places.sshConfig)}`).toString('latin1')

const listLines = (text: string): readonly string[] => text.split('\n')

/** The file itself, where ~/.ssh/config is a link to it. */
const findConfig = (home: string): string => {
  const path = join(home, '.ssh/config')
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return path
  try {
    return realpathSync(path)
  } catch (cause) {
    throw new AppError('unsafe_place', `${path} is a link to nothing.`, {
      hint: `make what it points to: ls -l ${path}`,
      cause,
    })
  }
}

/** As latin1, so that every byte comes back as it was. */
const readText = (file: string): string => (existsSync(file) ? readFileSync(file, 'latin1') : '')

const write = (file: string, text: string): void => {
  if (!existsSync(file)) openDirectory(join(file, '..'))
  const mode = existsSync(file) ? statSync(file).mode & 0o7777 : 0o600
  replaceFile(file, text, mode, 'latin1')
  chmodSync(file, mode)
}
