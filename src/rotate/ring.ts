import type { CaKeyEntry, Log, Store } from '../audit/index.ts'
import { listKeySteps } from '../audit/keys.ts'
import { applyStep, type ChangingRing, checkStep, type RingKey, type Step } from '../ca/rotation.ts'
import { type Clock, formatTime } from '../lib/clock.ts'

/** The ring as the log has it; empty where no step was ever taken. Codes: `log_corrupt` */
export const readRing = async (
  store: Pick<Store, 'findAfter'>,
): Promise<{ readonly keys: readonly RingKey[]; readonly version: number }> => {
  const steps = await listKeySteps(store)
  const keys = steps.reduce((ring, { seq, entry }) => applyStep(ring, toStep(entry, seq)), noKeys)
  return { keys, version: steps.at(-1)?.seq ?? 0 }
}

const noKeys: readonly RingKey[] = []

/** What an entry says of a key. */
export const toStep = (entry: CaKeyEntry, seq: number): Step => {
  const { fingerprint, publicKey, place, state, time, force } = entry
  return { fingerprint, publicKey, place, state, time, seq, isForced: force !== undefined }
}

/**
 * Makes the key that the configuration names the active one, whatever the ring says: an admin has
 * taken that upon themselves for this start. Codes: `ca_key_conflict` for a key that was removed,
 * `audit_unavailable`.
 */
export const adoptKey = async (deps: {
  readonly log: Log
  readonly clock: Clock
  readonly ring: ChangingRing
  readonly key: Pick<RingKey, 'fingerprint' | 'publicKey'>
}): Promise<void> => {
  const { log, clock, ring, key } = deps
  const known = ring.version() === 0 ? noKeys : ring.list()
  const entry: CaKeyEntry = {
    type: 'ca-key',
    time: formatTime(clock()),
    state: 'active',
    ...key,
    place: 'config',
    force: ['The service was started with --accept-ca: no host was asked whether it trusts it.'],
  }
  checkStep(known, { ...key, state: 'active', isForced: true })
  const { seq } = await log.append(entry)
  ring.set(applyStep(known, toStep(entry, seq)), seq)
}
