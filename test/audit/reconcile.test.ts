import { describe, expect, test } from 'vitest'
import { createReconciler, listCaKeys } from '../../src/audit/reconcile.ts'
import type { CertificateLogin } from '../../src/audit/sshd-log.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { allowEntry, chainRows, startEntry } from '../fakes/entries.ts'

const { certificate, ask } = allowEntry(1)
const { serial, keyId } = certificate
const login: CertificateLogin = {
  time: Date.parse('2026-11-22T10:01:00Z'),
  host: 'web-1',
  login: 'deploy',
  address: '192.0.2.7',
  fingerprint: ask.fingerprint,
  keyId,
  serial,
  ca: certificate.ca,
}
const at = (time: string) => ({ time: Date.parse(time) })

const open = async () => {
  const store = createFakeStore()
  const other = { ...startEntry, ca: 'SHA256:other' }
  await store.append(chainRows([startEntry, other, allowEntry(1), allowEntry(2)]), undefined)
  return createReconciler({
    store,
    ours: await listCaKeys(store),
    findRevoked: ({ seq }) =>
      seq === 4
        ? { time: '2026-11-22T10:01:00Z', by: 'local:maya', reason: 'a stolen laptop' }
        : undefined,
    toleranceSeconds: 120,
  })
}

describe('a login that the log of certificates accounts for', () => {
  test.each<[string, Partial<CertificateLogin>]>([
    ['as it was issued', {}],
    ['on the host by its whole name', { host: 'WEB-1.example.com.' }],
    ['of a log that names no host', { host: undefined as never }],
    ['of a log that names an address', { host: '192.0.2.1' }],
    ['a minute behind its end, as far as clocks differ', at('2026-11-22T10:06:59Z')],
    ['two minutes before its beginning', at('2026-11-22T09:57:00Z')],
    ['with zeros in front of its serial', { serial: `00${serial}` }],
  ])('is no finding: %s', async (_what, change) => {
    const { judge } = await open()
    expect(await judge({ ...login, ...change })).toEqual({ kind: 'judged', findings: [] })
  })
})

describe('a login that it does not account for', () => {
  test.each<[string, Partial<CertificateLogin>, readonly object[]]>([
    ['a serial that was never issued', { serial: '4242' }, [{ kind: 'never-issued' }]],
    ['serial 0, which ssh-keygen -s gives', { serial: '0' }, [{ kind: 'never-issued' }]],
    [
      'a serial that another of our keys never signed',
      { ca: 'SHA256:other' },
      [{ kind: 'never-issued' }],
    ],
    ['another key id', { keyId: 'x' }, [{ kind: 'key-id', expected: keyId }]],
    ['another key', { fingerprint: 'SHA256:x' }, [{ kind: 'public-key', expected: 'SHA256:key' }]],
    ['another login', { login: 'root' }, [{ kind: 'login', expected: 'deploy' }]],
    ['another host', { host: 'db-1' }, [{ kind: 'host', expected: 'web-1.example.com' }]],
    [
      'a host whose name only begins alike',
      { host: 'web' },
      [{ kind: 'host', expected: 'web-1.example.com' }],
    ],
    [
      'a time past its end',
      at('2026-11-22T10:07:00Z'),
      [{ kind: 'expired', expected: '2026-11-22T10:05:00Z' }],
    ],
    [
      'a time before its beginning',
      at('2026-11-22T09:56:59Z'),
      [{ kind: 'not-yet-valid', expected: '2026-11-22T09:59:00Z' }],
    ],
    [
      'several things at once',
      { keyId: 'x', login: 'root' },
      [
        { kind: 'key-id', expected: keyId },
        { kind: 'login', expected: 'deploy' },
      ],
    ],
  ])('is a finding: %s', async (_what, change, findings) => {
    const { judge } = await open()
    expect(await judge({ ...login, ...change })).toEqual({ kind: 'judged', findings })
  })

  test('is a finding once a revocation had the time to reach the host, and not before', async () => {
    const { judge } = await open()
    const second = allowEntry(2)
    const used = (time: string) =>
      judge({
        ...login,
        ...at(time),
        host: 'web-2',
        serial: second.certificate.serial,
        keyId: second.certificate.keyId,
      })
    expect(await used('2026-11-22T10:03:00Z')).toEqual({ kind: 'judged', findings: [] })
    expect(await used('2026-11-22T10:03:01Z')).toEqual({
      kind: 'judged',
      findings: [{ kind: 'revoked', expected: 'revoked at 2026-11-22T10:01:00Z by local:maya' }],
    })
  })

  test('by another CA says nothing about ours', async () => {
    const { judge } = await open()
    expect(await judge({ ...login, ca: 'SHA256:theirs' })).toEqual({ kind: 'foreign' })
  })
})
