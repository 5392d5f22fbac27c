/** A login by certificate, as a host's log tells of it. */
export interface CertificateLogin {
  /** Where the log says when: milliseconds since 1970. */
  readonly time?: number
  /** The host, where the log names it. */
  readonly host?: string
  readonly login: string
  readonly address: string
  /** The fingerprint of the certified key. */
  readonly fingerprint: string
  readonly keyId: string
  /** A decimal string, as the log has it. */
  readonly serial: string
  /** The fingerprint of the CA key that signed. */
  readonly ca: string
}

/**
 * What a line is: a login by certificate; one that is not told in full, as sshd never would of a
 * certificate of ours (then `login` alone may be known); a line that says so in a form we do not
 * know; or, undefined, something else.
 */
export type LogLine =
  | ({ readonly kind: 'login' } & CertificateLogin)
  | ({ readonly kind: 'cut' } & Pick<CertificateLogin, 'time' | 'host' | 'login'>)
  | { readonly kind: 'unknown' }
  | undefined

/** How a log's times are read where they do not say it themselves. */
export interface LogClock {
  readonly now: Date
  /** The host's distance from UTC, in minutes, for times without one. */
  readonly offsetMinutes: number
}

/** How long a line may be, in bytes: sshd's own end at 1 KiB, and journald adds its fields. */
export const maxLineBytes = 32 * 1024

/**
 * Reads a line of auth.log or syslog (RFC 3164 or RFC 3339 times), of `journalctl -o json`, or of
 * `sshd -E`. Everything in it may be an attacker's: a certificate forged with a stolen CA key has the
 * key id that its forger likes.
 */
export const readLogLine = (line: string, clock: LogClock): LogLine => {
  // Most lines of a log, at the price of a search; journald writes as bytes what is no plain text.
  if (!line.includes('-CERT ') && !line.includes('"MESSAGE":[')) return undefined
  const found = line.startsWith('{') ? readJournal(line) : readSyslog(line, clock)
  if (found === undefined) return isLogin(line) ? { kind: 'unknown' } : undefined
  return readMessage(found)
}

const isLogin = (line: string): boolean => /(?:Accepted|Partial) publickey for /.test(line)

interface Message {
  readonly text: string
  readonly time?: number
  readonly host?: string
}

const identifier = /^sshd(?:-session|-auth)?$/

const readJournal = (line: string): Message | undefined => {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(line) as typeof fields
  } catch {
    return undefined
  }
  const { MESSAGE, _HOSTNAME, SYSLOG_IDENTIFIER, __REALTIME_TIMESTAMP } = fields
  if (typeof SYSLOG_IDENTIFIER !== 'string' || !identifier.test(SYSLOG_IDENTIFIER)) return undefined
  // systemd.journal-fields(7): bytes where it is no plain text.
  const text = Array.isArray(MESSAGE) ? Buffer.from(MESSAGE as number[]).toString('utf8') : MESSAGE
  if (typeof text !== 'string') return undefined
  const micros = Number(__REALTIME_TIMESTAMP)
  return {
    text,
    ...(typeof _HOSTNAME === 'string' ? { host: _HOSTNAME } : {}),
    ...(Number.isSafeInteger(micros) && micros > 0 ? { time: micros / 1000 } : {}),
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const program = String.raw`(?<host>\S+) sshd(?:-session|-auth)?\[\d+\]: (?<text>.*)$`
const traditional = new RegExp(
  `^(?<month>${months.join('|')}) (?<day>[ 0-3]\\d) (?<clock>\\d\\d:\\d\\d:\\d\\d) ${program}`,
)
const modern = new RegExp(
  `^(?<stamp>\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?(?:Z|[+-]\\d\\d:\\d\\d)) ${program}`,
)

/** Anchored: that another program quotes such a line makes it no line of sshd's. */
const readSyslog = (line: string, clock: LogClock): Message | undefined => {
  if (isLogin(line.slice(0, 'Accepted publickey for '.length))) return { text: line }
  const old = traditional.exec(line)?.groups
  const { stamp, host, text } = old ?? modern.exec(line)?.groups ?? {}
  if (text === undefined || host === undefined) return undefined
  const time = old === undefined ? Date.parse(stamp ?? '') : findYear(old, clock)
  return { text, host, ...(Number.isNaN(time) ? {} : { time }) }
}

const day = 86_400_000

/** RFC 3164 times have no year: the latest in which it is not in the future. */
const findYear = (parts: Readonly<Record<string, string>>, clock: LogClock): number => {
  const { now, offsetMinutes } = clock
  const year = now.getUTCFullYear()
  const read = (of: number) => {
    const month = String(months.indexOf(parts['month'] ?? '') + 1).padStart(2, '0')
    const date = (parts['day'] ?? '').replace(' ', '0')
    return Date.parse(`${of}-${month}-${date}T${parts['clock']}Z`) - offsetMinutes * 60_000
  }
  const times = [year + 1, year, year - 1].map(read)
  return times.find((time) => time <= now.getTime() + day) ?? Number.NaN
}

/**
 * sshd cuts a message at 1,023 bytes (log.c, MSGBUFSIZ), and with it the serial that a long key id
 * pushes out: then the key id could end in one of its own. Ours make lines of half that.
 */
const longestMessage = 1000

const opening = /^(?:Accepted|Partial) publickey for (?<login>\S*) ?/
/** From the right: what stands last is sshd's, whatever the key id before it says. */
const whole =
  /^\w+ publickey for \S+ from (?<address>\S+) port \d+ ssh2: [A-Z0-9-]+-CERT (?<fingerprint>\S+) ID (?<keyId>.*) \(serial (?<serial>\d{1,20})\) CA [A-Z0-9-]+ (?<ca>\S+)$/s

const readMessage = ({ text, ...place }: Message): LogLine => {
  const login = opening.exec(text)?.groups?.['login']
  // The line of a plain key holds nothing in which this could stand.
  if (login === undefined || !text.includes('-CERT ')) return undefined
  const { address, fingerprint, keyId, serial, ca } =
    (Buffer.byteLength(text) < longestMessage ? whole.exec(text)?.groups : undefined) ?? {}
  if (
    address === undefined ||
    fingerprint === undefined ||
    keyId === undefined ||
    serial === undefined ||
    ca === undefined
  ) {
    return { kind: 'cut', ...place, login }
  }
  return { kind: 'login', ...place, login, address, fingerprint, keyId, serial, ca }
}
