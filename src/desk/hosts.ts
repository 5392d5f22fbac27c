import { isHostName } from '../lib/names.ts'

/**
 * The names in a known_hosts text: those of the hosts the service knows. A port stands as
 * `[name]:port`; an address, what is hashed, negated or a pattern names nobody (sshd(8), SSH_KNOWN_HOSTS).
 */
export const listKnownNames = (text: string): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const line of text.split('\n')) {
    const words = line.split(' ')
    const [first = ''] = words[0]?.startsWith('@') ? words.slice(1) : words
    for (const name of first.split(',')) {
      const plain = /^(?:\[([a-z0-9.-]+)\]:[0-9]+|([a-z0-9.-]+))$/.exec(name)
      const found = plain?.[1] ?? plain?.[2]
      if (found !== undefined && isHostName(found)) names.add(found)
    }
  }
  return names
}
