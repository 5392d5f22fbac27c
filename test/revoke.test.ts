import { describe, expect, test, vi } from 'vitest'
import { toCertificate } from '../src/audit/certificates.ts'
import { createLog } from '../src/audit/chain.ts'
import { parseEntry } from '../src/audit/entry.ts'
import type { EntryIdentity, IssuedCertificate } from '../src/audit/index.ts'
import { createRing } from '../src/ca/rotation.ts'
import { AppError } from '../src/errors.ts'
import { sha256 } from '../src/lib/bytes.ts'
import { openRevoke, type RevokeOrder } from '../src/revoke.ts'
import { formatFingerprint } from '../src/ssh/keys.ts'
import { decodeKrl, isKeyRevoked, isRevoked } from '../src/ssh/krl-reader.ts'
import { createFakeStore, type FakeStore } from './fakes/audit-store.ts'
import { allowEntry } from './fakes/entries.ts'
import { createPair, createProbe } from './ssh/krl-probes.ts'

const ca = createPair()
const key = createPair()
const start = Date.parse('2026-11-22T10:00:00Z')
const at = (seconds: number) => `${new Date(start + seconds * 1000).toISOString().slice(0, 19)}Z`

const identity = (subject: string, kind = 'oidc'): EntryIdentity => ({
  kind,
  issuer: kind === 'local' ? 'local' : 'https://idp.example.com',
  subject,
  name: subject,
  groups: [],
  claims: {},
  mfa: false,
})
const admin = identity('maya', 'local')

/** The entry of the n-th certificate: a real one, of person u-n on host web-n. */
const issue = (
  n: number,
  more: {
    subject?: string
    host?: string
    rule?: string
    issued?: number
    ends?: number
    blob?: Uint8Array
  } = {},
) => {
  const { subject = `u-${n}`, host = `web-${n}.example.com`, rule = 'deploy-job' } = more
  const { issued = 0, ends = 300, blob = createPair().blob } = more
  const base = allowEntry(n)
  const probe = createProbe({ authority: ca, publicKey: blob, serial: BigInt(n), keyId: `id-${n}` })
  return allowEntry(n, {
    time: at(issued),
    identity: { ...base.identity, subject },
    ask: { ...base.ask, host, fingerprint: formatFingerprint(blob) },
    rule: { ...base.rule, name: rule },
    certificate: {
      ...base.certificate,
      serial: `${n}`,
      keyId: `id-${n}`,
      ca: formatFingerprint(ca.blob),
      validBefore: at(ends),
      text: probe.text,
    },
  })
}

const open = async (store: FakeStore = createFakeStore(), seconds = 0) => {
  let now = start + seconds * 1000
  let isDoubted = false
  const log = await createLog({ store })
  const clock = () => new Date(now)
  const trustedClock = () => {
    if (isDoubted) throw new AppError('clock_untrusted', 'The clock may be wrong.')
    return clock()
  }
  const revoke = await openRevoke({ log, store, ring: createRing([]), clock, trustedClock })
  await revoke.settle()
  const order = (target: RevokeOrder['target'], more: Partial<RevokeOrder> = {}): RevokeOrder => ({
    identity: admin,
    request: { id: 'req_1', address: '192.0.2.1' },
    reason: 'a laptop was stolen',
    target,
    isDryRun: false,
    checkAdmin: async () => {},
    ...more,
  })
  return {
    store,
    log,
    ...revoke,
    run: (target: RevokeOrder['target'], more: Partial<RevokeOrder> = {}) =>
      revoke.revoke(order(target, more)),
    lift: (target: Parameters<typeof revoke.unrevoke>[0]['target'], by = admin) =>
      revoke.unrevoke({
        identity: by,
        request: { id: 'req_2', address: '' },
        reason: 'found',
        target,
      }),
    types: () => store.rows.map((row) => parseEntry(row).entry.type),
    advance: (seconds: number) => {
      now += seconds * 1000
    },
    doubt: () => {
      isDoubted = true
    },
    /** Serials that a host with the KRL refuses. */
    listRevoked() {
      const krl = decodeKrl(revoke.krl().bytes)
      return store.rows
        .map((row) => toCertificate(parseEntry(row)))
        .filter((one): one is IssuedCertificate => one !== undefined)
        .filter(({ serial, keyId }) =>
          isRevoked(krl, {
            authority: ca.blob,
            serial: BigInt(serial),
            keyId,
            publicKey: new Uint8Array(),
          }),
        )
        .map(({ serial }) => Number(serial))
    },
    reopen: () => open(store, (now - start) / 1000),
  }
}

const filled = async (...entries: readonly ReturnType<typeof issue>[]) => {
  const service = await open()
  for (const entry of entries) await service.log.append(entry)
  return service
}

const subject = (name: string) =>
  ({ kind: 'subject', issuer: 'https://idp.example.com', subject: name }) as const
const serial = (n: number) => ({ kind: 'serial', serial: `${n}` }) as const

describe('a revocation', () => {
  test.each<{
    what: string
    target: RevokeOrder['target']
    found: readonly number[]
    people: number
  }>([
    { what: 'a serial', target: serial(3), found: [3], people: 1 },
    { what: 'a person', target: subject('u-1'), found: [1, 5], people: 1 },
    {
      what: 'a key',
      target: { kind: 'key', fingerprint: formatFingerprint(key.blob) },
      found: [2, 4],
      people: 2,
    },
    { what: 'a rule', target: { kind: 'rule', rule: 'root-job' }, found: [4, 5], people: 2 },
    { what: 'a host', target: { kind: 'host', host: 'db.example.com' }, found: [1, 2], people: 2 },
    { what: 'a time on', target: { kind: 'span', after: at(20) }, found: [3, 4, 5], people: 3 },
    { what: 'a time before', target: { kind: 'span', before: at(20) }, found: [1, 2], people: 2 },
    {
      what: 'a time between',
      target: { kind: 'span', after: at(10), before: at(30) },
      found: [2, 3],
      people: 2,
    },
  ])('of $what reaches $found', async ({ target, found, people }) => {
    const service = await filled(
      issue(1, { host: 'db.example.com' }),
      issue(2, { host: 'db.example.com', issued: 10, blob: key.blob }),
      issue(3, { issued: 20 }),
      issue(4, { issued: 30, rule: 'root-job', blob: key.blob }),
      issue(5, { issued: 40, rule: 'root-job', subject: 'u-1' }),
      // Over, and never in a KRL.
      issue(6, {
        subject: 'u-1',
        issued: -9000,
        ends: -8000,
        host: 'db.example.com',
        blob: key.blob,
      }),
    )
    service.advance(60)
    const expected = { certificates: found.length, people }
    expect(await service.run(target, { isDryRun: true })).toMatchObject(expected)
    expect(service.types()).not.toContain('revoke')
    expect(await service.run(target)).toMatchObject({ ...expected, isRepeated: false })
    expect(service.listRevoked()).toEqual(found)
    // ATTACKS 222
    const again = await service.reopen()
    expect(again.listRevoked()).toEqual(found)
    expect(again.krl()).toEqual(service.krl())
  })

  test('is an entry: who, why, what, and none of the certificates it reaches', async () => {
    const service = await filled(issue(1), issue(2))
    await service.run({ kind: 'rule', rule: 'deploy-job' })
    expect(parseEntry(service.store.rows.at(-1) as never).entry).toEqual({
      type: 'revoke',
      time: at(0),
      request: { id: 'req_1', address: '192.0.2.1' },
      identity: admin,
      reason: 'a laptop was stolen',
      target: { kind: 'rule', rule: 'deploy-job' },
    })
  })

  // ATTACKS 218
  test('of the same thing twice is one entry, and says by whom', async () => {
    const service = await filled(issue(1), issue(2, { subject: 'u-1' }))
    for (const target of [
      serial(1),
      subject('u-1'),
      { kind: 'rule', rule: 'deploy-job' },
    ] as const) {
      const first = await service.run(target)
      const { revocation, ...second } = await service.run(target, { reason: 'again' })
      expect(second).toEqual({ isRepeated: true, certificates: 0, people: 0 })
      if (!first.isRepeated) expect(revocation).toEqual(first.revocation)
      expect(revocation).toMatchObject({ by: 'local:maya', reason: 'a laptop was stolen' })
    }
    expect(service.types().filter((type) => type === 'revoke')).toHaveLength(2)
  })

  test('of a rule reaches what was issued since the last one', async () => {
    const service = await filled(issue(1))
    const target = { kind: 'rule', rule: 'deploy-job' } as const
    await service.run(target)
    await service.log.append(issue(2))
    expect(service.listRevoked()).toEqual([1])
    expect(await service.run(target)).toMatchObject({ isRepeated: false, certificates: 1 })
    expect(service.listRevoked()).toEqual([1, 2])
  })

  // ATTACKS 218
  test.each<{ what: string; target: RevokeOrder['target']; code: string; message: string }>([
    {
      what: 'a serial that was never issued',
      target: serial(77),
      code: 'not_found',
      message: 'No certificate of this serial was issued: postern cert list shows which ones were.',
    },
    {
      what: 'a certificate that has ended',
      target: serial(1),
      code: 'certificate_expired',
      message:
        'The certificate has ended, and no host takes it any more: there is nothing to revoke.',
    },
    {
      what: 'a rule without a certificate alive',
      target: { kind: 'rule', rule: 'deploy-job' },
      code: 'not_found',
      message:
        'None of the certificates this names is alive: postern cert list --status active shows those that are.',
    },
  ])('of $what is refused', async ({ target, code, message }) => {
    const service = await filled(issue(1, { ends: -4000, issued: -5000 }))
    await expect(service.run(target)).rejects.toMatchObject({ code, message })
    expect(service.types()).toEqual(['allow'])
  })

  test('reaches a certificate for an hour past its end, for hosts whose clocks are behind', async () => {
    const service = await filled(issue(1))
    service.advance(300 + 3599)
    await service.run(serial(1))
    expect(service.listRevoked()).toEqual([1])
  })

  // ATTACKS 217
  test("of another's certificate asks for the role, of one's own does not", async () => {
    const service = await filled(issue(1), issue(2))
    const refused = new AppError('role_required', 'This needs the role admin.')
    const more = { identity: identity('u-1'), checkAdmin: () => Promise.reject(refused) }
    await expect(service.run(serial(2), more)).rejects.toBe(refused)
    const other = { ...more, identity: { ...identity('u-1'), issuer: 'https://other.example.com' } }
    await expect(service.run(serial(1), other)).rejects.toBe(refused)
    for (const target of [subject('u-1'), { kind: 'host', host: 'web-1.example.com' }] as const) {
      await expect(service.run(target, more)).rejects.toBe(refused)
      await expect(service.run(target, { ...more, isDryRun: true })).rejects.toBe(refused)
    }
    expect(service.listRevoked()).toEqual([])
    expect(() => service.checkRevoked(identity('u-1'), 'SHA256:x')).not.toThrow()
    expect(await service.run(serial(1), more)).toMatchObject({ certificates: 1 })
    expect(service.listRevoked()).toEqual([1])
  })

  // ATTACKS 216
  test('stays in the KRL until its certificate has ended everywhere, whatever comes and goes', async () => {
    const service = await filled(issue(1, { ends: 300 }), issue(2, { ends: 7000 }))
    await service.run({ kind: 'rule', rule: 'deploy-job' })
    await service.log.append(issue(3, { ends: 9000 }))
    service.advance(300 + 3599)
    await service.run(serial(3))
    expect(service.listRevoked()).toEqual([1, 2, 3])
    service.advance(1)
    await service.log.append(issue(4, { ends: 9000 }))
    await service.run(serial(4))
    expect(service.listRevoked()).toEqual([2, 3, 4])
    expect((await service.reopen()).listRevoked()).toEqual([2, 3, 4])
    // A clock that nobody trusts ends nothing.
    service.advance(1_000_000)
    service.doubt()
    await service.log.append(issue(5, { ends: 2_000_000 }))
    await service.run(serial(5))
    expect(service.listRevoked()).toEqual([2, 3, 4, 5])
  })

  test('has the number of its entry as the version of the KRL, and its time', async () => {
    const service = await filled(issue(1))
    expect(service.krl().version).toBe(0)
    expect(decodeKrl(service.krl().bytes)).toMatchObject({ version: 0n, generated: 0 })
    service.advance(5)
    await service.run(serial(1))
    expect(service.krl().version).toBe(2)
    expect(decodeKrl(service.krl().bytes)).toMatchObject({
      version: 2n,
      generated: start / 1000 + 5,
      comment: 'postern',
    })
  })

  test('outlasts its certificate in what is said of that', async () => {
    const service = await filled(issue(1), issue(2))
    await service.run(serial(1))
    service.advance(10_000)
    const [first, second] = service.store.rows.map((row) => toCertificate(parseEntry(row)))
    const again = await service.reopen()
    for (const { findRevoked } of [service, again]) {
      expect(findRevoked(first as IssuedCertificate)).toEqual({
        time: at(0),
        by: 'local:maya',
        reason: 'a laptop was stolen',
      })
      expect(findRevoked(second as IssuedCertificate)).toBeUndefined()
    }
  })

  test('is listed, newest first', async () => {
    const service = await filled(issue(1), issue(2), issue(3))
    for (const n of [1, 2, 3]) await service.run(serial(n))
    const serials = (list: readonly { target: object }[]) => list.map(({ target }) => target)
    expect(serials(service.list(2))).toMatchObject([serial(3), serial(2)])
    expect(serials(service.list(9, service.list(2).at(-1)?.seq))).toMatchObject([serial(1)])
  })
})

const refusal = (check: () => void) => {
  try {
    check()
  } catch (error) {
    const { code, message } = error as AppError
    return { code, message }
  }
  return undefined
}
const subjectRevoked = {
  code: 'subject_revoked',
  message:
    'Everything you hold is revoked: ask an administrator to lift that with "postern unrevoke".',
}
const keyRevoked = {
  code: 'key_revoked',
  message: 'This key is revoked: make a new one with "ssh-keygen -t ed25519".',
}
const fingerprint = formatFingerprint(key.blob)

describe('a revoked person or key', () => {
  // ATTACKS 219
  test('gets no certificate, from the order on and after a restart, until that is lifted', async () => {
    const service = await filled(issue(1, { blob: key.blob }))
    const check = (one = service) => [
      refusal(() => one.checkRevoked(identity('u-1'), 'SHA256:other')),
      refusal(() => one.checkRevoked(identity('u-2'), fingerprint)),
    ]
    expect(check()).toEqual([undefined, undefined])
    await service.run(subject('u-1'))
    await service.run({ kind: 'key', fingerprint })
    expect(check()).toEqual([subjectRevoked, keyRevoked])
    expect(check(await service.reopen())).toEqual([subjectRevoked, keyRevoked])
    const sameSubject = { ...identity('u-1'), issuer: 'https://other.example.com' }
    expect(refusal(() => service.checkRevoked(sameSubject, 'SHA256:other'))).toBeUndefined()
    // The key itself is in the KRL, for those who have it in authorized_keys.
    expect(isKeyRevoked(decodeKrl(service.krl().bytes), key.blob)).toBe(true)
    expect(service.list(9).map(service.isInForce)).toEqual([true, true])

    await service.lift(subject('u-1'))
    await service.lift({ kind: 'key', fingerprint })
    const again = await service.reopen()
    for (const one of [service, again]) {
      expect(check(one)).toEqual([undefined, undefined])
      expect(isKeyRevoked(decodeKrl(one.krl().bytes), key.blob)).toBe(false)
      expect(one.listRevoked()).toEqual([1])
      expect(one.list(9).map(one.isInForce)).toEqual([false, false])
      expect(one.krl().version).toBe(5)
    }
    expect(service.types()).toEqual(['allow', 'revoke', 'revoke', 'unrevoke', 'unrevoke'])
  })

  test('can be revoked again once lifted, with what was issued since', async () => {
    const service = await filled(issue(1, { subject: 'u-1' }))
    await service.run(subject('u-1'))
    await service.lift(subject('u-1'))
    await service.log.append(issue(2, { subject: 'u-1' }))
    expect(service.listRevoked()).toEqual([1])
    expect(await service.run(subject('u-1'))).toMatchObject({ isRepeated: false, certificates: 1 })
    expect(service.listRevoked()).toEqual([1, 2])
    expect(refusal(() => service.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
  })

  test('can be revoked before it holds anything', async () => {
    const service = await filled()
    expect(await service.run(subject('u-9'))).toMatchObject({ certificates: 0, people: 0 })
    expect(refusal(() => service.checkRevoked(identity('u-9'), 'x'))).toEqual(subjectRevoked)
  })

  test('is not barred by a dry run', async () => {
    const service = await filled(issue(1))
    await service.run(subject('u-1'), { isDryRun: true })
    expect(refusal(() => service.checkRevoked(identity('u-1'), 'x'))).toBeUndefined()
  })

  test('is refused from the order on, before its entry is durable, and what was signed meanwhile with it', async () => {
    const service = await filled()
    service.store.breakNext('hang')
    const done = service.run(subject('u-1'))
    await vi.waitFor(() => expect(service.store.batches).toHaveLength(1))
    expect(refusal(() => service.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
    service.store.release()
    await done
  })

  test('that was appended just before the entry is reached by it', async () => {
    const service = await filled()
    const issued = service.log.append(issue(1))
    const revoked = service.run(subject('u-1'))
    await Promise.all([issued, revoked])
    expect(await revoked).toMatchObject({ certificates: 1 })
    expect(service.listRevoked()).toEqual([1])
  })

  test('cannot lift that itself', async () => {
    const service = await filled()
    await service.run(subject('maya'))
    await expect(service.lift(subject('maya'), identity('maya'))).rejects.toMatchObject(
      subjectRevoked,
    )
    expect(service.types()).toEqual(['revoke'])
  })

  test.each([
    [subject('u-1'), 'This person is not revoked: postern revocations shows who is.'],
    [
      { kind: 'key', fingerprint } as const,
      'This key is not revoked: postern revocations shows what is.',
    ],
  ])('is to be lifted only where it is one: %o', async (target, message) => {
    const service = await filled(issue(1))
    await expect(service.lift(target)).rejects.toMatchObject({ code: 'not_found', message })
    expect(service.types()).toEqual(['allow'])
  })
})

describe('a log that cannot be written or read', () => {
  test.each(['lose', 'keep'] as const)(
    'leaves a person refused when that could not be recorded (%s), and takes it the next time',
    async (fault) => {
      const service = await filled(issue(1))
      service.store.breakNext(fault)
      await expect(service.run(subject('u-1'))).rejects.toMatchObject({ code: 'audit_unavailable' })
      expect(refusal(() => service.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
      await service.run(subject('u-1'))
      expect(service.listRevoked()).toEqual([1])
      const again = await service.reopen()
      expect(again.listRevoked()).toEqual([1])
      expect(refusal(() => again.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
    },
  )

  test('leaves it refused when its end could not be recorded', async () => {
    const service = await filled()
    await service.run(subject('u-1'))
    service.store.breakNext('lose')
    await expect(service.lift(subject('u-1'))).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(refusal(() => service.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
  })

  test('where that end may be recorded all the same, the next revocation is an entry again', async () => {
    const service = await filled()
    await service.run(subject('u-1'))
    service.store.breakNext('keep')
    await expect(service.lift(subject('u-1'))).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(await service.run(subject('u-1'))).toMatchObject({ isRepeated: false })
    expect(service.types()).toEqual(['revoke', 'unrevoke', 'revoke'])
    expect(await service.run(subject('u-1'))).toMatchObject({ isRepeated: true })
    const again = await service.reopen()
    expect(refusal(() => again.checkRevoked(identity('u-1'), 'x'))).toEqual(subjectRevoked)
  })

  test('leaves no KRL that lacks something: all is read again', async () => {
    const store = createFakeStore()
    let isBroken = false
    const find: FakeStore['find'] = (...args) =>
      isBroken ? Promise.reject(new AppError('audit_unavailable', 'No.')) : store.find(...args)
    const service = await open({ ...store, find })
    await service.log.append(issue(1))
    const append = service.log.append(issue(2))
    await append
    const target = { kind: 'rule', rule: 'deploy-job' } as const
    // The entry is durable, and then the certificates cannot be found.
    store.breakNext('hang')
    const done = service.run(target)
    await vi.waitFor(() => expect(store.batches).toHaveLength(3))
    isBroken = true
    store.release()
    await expect(done).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(() => service.krl()).toThrow('The revocations are being read: ask again in a second.')
    isBroken = false
    await vi.waitFor(() => expect(service.listRevoked()).toEqual([1, 2]))
  })
})

test('keys stand in the KRL by their SHA-256', async () => {
  const service = await filled()
  await service.run({ kind: 'key', fingerprint })
  expect(decodeKrl(service.krl().bytes).fingerprints).toEqual([sha256(key.blob)])
})
