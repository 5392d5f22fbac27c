import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { createAuthority } from '../../src/ca/index.ts'
import type { Signer } from '../../src/ca/signer.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createSerial, systemRandom } from '../../src/lib/ids.ts'
import { type KeyType, keyTypes } from '../../src/ssh/algorithms.ts'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import { createFakeSigner, type SignerFault } from '../fakes/signer.ts'
import { clock, createSound, limits, now } from './intents.ts'
import { authorityTypes, createLines, createPrivate, fidoLines } from './keys.ts'
import { createDirectory, runTool } from './tools.ts'

const directory = createDirectory()
afterAll(directory.remove)

const open = (signer: Signer, at: () => Date = clock) =>
  createAuthority({ signer, clock: at, ...limits })

const lines = createLines()
const subjects = Object.keys(keyTypes) as readonly KeyType[]
const signers = new Map(
  authorityTypes.map((type) => [type, createMemorySigner(createPrivate(type))]),
)

describe.each(authorityTypes)('a CA with a key of type %s', (authorityType) => {
  test.each(subjects)('certifies a key of type %s as OpenSSH reads it', async (type) => {
    const signer = signers.get(authorityType) as Signer
    const authority = await open(signer)
    const intent = createSound({
      publicKey: parsePublicKey(lines[type]),
      serial: 9223372036854775807n,
      principals: ['deploy@web-1.example.com', 'ops'],
      // Written in another order than they must have, ATTACKS 48.
      criticalOptions: {
        'source-address': '10.2.0.0/16,2001:db8::/32',
        'force-command': '/usr/bin/env "a b" ü',
      },
      extensions: { 'permit-user-rc': '', 'permit-pty': '' },
    })
    const { text } = await authority.certify(intent)

    const path = `${directory.path}/${authorityType}-${subjects.indexOf(type)}-cert.pub`
    writeFileSync(path, text)
    const listed = runTool('ssh-keygen', ['-Lf', path], { env: { TZ: 'UTC', LC_ALL: 'C.UTF-8' } })
    const rows = listed.split('\n').map((row) => row.trim())
    expect(rows[1]).toBe(`Type: ${keyTypes[type].certificate} user certificate`)
    expect(rows[2]).toContain(intent.publicKey.fingerprint)
    expect(rows[3]).toContain(authority.fingerprint)
    expect(rows[3]).toContain(`(using ${signer.algorithm})`)
    expect(rows.slice(4)).toEqual([
      'Key ID: "github:583231:maya/runner-setup/req_1"',
      'Serial: 9223372036854775807',
      'Valid: from 2026-11-22T09:59:00 to 2026-11-22T10:05:00',
      'Principals:',
      'deploy@web-1.example.com',
      'ops',
      'Critical Options:',
      expect.stringMatching(/^force-command \/usr\/bin\/env "a b" /),
      'source-address 10.2.0.0/16,2001:db8::/32',
      'Extensions:',
      'permit-pty',
      'permit-user-rc',
      '',
    ])

    const found = parseCertificate(text)
    expect(found.criticalOptions[0]?.value).toBe('/usr/bin/env "a b" ü')
    expect(verifySignature(signer.publicKey, found.signed, found.signature)).toBe(true)
  })
})

describe('the authority', () => {
  test('shows its key as ssh-keygen does', async () => {
    const authority = await open(createMemorySigner())
    const listed = runTool('ssh-keygen', ['-lf', '-'], { input: authority.publicKey })
    expect(listed.split(' ')[1]).toBe(authority.fingerprint)
  })

  test('has no verb that signs anything but a certificate, ATTACKS 64', async () => {
    const authority = await open(createMemorySigner())
    expect(Object.keys(authority).sort()).toEqual([
      'add',
      'certify',
      'check',
      'close',
      'drop',
      'fingerprint',
      'has',
      'prove',
      'publicKey',
    ])
    expect(Object.isFrozen(authority)).toBe(true)
  })

  test('writes another nonce into each certificate', async () => {
    const authority = await open(createMemorySigner())
    for (const type of ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com'] as const) {
      const intent = createSound({ publicKey: parsePublicKey(lines[type]) })
      const one = parseCertificate((await authority.certify(intent)).text)
      const two = parseCertificate((await authority.certify(intent)).text)
      expect(one.nonce).toHaveLength(32)
      expect(one.nonce).not.toEqual(two.nonce)
    }
  })

  test('certifies 500 at once, each with the serial of its own intent, ATTACKS 38', async () => {
    const authority = await open(createMemorySigner())
    const serials = Array.from({ length: 500 }, () => createSerial(systemRandom))
    const all = await Promise.all(
      serials.map((serial) => authority.certify(createSound({ serial }))),
    )
    expect(all.map(({ text }) => parseCertificate(text).serial)).toEqual(serials)
    expect(new Set(serials).size).toBe(500)
    expect(serials).not.toContain(0n)
  })

  test.each<[string, Parameters<typeof createSound>[0]]>([
    ['no principal, ATTACKS 21', { principals: [] }],
    ['serial 0, ATTACKS 35', { serial: 0n }],
    ['an end past ca.maxTtl, ATTACKS 39', { validBefore: now + 3601 }],
    ['an unknown extension, ATTACKS 53', { extensions: { 'no-touch-required': '' } }],
  ])('asks its key for nothing where the intent has %s', async (_what, change) => {
    const fake = createFakeSigner()
    const authority = await open(fake.signer)
    await expect(authority.certify(createSound(change))).rejects.toMatchObject({
      code: 'unsound_certificate',
    })
    expect(fake.requests).toEqual([])
  })

  test.each([now, now - 1])(
    'is asked too late for an end at %i, which is our fault',
    async (end) => {
      const fake = createFakeSigner()
      const authority = await open(fake.signer)
      await expect(authority.certify(createSound({ validBefore: end }))).rejects.toMatchObject({
        code: 'overloaded',
        retryAfter: 1,
        message:
          'The certificate would have ended before it was signed: ask again, or for a longer ttl.',
      })
      expect(fake.requests).toEqual([])
    },
  )

  test('never certifies the CA’s own key, ATTACKS 14', async () => {
    const fake = createFakeSigner()
    const authority = await open(fake.signer)
    const own = createSound({ publicKey: parsePublicKey(authority.publicKey) })
    await expect(authority.certify(own)).rejects.toMatchObject({
      code: 'key_in_use',
      message:
        'This key may not be certified, for it is the CA’s own: make one of your own with "ssh-keygen -t ed25519".',
    })
    expect(fake.requests).toEqual([])
  })

  test('closes its signer', async () => {
    const fake = createFakeSigner()
    const authority = await open(fake.signer)
    await authority.close()
    expect(fake.isClosed()).toBe(true)
  })
})

const unavailable = 'The signing key does not answer: try again.'
const selfcheck =
  'The signed certificate failed its own check and was dropped: tell the administrator of this service.'

describe('a signer that breaks', () => {
  test.each<[SignerFault, string, string]>([
    ['fails', 'signer_unavailable', unavailable],
    ['throws', 'signer_unavailable', unavailable],
    ['answers nothing', 'signer_selfcheck', selfcheck],
    ['answers garbage', 'signer_selfcheck', selfcheck],
    ['signs other data', 'signer_selfcheck', selfcheck],
    ['signs with another key', 'signer_selfcheck', selfcheck],
    ['names another algorithm', 'signer_selfcheck', selfcheck],
  ])('and %s gets no certificate out, ATTACKS 56', async (fault, code, message) => {
    const fake = createFakeSigner()
    const authority = await open(fake.signer)
    for (const line of [lines['ssh-ed25519'], fidoLines['sk-ssh-ed25519@openssh.com']]) {
      const intent = createSound({ publicKey: parsePublicKey(line) })
      fake.break(fault)
      await expect(authority.certify(intent)).rejects.toMatchObject({ code, message })
      fake.break('none')
      expect(parseCertificate((await authority.certify(intent)).text).serial).toBe(intent.serial)
    }
  })

  test('and hangs is given up after 5 s, ATTACKS 68', async () => {
    const fake = createFakeSigner()
    const authority = await open(fake.signer)
    fake.break('hangs')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const refused = expect(authority.certify(createSound())).rejects.toMatchObject({
        code: 'signer_unavailable',
        message: unavailable,
        detail: 'no answer in 5 s',
      })
      await vi.advanceTimersByTimeAsync(5000)
      await refused
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('and does not, but answers at once, is given no deadline', async () => {
    const authority = await open(createMemorySigner())
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const certified = authority.certify(createSound())
      expect(vi.getTimerCount()).toBe(0)
      expect((await certified).intent).toEqual(createSound())
    } finally {
      vi.useRealTimers()
    }
  })

  test.each<[SignerFault, string]>([
    ['fails', 'signer_unavailable'],
    ['answers nothing', 'signer_selfcheck'],
    ['signs other data', 'signer_selfcheck'],
    ['signs with another key', 'signer_selfcheck'],
  ])('and %s inside the process is found at the start', async (fault, code) => {
    const fake = createFakeSigner({ external: false })
    fake.break(fault)
    await expect(open(fake.signer)).rejects.toMatchObject({ code })
  })

  test('outside the process does not hold up the start', async () => {
    const fake = createFakeSigner()
    fake.break('fails')
    const authority = await open(fake.signer)
    expect(fake.requests).toEqual([])
    expect(await authority.check()).toEqual({ ok: false, reason: unavailable })
  })
})

describe('the readiness of the key', () => {
  test('is a real signature, over what can be no certificate, kept for 10 s, ATTACKS 64', async () => {
    const fake = createFakeSigner()
    let at = now * 1000
    const authority = await open(fake.signer, () => new Date(at))
    const all = await Promise.all([authority.check(), authority.check(), authority.check()])
    expect(all).toEqual([{ ok: true }, { ok: true }, { ok: true }])
    expect(fake.requests).toHaveLength(1)
    const [request] = fake.requests
    expect(Buffer.from(request as Uint8Array).toString()).toBe(
      'postern: the CA key answers, 2026-11-22T10:00:00Z',
    )
    expect(() => parseCertificate(request as Uint8Array)).toThrow('the data ends early')

    fake.break('fails')
    at += 9999
    expect(await authority.check()).toEqual({ ok: true })
    at += 1
    expect(await authority.check()).toEqual({ ok: false, reason: unavailable })
    fake.break('none')
    expect(await authority.check()).toEqual({ ok: false, reason: unavailable })
    at += 10_000
    expect(await authority.check()).toEqual({ ok: true })
    // A clock that was set back does not keep an old answer alive.
    fake.break('signs other data')
    at -= 3_600_000
    expect(await authority.check()).toEqual({
      ok: false,
      reason: 'The CA key made a signature that does not verify.',
    })
  })
})
