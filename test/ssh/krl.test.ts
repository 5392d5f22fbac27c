import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { encodeBase64, sha256 } from '../../src/lib/bytes.ts'
import { formatFingerprint } from '../../src/ssh/keys.ts'
import { encodeKrl, type KrlSpec, type RevokedCertificates } from '../../src/ssh/krl.ts'
import { decodeKrl, isKeyRevoked } from '../../src/ssh/krl-reader.ts'
import { execute } from '../tools.ts'
import { createOracle, createPair, createProbe, judge, type Pair } from './krl-probes.ts'

const dir = mkdtempSync(join(tmpdir(), 'postern-krl-'))
afterAll(() => rmSync(dir, { recursive: true }))

const [ca, other, user, second] = [createPair(), createPair(), createPair(), createPair()] as const
const krlOf = (...certificates: readonly RevokedCertificates[]): Uint8Array =>
  format({ certificates })
const format = (spec: Partial<KrlSpec>): Uint8Array =>
  encodeKrl({ version: 7n, generated: 1_795_000_000, certificates: [], ...spec })

/** The same sequence in each run, from 0 to 1. */
const createNumbers = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}
const next = createNumbers(1)
const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)] as T
const draw = (): bigint =>
  pick([
    // Near one another, where a bitmap pays; scattered; at the edges of numbers.
    () => BigInt(1 + Math.floor(next() * 20_000)),
    () => (1n << 40n) + BigInt(Math.floor(next() * 3000)),
    () => BigInt(Math.floor(next() * 2 ** 31) + 1) * BigInt(Math.floor(next() * 2 ** 32)) + 1n,
    () => pick([1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]),
  ])()

const line = ({ blob }: Pair) => `ecdsa-sha2-nistp256 ${encodeBase64(blob)}`

/** The KRL that ssh-keygen makes of the same: `-k`, one CA after another into one file. */
const generate = async (spec: Required<Omit<KrlSpec, 'version' | 'generated' | 'comment'>>) => {
  const path = join(dir, 'theirs')
  for (const [at, revoked] of spec.certificates.entries()) {
    const pair = [ca, other].find(({ blob }) => blob === revoked.authority) as Pair
    writeFileSync(join(dir, 'ca.pub'), `${line(pair)}\n`)
    const lines = [
      ...(revoked.serials ?? []).map((serial) => `serial: ${serial}`),
      ...(revoked.ranges ?? []).map(({ from, to }) => `serial: ${from}-${to}`),
      ...(revoked.keyIds ?? []).map((id) => `id: ${id}`),
      ...spec.keys.map((blob) => `key: ecdsa-sha2-nistp256 ${encodeBase64(blob)}`),
      ...spec.fingerprints.map((hash) => `hash: SHA256:${encodeBase64(hash).replace('=', '')}`),
    ]
    writeFileSync(join(dir, 'spec'), lines.map((text) => `${text}\n`).join(''))
    const update = at === 0 ? [] : ['-u']
    const args = ['-k', ...update, '-f', path, '-s', join(dir, 'ca.pub'), join(dir, 'spec')]
    const { code, stderr } = await execute('ssh-keygen', args)
    expect(stderr).toBe('')
    expect(code).toBe(0)
  }
  return new Uint8Array(readFileSync(path))
}

describe('a KRL of ours', () => {
  // ATTACKS 214 and 224: two CAs, serials, ranges, key ids, keys and hashes of keys.
  test("is ssh-keygen's own in what it revokes: 10,000 certificates", async () => {
    const users = Array.from({ length: 40 }, createPair)
    const probes = Array.from({ length: 10_000 }, () =>
      createProbe({
        authority: pick([ca, other]),
        publicKey: pick(users).blob,
        serial: draw(),
        keyId: `id-${Math.floor(next() * 500)}`,
      }),
    )
    const revokedOf = ({ blob }: Pair): RevokedCertificates => {
      const own = probes.filter(({ authority }) => authority === blob).map(({ serial }) => serial)
      const from = draw() / 2n + 1n
      return {
        authority: blob,
        serials: [...own.filter(() => next() < 0.2), ...Array.from({ length: 1500 }, draw)],
        ranges: [
          { from: 500n, to: 900n },
          { from, to: from + 1000n },
        ],
        keyIds: Array.from({ length: 30 }, () => `id-${Math.floor(next() * 500)}`),
      }
    }
    const spec = {
      certificates: [revokedOf(ca), revokedOf(other)],
      keys: users.slice(0, 2).map(({ blob }) => blob),
      fingerprints: users.slice(2, 4).map(({ blob }) => sha256(blob)),
    }
    const oracle = createOracle(join(dir, 'many'), probes)
    const ours = format(spec)
    const verdict = await oracle.ask(ours)
    const count = verdict.filter((isRevoked) => isRevoked).length
    expect(count).toBeGreaterThan(3000)
    expect(count).toBeLessThan(9000)
    expect(judge(ours, probes)).toEqual(verdict)
    const theirs = await generate(spec)
    expect(judge(theirs, probes)).toEqual(verdict)
    expect(await oracle.ask(theirs, 1000)).toEqual(verdict.slice(0, 1000))
    // And takes about as many bytes.
    expect(ours.length).toBeLessThanOrEqual(theirs.length * 1.05)
  })

  // ATTACKS 213
  test('has serials exact, to 2^64-1', async () => {
    const edges = [
      1n,
      2n ** 32n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]
    const near = [...new Set(edges.flatMap((serial) => [serial - 1n, serial, serial + 1n]))]
    const probes = near
      .filter((serial) => serial > 0n && serial < 2n ** 64n)
      .map((serial) => createProbe({ authority: ca, publicKey: user.blob, serial, keyId: 'k' }))
    const krl = krlOf({ authority: ca.blob, serials: edges })
    const expected = probes.map(({ serial }) => edges.includes(serial))
    expect(await createOracle(join(dir, 'edges'), probes).ask(krl)).toEqual(expected)
    expect(judge(krl, probes)).toEqual(expected)
  })

  // ATTACKS 220
  test.each<{ what: string; serial: (at: number) => bigint; most: number }>([
    { what: 'in a row', serial: (at) => BigInt(at + 1), most: 200 },
    { what: 'close together', serial: (at) => BigInt(at * 7 + 1 + (at % 5)), most: 100_000 },
    { what: 'in pairs', serial: (at) => BigInt((at >> 1) * 1000 + (at & 1) + 1), most: 801_000 },
    {
      what: 'at random, as ours are',
      serial: (at) => BigInt.asUintN(63, BigInt(at + 1) * 0x9e3779b97f4a7c15n),
      most: 801_000,
    },
  ])(
    'of 100,000 serials $what takes at most $most bytes, and is right',
    async ({ serial, most, what }) => {
      const serials = Array.from({ length: 100_000 }, (_, at) => serial(at))
      const krl = krlOf({ authority: ca.blob, serials })
      expect(krl.length).toBeLessThanOrEqual(most)
      const wanted = new Set(serials)
      const asked = Array.from({ length: 50 }, (_, at) => serials[at * 1999] as bigint)
      const probes = asked
        .flatMap((one) => [one, one + 1n, one + 3n])
        .map((one) => createProbe({ authority: ca, publicKey: user.blob, serial: one, keyId: 'k' }))
      const expected = probes.map((probe) => wanted.has(probe.serial))
      expect(await createOracle(join(dir, what.replaceAll(' ', '-')), probes).ask(krl)).toEqual(
        expected,
      )
      expect(judge(krl, probes)).toEqual(expected)
    },
  )

  // ATTACKS 215
  test('refuses every certificate of a key, or of a CA, by its blob and by its hash', async () => {
    const of = (authority: Pair, { blob }: Pair) =>
      createProbe({ authority, publicKey: blob, serial: 1n, keyId: 'k' })
    const probes = [of(ca, user), of(other, user), of(ca, second), of(other, second)]
    const oracle = createOracle(join(dir, 'keys'), probes)
    const cases: readonly [Partial<KrlSpec>, readonly boolean[]][] = [
      [{ keys: [user.blob] }, [true, true, false, false]],
      [{ fingerprints: [sha256(user.blob)] }, [true, true, false, false]],
      [{ keys: [ca.blob] }, [true, false, true, false]],
      [{ fingerprints: [sha256(ca.blob)] }, [true, false, true, false]],
    ]
    for (const [spec, expected] of cases) {
      expect(await oracle.ask(format(spec))).toEqual(expected)
      expect(judge(format(spec), probes)).toEqual(expected)
    }
    expect(isKeyRevoked(decodeKrl(format({ keys: [user.blob] })), user.blob)).toBe(true)
    expect(isKeyRevoked(decodeKrl(format({ keys: [user.blob] })), ca.blob)).toBe(false)
  })

  test('that revokes nothing is a KRL, and refuses nothing', async () => {
    const probe = createProbe({ authority: ca, publicKey: user.blob, serial: 1n, keyId: 'k' })
    const oracle = createOracle(join(dir, 'nothing'), [probe])
    for (const krl of [format({}), krlOf({ authority: ca.blob })]) {
      expect(await oracle.ask(krl)).toEqual([false])
    }
  })

  test('says its version, its time and its comment, and is read back', () => {
    const krl = decodeKrl(
      encodeKrl({
        version: 42n,
        generated: 1_795_000_000,
        comment: 'postern',
        certificates: [
          {
            authority: ca.blob,
            serials: [9n, 3n, 4n, 3n],
            ranges: [{ from: 5n, to: 7n }],
            keyIds: ['b', 'a', 'b'],
          },
        ],
        keys: [user.blob, user.blob],
      }),
    )
    expect(krl).toMatchObject({ version: 42n, generated: 1_795_000_000, comment: 'postern' })
    expect(krl.certificates).toEqual([
      {
        authority: ca.blob,
        ranges: [
          { from: 3n, to: 7n },
          { from: 9n, to: 9n },
        ],
        keyIds: new Set(['a', 'b']),
      },
    ])
    expect(krl.keys).toEqual([user.blob])
    expect(formatFingerprint(krl.keys[0] as Uint8Array)).toBe(formatFingerprint(user.blob))
  })

  test('is the same bytes for the same content, in whatever order it was given', () => {
    const serials = [5n, 1n, 900n, 2n, 2n]
    const a = format({
      certificates: [{ authority: ca.blob, serials }],
      keys: [user.blob, second.blob],
    })
    const b = format({
      certificates: [{ authority: ca.blob, serials: serials.toReversed() }],
      keys: [second.blob, user.blob, user.blob],
    })
    expect(a).toEqual(b)
  })

  test.each<{ what: string; spec: () => Partial<KrlSpec>; message: string }>([
    { what: 'serial 0', spec: () => of({ serials: [0n] }), message: 'no serials to revoke' },
    { what: '2^64', spec: () => of({ serials: [2n ** 64n] }), message: 'no serials to revoke' },
    {
      what: 'a range from 0',
      spec: () => of({ ranges: [{ from: 0n, to: 3n }] }),
      message: 'no serials to revoke',
    },
    {
      what: 'a range that ends before it begins',
      spec: () => of({ ranges: [{ from: 4n, to: 3n }] }),
      message: 'no serials to revoke',
    },
    {
      what: 'a CA twice',
      spec: () => ({ certificates: [{ authority: ca.blob }, { authority: ca.blob }] }),
      message: 'a CA stands twice',
    },
    {
      what: 'a short hash',
      spec: () => ({ fingerprints: [new Uint8Array(20)] }),
      message: 'no SHA-256 hash',
    },
  ])('is not made of $what', ({ spec, message }) => {
    expect(() => format(spec())).toThrow(new RangeError(message))
  })
})

const of = (more: Partial<RevokedCertificates>): Partial<KrlSpec> => ({
  certificates: [{ authority: ca.blob, ...more }],
})

describe('reading a KRL', () => {
  const spec = {
    certificates: [{ authority: ca.blob, serials: [1n, 2n, 3n, 70n, 1n << 60n], keyIds: ['a'] }],
    keys: [user.blob],
  }
  const whole = format(spec)

  // ATTACKS 208, 209 and 210: only at the end of a section does what is left read as a KRL.
  test('refuses one that is cut, but at the end of a section', () => {
    const lengths = Array.from({ length: whole.length }, (_, at) => at)
    const taken = lengths.filter((length) => isRead(whole.subarray(0, length)))
    const header = format({}).length
    expect(taken).toEqual([header, format({ certificates: spec.certificates }).length])
    expect(header).toBe(44)
  })

  test.each<{ what: string; bytes: () => Uint8Array; message: string }>([
    { what: 'no bytes', bytes: () => new Uint8Array(), message: 'the data ends early' },
    { what: 'a page', bytes: () => Buffer.from('<html>no</html>'), message: 'not a KRL' },
    { what: 'keys as text', bytes: () => Buffer.from(`${line(user)}\n`), message: 'not a KRL' },
    { what: 'another version', bytes: () => change(11, 2), message: 'a KRL of another version' },
    {
      what: 'a signature',
      bytes: () => append(4, 0, 0, 0, 0),
      message: 'the KRL is signed',
    },
    {
      what: 'a section it does not know',
      bytes: () => append(9, 0, 0, 0, 0),
      message: 'a section of an unknown type',
    },
    {
      what: 'SHA-1 hashes',
      bytes: () => append(3, 0, 0, 0, 0),
      message: 'a section of an unknown type',
    },
    {
      what: 'a hash of another length',
      bytes: () => append(5, 0, 0, 0, 5, 0, 0, 0, 1, 7),
      message: 'a key or hash of another length',
    },
    { what: 'bytes behind it', bytes: () => append(1), message: 'the data ends early' },
  ])('refuses $what', ({ bytes, message }) => {
    expect(() => decodeKrl(bytes())).toThrow(message)
  })

  const append = (...bytes: readonly number[]) => Uint8Array.from([...whole, ...bytes])
  const change = (at: number, byte: number) => whole.with(at, byte)
  const isRead = (bytes: Uint8Array) => {
    try {
      decodeKrl(bytes)
      return true
    } catch {
      return false
    }
  }
})

// ATTACKS 212: OpenSSH from 9.4 refuses such a file, and with it every login.
test('no KRL of ours has a section that is a signature', () => {
  const types = new Set<number>()
  const krl = format({
    certificates: [{ authority: ca.blob, serials: [1n] }],
    keys: [user.blob],
    fingerprints: [sha256(second.blob)],
  })
  const view = new DataView(krl.buffer, krl.byteOffset)
  for (let at = 44; at < krl.length; at += 5 + view.getUint32(at + 1)) types.add(krl[at] as number)
  expect([...types]).toEqual([1, 2, 5])
})
