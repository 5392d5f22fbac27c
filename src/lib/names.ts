const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const hostPattern = new RegExp(`^${label}(?:\\.${label})*$`)

/**
 * Whether a host name is in the one form we take: lower-case ASCII labels of letters, digits and
 * hyphens (RFC 1123 section 2.1), at most 63 each and 253 in all, no trailing dot, and not an IP
 * address in any spelling: a name whose last label is a number is read as IPv4 by URL parsers
 * (WHATWG URL section 3.5), so none is taken.
 */
export const isHostName = (text: string): boolean => {
  if (text.length === 0 || text.length > 253 || !hostPattern.test(text)) return false
  const last = text.slice(text.lastIndexOf('.') + 1)
  return !/^(?:[0-9]+|0x[0-9a-f]*)$/.test(last)
}

/** Whether a login is one POSIX would portably take (and no shell, path or sshd token could misread). */
export const isLogin = (text: string): boolean => /^[a-z_][a-z0-9_.-]{0,31}$/.test(text)

/** Whether a rule has a usable name: it becomes part of key ids and log lines. */
export const isRuleName = (text: string): boolean => /^[a-z0-9][a-z0-9-]{0,63}$/.test(text)

/**
 * Whether a principal may stand in a certificate and, unchanged, in a host's principals file. It
 * starts with no `-` or `.`, which a helper program could take for an option or a directory.
 */
export const isPrincipal = (text: string): boolean => /^(?![.-])[a-z0-9._@:-]{1,286}$/.test(text)
