import { AppError } from '../errors.ts'

/**
 * What a key of the ring may do. `next` and `active` keys can sign, and exactly one does:
 *
 * - `next`: hosts trust it, it signs nothing; also a key that was active until another was activated,
 *   for as long as one may want to go back to it.
 * - `active`: signs every certificate.
 * - `retired`: never signs again, and is trusted for the certificates it has signed.
 * - `removed`: trusted by nobody, and never taken again.
 */
export type KeyState = 'next' | 'active' | 'retired' | 'removed'

/** Where the private half is kept: as `ca.userKey` says, in a file of dataDir, or in the ssh-agent. */
export type RingPlace = 'config' | 'file' | 'agent'

/** A key of the ring, with nothing secret in it. */
export interface RingKey {
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
  /** `TYPE BASE64`, as in `TrustedUserCAKeys`. */
  readonly publicKey: string
  readonly place: RingPlace
  readonly state: KeyState
  /** When it came to this state: RFC 3339 UTC. */
  readonly since: string
  /** Until when it was active last; absent for one that has never signed, and for the first that does. */
  readonly signedUntil?: string
  /** The number of the entry by which it came into the ring; 0 for the key that the log began with. */
  readonly seq: number
}

/** A key comes to a state. Each is an entry of the log. */
export interface Step extends Pick<RingKey, 'fingerprint' | 'publicKey' | 'place' | 'state'> {
  readonly time: string
  /** The number of its entry. */
  readonly seq: number
  /** Past what the ring would refuse: an admin has said so. */
  readonly isForced: boolean
}

/** The CA's keys as they are now. What asks twice may get two answers. */
export interface KeyRing {
  /** Every key there has ever been, oldest first; `isTrusted` tells which of them count. */
  list(): readonly RingKey[]
  active(): RingKey
  /** The number of the newest entry that changed it; 0 where none has. */
  version(): number
  /** Code: `not_found` */
  find(fingerprint: string): RingKey
}

/** Whether hosts are to trust the key. */
export const isTrusted = ({ state }: Pick<RingKey, 'state'>): boolean => state !== 'removed'

/** Whether the key may have signed certificates. */
export const hasSigned = ({ state, signedUntil }: RingKey): boolean =>
  state === 'active' || signedUntil !== undefined

const refuse = (message: string): AppError => new AppError('ca_key_conflict', message)

/** The states each state is reached from; `new` for a key that the ring does not hold. */
const reachedFrom = {
  next: ['new'],
  active: ['next'],
  retired: ['next'],
  removed: ['next', 'retired'],
} as const satisfies Record<KeyState, readonly (KeyState | 'new')[]>

/** Why a step is refused, by the state that the key is in. */
const refusals = {
  new: 'is no key of the ring',
  next: 'waits to be activated',
  active: 'is the active key: activate another one first',
  retired: 'is retired, and never signs again',
  removed: 'was removed, and is never taken again',
} as const satisfies Record<KeyState | 'new', string>

/** Refuses what the states do not allow. Code: `ca_key_conflict` */
export const checkStep = (
  keys: readonly RingKey[],
  step: Pick<Step, 'fingerprint' | 'state' | 'isForced'>,
): void => {
  const key = keys.find(({ fingerprint }) => fingerprint === step.fingerprint)
  const from = key?.state ?? 'new'
  const sources: readonly string[] = reachedFrom[step.state]
  const isAdopted = step.state === 'active' && from !== 'removed' && from !== 'active'
  const isAllowed = sources.includes(from) || (isAdopted && (step.isForced || keys.length === 0))
  if (!isAllowed) throw refuse(`${step.fingerprint} ${refusals[from]}.`)
  if (step.state === 'retired' && key !== undefined && !hasSigned(key)) {
    throw refuse(`${step.fingerprint} has never signed: activate it, or remove it.`)
  }
}

/**
 * The ring after a step. Where a key becomes active, the one before goes back to `next`: it signs no
 * more, and can be gone back to until it is retired. Code: `ca_key_conflict`
 */
export const applyStep = (keys: readonly RingKey[], step: Step): readonly RingKey[] => {
  checkStep(keys, step)
  const { fingerprint, publicKey, place, state, time, seq } = step
  const others = keys.map((key): RingKey => {
    if (key.fingerprint === fingerprint) return move(key, state, time)
    return key.state === 'active' && state === 'active' ? move(key, 'next', time) : key
  })
  const isNew = others.every((key) => key.fingerprint !== fingerprint)
  return isNew ? [...others, { fingerprint, publicKey, place, state, since: time, seq }] : others
}

const move = (key: RingKey, state: KeyState, time: string): RingKey => ({
  ...key,
  state,
  since: time,
  ...(key.state === 'active' ? { signedUntil: time } : {}),
})

/** A ring that can be set anew, by the one who puts its steps on record. */
export interface ChangingRing extends KeyRing {
  set(keys: readonly RingKey[], version: number): void
}

/** A ring of these keys, one of which is active. */
export const createRing = (initial: readonly RingKey[], newest = 0): ChangingRing => {
  let keys = initial
  let version = newest
  return Object.freeze({
    list: () => keys,
    active: () => findActive(keys),
    version: () => version,
    find(fingerprint: string) {
      const key = keys.find((one) => one.fingerprint === fingerprint)
      if (key !== undefined) return key
      throw new AppError('not_found', `${fingerprint} is no key of this CA: see its list of keys.`)
    },
    set(changed: readonly RingKey[], newest: number) {
      keys = changed
      version = newest
    },
  })
}

const findActive = (keys: readonly RingKey[]): RingKey => {
  const active = keys.find(({ state }) => state === 'active')
  if (active === undefined) throw new TypeError('a ring has an active key')
  return active
}
