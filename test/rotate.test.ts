import { describe, expect, test } from 'vitest'
import { createLog } from '../src/audit/chain.ts'
import { parseEntry } from '../src/audit/entry.ts'
import type { EntryIdentity } from '../src/audit/index.ts'
import { createAuthority } from '../src/ca/index.ts'
import { createRing, type RingKey } from '../src/ca/rotation.ts'
import type { Signer } from '../src/ca/signer.ts'
import { createMemorySigner } from '../src/ca/signers/memory.ts'
import { describeSigner } from '../src/ca/signing-key.ts'
import type { Host } from '../src/hosts/index.ts'
import { readRing } from '../src/rotate/ring.ts'
import { createRotation } from '../src/rotate.ts'
import { parsePublicKey } from '../src/ssh/keys.ts'
import { createSound, limits } from './ca/intents.ts'
import { createFakeStore, type FakeStore } from './fakes/audit-store.ts'
import { allowEntry } from './fakes/entries.ts'

const identity: EntryIdentity = {
  kind: 'local',
  issuer: 'local',
  subject: 'u-maya',
  name: 'maya',
  groups: [],
  claims: {},
  mfa: false,
}
const order = { identity, request: { id: 'req_1', address: '192.0.2.1' } }
const at = '2026-11-22T10:00:00Z'
const clock = () => new Date(at)

/** The use case over a store, with keys in memory that a next opening finds again. */
const open = async (
  given: {
    readonly store?: FakeStore
    readonly kept?: Map<string, Signer>
    readonly hosts?: readonly Partial<Host>[]
  } = {},
) => {
  const { store = createFakeStore(), kept = new Map<string, Signer>() } = given
  const recorded = await readRing(store)
  const first =
    kept.get(recorded.keys.find(({ state }) => state === 'active')?.fingerprint ?? '') ??
    createMemorySigner()
  kept.set(describeSigner(first).fingerprint, first)
  const begun: RingKey = {
    ...describeSigner(first),
    ...{ place: 'config', state: 'active', since: at, seq: 0 },
  }
  const ring = createRing(recorded.keys.length > 0 ? recorded.keys : [begun], recorded.version)
  const authority = await createAuthority({ signer: first, ring, clock, ...limits })
  const log = await createLog({ store })
  const rotation = createRotation({
    ...{ log, store, clock, ring, authority },
    files: {
      create: async () => {
        const signer = createMemorySigner()
        kept.set(describeSigner(signer).fingerprint, signer)
        return signer
      },
      open: async ({ fingerprint }) => kept.get(fingerprint) ?? Promise.reject(new Error('gone')),
    },
    listHosts: () => (given.hosts ?? []) as readonly Host[],
    hasApplied: ({ trustVersion = 0 }, seq) => trustVersion >= seq,
  })
  const states = () => ring.list().map(({ state }) => state)
  const entries = () => store.rows.map((row) => parseEntry(row).entry)
  return { store, kept, ring, authority, log, rotation, states, entries, first: begun.fingerprint }
}

describe('a rotation', () => {
  test('goes by four orders, each an entry, and is where it was after a restart', async () => {
    const { store, kept, rotation, ring, states, entries, first } = await open()
    const steps: readonly (readonly [() => Promise<unknown>, readonly string[]])[] = [
      [() => rotation.next(order), ['active', 'next']],
      [() => rotation.activate(order), ['next', 'active']],
      [() => rotation.retire(order), ['retired', 'active']],
      [() => rotation.remove(order), ['removed', 'active']],
    ]
    for (const [take, expected] of steps) {
      await take()
      expect(states()).toEqual(expected)
      const again = await open({ store, kept })
      expect(again.ring.list().map(({ seq: _, ...key }) => key)).toEqual(
        ring.list().map(({ seq: _, ...key }) => key),
      )
      expect(again.ring.version()).toBe(ring.version())
    }
    expect(entries().map((entry) => entry.type === 'ca-key' && entry.state)).toEqual([
      'active',
      'next',
      'active',
      'retired',
      'removed',
    ])
    const [began, next] = entries()
    expect(began).toEqual({
      type: 'ca-key',
      time: at,
      state: 'active',
      fingerprint: first,
      publicKey: ring.find(first).publicKey,
      place: 'config',
    })
    expect(next).toMatchObject({ ...order, place: 'file', state: 'next' })
  })

  test('certifies no key of the ring, whatever its state [ATTACKS 14]', async () => {
    const { rotation, ring, authority } = await open()
    const refuseAll = async () => {
      for (const { publicKey } of ring.list()) {
        const intent = createSound({ publicKey: parsePublicKey(publicKey) })
        await expect(authority.certify(intent)).rejects.toMatchObject({ code: 'key_in_use' })
      }
    }
    await rotation.next(order)
    await refuseAll()
    await rotation.activate(order)
    await rotation.retire(order)
    await refuseAll()
    await rotation.remove(order)
    await refuseAll()
    expect(ring.list()).toHaveLength(2)
  })

  test('signs with one key before, with the other after, and fails nobody in between', async () => {
    const { rotation, authority, first } = await open()
    const { fingerprint: second } = await rotation.next(order)
    const certify = async () => (await authority.certify(createSound())).ca
    const before = await Promise.all(Array.from({ length: 20 }, certify))
    const during = [certify()]
    const activated = rotation.activate(order)
    while (authority.fingerprint === first) {
      during.push(certify())
      await new Promise((resolve) => setImmediate(resolve))
    }
    await activated
    await rotation.retire(order)
    expect(new Set(before)).toEqual(new Set([first]))
    expect(new Set(await Promise.all(during)).has(first)).toBe(true)
    expect(await certify()).toBe(second)
  })

  test('waits for what the key is signing before it is closed', async () => {
    const { rotation, authority, kept, ring } = await open()
    const { fingerprint } = await rotation.next(order)
    await rotation.activate(order)
    const underWay = authority.certify(createSound())
    await rotation.activate({ ...order, fingerprint: ring.list()[0]?.fingerprint })
    await rotation.retire(order)
    expect((await underWay).ca).toBe(fingerprint)
    await expect(kept.get(fingerprint)?.sign(new Uint8Array(8))).rejects.toMatchObject({
      code: 'signer_unavailable',
    })
  })
})

describe('a step', () => {
  const host = (name: string, trustVersion: number, lastSeen: string) => ({
    name,
    trustVersion,
    lastSeen,
  })

  test('to a key that a host does not trust yet is refused by its name, and forced with what breaks', async () => {
    const hosts = [
      host('web-1.example.com', 9, '2026-11-22T09:59:00Z'),
      host('db-3.example.com', 1, '2026-11-22T09:58:00Z'),
      host('old.example.com', 1, '2026-11-21T09:58:00Z'),
    ]
    const { rotation, states, entries } = await open({ hosts })
    await rotation.next(order)
    const sentence =
      'db-3.example.com does not trust it yet (seen 2026-11-22T09:58:00Z): it refuses new certificates until it does.'
    await expect(rotation.activate(order)).rejects.toMatchObject({
      code: 'hosts_behind',
      message: `Of the hosts that reported within a day, 1 does not trust the key yet: wait, or force it.\n${sentence}`,
    })
    expect(states()).toEqual(['active', 'next'])
    expect(await rotation.activate({ ...order, isForced: true })).toMatchObject({
      state: 'active',
      breaks: [sentence],
      silent: ['old.example.com'],
    })
    expect(entries().at(-1)).toMatchObject({ state: 'active', force: [sentence] })
  })

  test('that removes a key with certificates alive is refused, and forced says what breaks', async () => {
    const { rotation, log, first, states, entries } = await open()
    const issue = async (n: number, validBefore: string, ca = first) => {
      const entry = allowEntry(n)
      await log.append({ ...entry, certificate: { ...entry.certificate, validBefore, ca } })
    }
    await issue(1, '2026-11-22T10:05:00Z')
    await issue(2, '2026-11-22T10:15:00Z')
    await issue(3, '2026-11-22T10:00:00Z')
    await issue(4, '2026-11-22T11:00:00Z', 'SHA256:another')
    await rotation.next(order)
    await rotation.activate(order)
    await rotation.retire(order)
    const sentence =
      'The key has 2 certificates alive, of 2 people, the last until 2026-11-22T10:15:00Z.'
    await expect(rotation.remove(order)).rejects.toMatchObject({
      code: 'certificates_alive',
      message: `${sentence} Wait for their end, or force it: then they stop working on each host as it takes the change.`,
    })
    expect(states()).toEqual(['retired', 'active'])
    expect(await rotation.remove({ ...order, isForced: true })).toMatchObject({
      fingerprint: first,
      breaks: [sentence],
    })
    expect(entries().at(-1)).toMatchObject({ state: 'removed', force: [sentence] })
  })

  test('of a suspected key goes from active to removed in two forced orders', async () => {
    const { rotation, first, states } = await open()
    await rotation.next(order)
    await rotation.activate({ ...order, isForced: true })
    await rotation.remove({ ...order, fingerprint: first, isForced: true })
    expect(states()).toEqual(['removed', 'active'])
  })

  test.each([
    [
      'activate',
      'There is no key to activate: see the list of keys.',
      (r: Rotation) => r.activate(order),
    ],
    [
      'retire',
      'There is no key to retire: see the list of keys.',
      (r: Rotation) => r.retire(order),
    ],
    [
      'remove',
      'There is no key to remove: see the list of keys.',
      (r: Rotation) => r.remove(order),
    ],
  ])('to %s nothing is refused', async (_step, message, take) => {
    const { rotation, entries } = await open()
    await expect(take(rotation)).rejects.toMatchObject({ code: 'ca_key_conflict', message })
    expect(entries()).toEqual([])
  })

  test('that makes a second next key is refused', async () => {
    const { rotation } = await open()
    const { fingerprint } = await rotation.next(order)
    await expect(rotation.next(order)).rejects.toMatchObject({
      code: 'ca_key_conflict',
      message: `${fingerprint} is the next key already: activate it, or remove it.`,
    })
  })

  test.each(['lose', 'keep'] as const)(
    'whose entry fails (%s) changes nothing; the next order finds what the log has',
    async (fault) => {
      const { rotation, store, states, ring } = await open()
      await rotation.next(order)
      store.breakNext(fault)
      await expect(rotation.activate(order)).rejects.toMatchObject({ code: 'audit_unavailable' })
      expect(states()).toEqual(['active', 'next'])
      await rotation.retire(order).catch(() => {})
      const recorded = await readRing(store)
      expect(ring.list().map(({ state }) => state)).toEqual(recorded.keys.map(({ state }) => state))
    },
  )

  test('to a key that does not answer is refused before it is on record', async () => {
    const { rotation, authority, kept, entries, states } = await open()
    const { fingerprint } = await rotation.next(order)
    await authority.drop(fingerprint)
    const before = entries().length
    kept.delete(fingerprint)
    await expect(rotation.activate(order)).rejects.toThrow('gone')
    expect(entries()).toHaveLength(before)
    expect(states()).toEqual(['active', 'next'])
  })
})

type Rotation = Awaited<ReturnType<typeof open>>['rotation']
