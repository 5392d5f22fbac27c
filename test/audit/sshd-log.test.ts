import { describe, expect, test } from 'vitest'
import { type LogClock, readLogLine } from '../../src/audit/sshd-log.ts'

const clock: LogClock = { now: new Date('2026-11-22T10:00:00Z'), offsetMinutes: 0 }
const ca = `SHA256:${'C'.repeat(43)}`
const key = `SHA256:${'K'.repeat(43)}`
const format = (keyId: string, serial = '7', type = 'ED25519-CERT') =>
  `Accepted publickey for deploy from 192.0.2.7 port 55222 ssh2: ${type} ${key} ID ${keyId} (serial ${serial}) CA ED25519 ${ca}`
/** A line that is cut just behind an end that the key id brings along. */
const cutBehind = (tail: string) => {
  const room = 1023 - format('').indexOf(' (serial') - tail.length
  return format(`${'x'.repeat(room)}${tail}`).slice(0, 1023)
}
const keyId = 'oidc:idp.example.com:u-1:maya/deploy/req_1'
const login = {
  kind: 'login',
  login: 'deploy',
  address: '192.0.2.7',
  fingerprint: key,
  keyId,
  serial: '7',
  ca,
}
const at = (time: string) => Date.parse(time)
const journal = (fields: object) => JSON.stringify({ SYSLOG_IDENTIFIER: 'sshd', ...fields })

describe('a login by certificate', () => {
  test.each<[string, string, object]>([
    ['sshd -E', format(keyId), {}],
    ['sshd -E, by a FIDO key', format(keyId, '7', 'ECDSA-SK-CERT'), {}],
    [
      'auth.log',
      `Nov 22 08:01:02 web-1 sshd[4711]: ${format(keyId)}`,
      { host: 'web-1', time: at('2026-11-22T08:01:02Z') },
    ],
    [
      'auth.log of OpenSSH 9.8 and later',
      `Nov  2 08:01:02 web-1 sshd-session[4711]: ${format(keyId)}`,
      { host: 'web-1', time: at('2026-11-02T08:01:02Z') },
    ],
    [
      'auth.log of last year',
      `Dec 31 23:59:59 web-1 sshd[4711]: ${format(keyId)}`,
      { host: 'web-1', time: at('2025-12-31T23:59:59Z') },
    ],
    [
      'syslog with RFC 3339 times',
      `2026-11-22T09:01:02.123456+01:00 web-1.example.com sshd-auth[9]: ${format(keyId)}`,
      { host: 'web-1.example.com', time: at('2026-11-22T08:01:02.123Z') },
    ],
    [
      'journald',
      journal({
        MESSAGE: format(keyId),
        _HOSTNAME: 'web-1',
        __REALTIME_TIMESTAMP: '1795334462000000',
      }),
      { host: 'web-1', time: 1_795_334_462_000 },
    ],
    ['journald in bytes', journal({ MESSAGE: [...Buffer.from(format(keyId))] }), {}],
    ['a login with more to come', format(keyId).replace('Accepted', 'Partial'), {}],
  ])('is read from %s', (_what, line, more) => {
    expect(readLogLine(line, clock)).toEqual({ ...login, ...more })
  })

  test('has the time of a host with another offset', () => {
    const line = `Nov 22 09:01:02 web-1 sshd[4711]: ${format(keyId)}`
    expect(readLogLine(line, { ...clock, offsetMinutes: 60 })).toMatchObject({
      time: at('2026-11-22T08:01:02Z'),
    })
  })

  // ATTACKS 198: a forged certificate has the key id that its forger likes.
  test.each([
    ['the end of a line', `${keyId} (serial 5) CA ED25519 ${ca}`],
    ['a whole line', `x\\012${format('y', '5')}`],
    ['a line break as rsyslog writes it', `x#012${format('y', '5')}`],
    ['a real line break', `x\n${format('y', '5')}`],
    ['blanks, quotes and brackets', ` ID (serial 5) "CA" [x] `],
    ['nothing', ''],
    ['an escape', '\u001b[31mred'],
  ])('is read from the right: a key id with %s stays a key id', (_what, hostile) => {
    expect(readLogLine(format(hostile), clock)).toEqual({ ...login, keyId: hostile })
  })

  test.each([
    ['so long that sshd cuts its line', format('x'.repeat(1200)).slice(0, 1023)],
    [
      'so long that sshd cuts its line behind an end of its own',
      cutBehind(` (serial 5) CA ED25519 ${ca}`),
    ],
    ['with nothing behind it', format(keyId).replace(/ \(serial.*/, '')],
    ['with something behind the end', `${format(keyId)}, and more`],
    ['with a serial that is no number', format(keyId, 'x')],
    ['that breaks the line', format('x\n').split('\n')[0] ?? ''],
  ])('whose key id is %s is no login of ours, and told', (_what, line) => {
    expect(readLogLine(line, clock)).toEqual({ kind: 'cut', login: 'deploy' })
  })

  test.each([
    ['a plain key', `Accepted publickey for deploy from 192.0.2.7 port 5 ssh2: ED25519 ${key}`],
    ['a refusal', format(keyId).replace('Accepted', 'Failed')],
    ['a question', format(keyId).replace('Accepted', 'Postponed')],
    [
      'a quotation',
      `Nov 22 08:01:02 web-1 sudo[1]: maya : ${format(keyId)}`.replace(
        /Accepted publickey for/,
        'accepted',
      ),
    ],
    ['another program of the journal', journal({ SYSLOG_IDENTIFIER: 'nginx', MESSAGE: 'x-CERT ' })],
    ['nothing', ''],
  ])('is not: %s', (_what, line) => {
    expect(readLogLine(line, clock)).toBeUndefined()
  })

  test.each([
    ['another program quotes it', `Nov 22 08:01:02 web-1 logger: ${format(keyId)}`],
    ['the program is called like sshd', `Nov 22 08:01:02 web-1 sshd2[1]: ${format(keyId)}`],
    ['the journal does not say who wrote it', JSON.stringify({ MESSAGE: format(keyId) })],
    [
      'the prefix is of a form we do not know',
      `<38>1 2026-11-22T08:01:02Z web-1 sshd 1 - - ${format(keyId)}`,
    ],
    ['the line is cut', `{"MESSAGE":"${format(keyId)}`],
  ])('is counted, and not taken for one, where %s', (_what, line) => {
    expect(readLogLine(line, clock)).toEqual({ kind: 'unknown' })
  })
})
