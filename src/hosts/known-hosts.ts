import type { Host } from './index.ts'

const usualPort = 22

/** sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: a port other than the usual stands behind brackets. */
const formatName = (name: string, port: number): string =>
  port === usualPort ? name : `[${name}]:${port}`

/** The lines of a known_hosts file for a host: by its name, its aliases and its address, a line a key. */
export const listKnownHosts = ({
  name,
  aliases,
  address,
  port,
  hostKeys,
}: Host): readonly string[] => {
  const names = [...new Set([name, ...aliases, ...(address === undefined ? [] : [address])])]
  const field = names.map((each) => formatName(each, port)).join(',')
  return hostKeys.map((key) => `${field} ${key}`)
}
