import type { CaKeyEntry, EntryIdentity, EntryRequest, Log, Store } from './audit/index.ts'
import { findAlive } from './audit/keys.ts'
import type { Authority, RingPlace } from './ca/index.ts'
import {
  applyStep,
  type ChangingRing,
  checkStep,
  hasSigned,
  type KeyState,
  type RingKey,
} from './ca/rotation.ts'
import type { Signer } from './ca/signer.ts'
import { AppError } from './errors.ts'
import type { Host } from './hosts/index.ts'
import { type Clock, formatTime } from './lib/clock.ts'
import { cutBreaks, formatAlive, formatBehind, listBehind } from './rotate/breaks.ts'
import { readRing, toStep } from './rotate/ring.ts'

/** Who orders a step. */
export interface KeyOrder {
  readonly identity: EntryIdentity
  readonly request: EntryRequest
}

/** An order about one key: the only one it can mean, where it names none. */
export interface StepOrder extends KeyOrder {
  readonly fingerprint?: string | undefined
  /** Does it all the same; what that breaks is in the entry. */
  readonly isForced?: boolean
}

/** A key as a step left it. */
export interface Stepped extends RingKey {
  /** What the step breaks, in sentences; empty unless it was forced. */
  readonly breaks: readonly string[]
  /** Hosts that have not reported for a day: nobody knows what they trust. */
  readonly silent: readonly string[]
}

/** The CA's keys, as an admin changes them; each change is an entry before it is in force. */
export interface Rotation {
  /** Makes a key, or takes one of the ssh-agent's: hosts are told to trust it, and it signs nothing. */
  next(order: KeyOrder & { readonly agent?: string | undefined }): Promise<Stepped>
  /**
   * Signs with a next key from here on. Code: `hosts_behind` where a host that reported within a day
   * does not trust it yet.
   */
  activate(order: StepOrder): Promise<Stepped>
  /** Closes a key that was active for good; its certificates are still trusted. */
  retire(order: StepOrder): Promise<Stepped>
  /** Tells hosts to trust a key no more. Code: `certificates_alive` where that would break any. */
  remove(order: StepOrder): Promise<Stepped>
}

/** The keys as they are kept, outside the log. */
export interface KeyFiles {
  /** A new key, on the disk when this resolves. Code: `audit_unavailable` where it cannot be. */
  create(): Promise<Signer>
  /** Codes: `invalid_config`, `signer_unavailable` */
  open(key: Pick<RingKey, 'fingerprint' | 'place'>): Promise<Signer>
}

/**
 * The use case. The log is the only memory of what each key may do; orders are carried out one after
 * another. The key that is active while a certificate is begun signs it to its end.
 */
export const createRotation = (deps: {
  readonly log: Log
  readonly store: Pick<Store, 'find' | 'findAfter'>
  readonly clock: Clock
  readonly ring: ChangingRing
  readonly authority: Pick<Authority, 'add' | 'has' | 'prove' | 'drop'>
  readonly files: KeyFiles
  readonly listHosts: () => readonly Host[]
  /** Whether the trust bundle a host has names what the entry of this number made known. */
  readonly hasApplied: (host: Host, seq: number) => boolean
}): Rotation => {
  const { log, store, clock, ring, authority, files } = deps
  /** Whether the log may know of a step that the ring does not. */
  let isUnsure = false
  let last: Promise<unknown> = Promise.resolve()

  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(async () => {
      if (isUnsure) await refresh()
      return work()
    })
    last = turn.catch(() => {})
    return turn
  }

  const refresh = async () => {
    const { keys, version } = await readRing(store)
    if (keys.length > 0) ring.set(keys, version)
    isUnsure = false
  }

  const append = async (entry: CaKeyEntry): Promise<void> => {
    isUnsure = true
    const { seq } = await log.append(entry)
    ring.set(applyStep(ring.list(), toStep(entry, seq)), seq)
    isUnsure = false
  }

  /** The first step of all is that of the key the log began with. */
  const recordFirst = async () => {
    if (ring.version() > 0) return
    const { fingerprint, publicKey, place, state } = ring.active()
    const time = formatTime(clock())
    isUnsure = true
    const { seq } = await log.append({ type: 'ca-key', time, state, fingerprint, publicKey, place })
    ring.set(ring.list(), seq)
    isUnsure = false
  }

  const take = async (
    key: Pick<RingKey, 'fingerprint' | 'publicKey' | 'place'>,
    state: KeyState,
    { identity, request, isForced = false }: StepOrder,
    found: { readonly breaks?: readonly string[]; readonly silent?: readonly string[] } = {},
  ): Promise<Stepped> => {
    const { breaks = [], silent = [] } = found
    const { fingerprint, publicKey, place } = key
    await recordFirst()
    await append({
      type: 'ca-key',
      time: formatTime(clock()),
      request,
      identity,
      state,
      fingerprint,
      publicKey,
      place,
      ...(isForced && breaks.length > 0 ? { force: cutBreaks(breaks) } : {}),
    })
    return { ...ring.find(fingerprint), breaks, silent }
  }

  /** The key that is named, or the only one that can be meant. */
  const choose = (
    { fingerprint }: StepOrder,
    step: string,
    isMeant: (key: RingKey) => boolean,
  ): RingKey => {
    if (fingerprint !== undefined) return ring.find(fingerprint)
    const meant = ring.list().filter(isMeant)
    if (meant.length === 1) return meant[0] as RingKey
    throw new AppError(
      'ca_key_conflict',
      meant.length === 0
        ? `There is no key to ${step}: see the list of keys.`
        : `Several keys can be meant: name the one to ${step}.`,
    )
  }

  return Object.freeze({
    next: (order: KeyOrder & { readonly agent?: string | undefined }) =>
      queue(async () => {
        const waiting = ring.list().find((key) => key.state === 'next' && !hasSigned(key))
        if (waiting !== undefined) {
          throw new AppError(
            'ca_key_conflict',
            `${waiting.fingerprint} is the next key already: activate it, or remove it.`,
          )
        }
        const { agent } = order
        const place: RingPlace = agent === undefined ? 'file' : 'agent'
        if (agent !== undefined) {
          checkStep(ring.list(), { fingerprint: agent, state: 'next', isForced: false })
        }
        const signer = await (agent === undefined
          ? files.create()
          : files.open({ fingerprint: agent, place }))
        const key = await authority.add(signer)
        try {
          await authority.prove(key.fingerprint)
          return await take({ ...key, place }, 'next', order)
        } catch (error) {
          await authority.drop(key.fingerprint)
          throw error
        }
      }),

    activate: (order: StepOrder) =>
      queue(async () => {
        const key = choose(order, 'activate', (one) => one.state === 'next' && !hasSigned(one))
        checkStep(ring.list(), { ...key, state: 'active', isForced: false })
        const found = listBehind({
          hosts: deps.listHosts(),
          hasApplied: deps.hasApplied,
          key,
          at: clock(),
        })
        if (found.breaks.length > 0 && order.isForced !== true) {
          throw new AppError('hosts_behind', formatBehind(found.breaks))
        }
        // Its file may have been put back since the start.
        if (!authority.has(key.fingerprint)) await authority.add(await files.open(key))
        await authority.prove(key.fingerprint)
        return take(key, 'active', order, found)
      }),

    retire: (order: StepOrder) =>
      queue(async () => {
        const key = choose(order, 'retire', (one) => one.state === 'next' && hasSigned(one))
        checkStep(ring.list(), { ...key, state: 'retired', isForced: false })
        const retired = await take(key, 'retired', order)
        await authority.drop(key.fingerprint)
        return retired
      }),

    remove: (order: StepOrder) =>
      queue(async () => {
        const key = choose(order, 'remove', (one) => one.state === 'retired')
        checkStep(ring.list(), { ...key, state: 'removed', isForced: false })
        const alive = (await findAlive(store, clock())).get(key.fingerprint)
        const breaks = alive === undefined ? [] : [formatAlive(alive)]
        if (breaks.length > 0 && order.isForced !== true) {
          throw new AppError(
            'certificates_alive',
            `${breaks[0]} Wait for their end, or force it: then they stop working on each host as it takes the change.`,
          )
        }
        const removed = await take(key, 'removed', order, { breaks })
        await authority.drop(key.fingerprint)
        return removed
      }),
  })
}
