import { findCertificate, findLongestLife } from './audit/certificates.ts'
import type {
  BarTarget,
  EntryIdentity,
  EntryRequest,
  IssuedCertificate,
  Log,
  Revocation,
  RevocationTarget,
  RevokeEntry,
  Store,
  UnrevokeEntry,
} from './audit/index.ts'
import { formatTarget, isBar, readRegister, walkRevoked } from './audit/revocations.ts'
import type { KeyRing } from './ca/index.ts'
import { AppError } from './errors.ts'
import { type Clock, formatTime, fromSeconds, toSeconds } from './lib/clock.ts'
import { createCount, createKrlKeeper, type Krl, type Reach } from './revoke/krl.ts'

/** Who wants what revoked, and why. */
export interface RevokeOrder {
  readonly identity: EntryIdentity
  readonly request: EntryRequest
  readonly reason: string
  readonly target:
    | { readonly kind: 'serial'; readonly serial: string }
    | Exclude<RevocationTarget, { readonly kind: 'serial' }>
  /** Only counts: nothing is revoked, and nothing is written. */
  readonly isDryRun: boolean
  /** Resolves for an admin, and is asked about all but the caller's own certificates. Code: `role_required` */
  readonly checkAdmin: () => Promise<void>
}

interface Holder {
  readonly issuer: string
  readonly subject: string
}

export type UnrevokeOrder = Pick<RevokeOrder, 'identity' | 'request' | 'reason'> & {
  readonly target: BarTarget
}

/** What an order has reached: certificates that had not ended and were not revoked, and whose they are. */
export interface Revoked extends Reach {
  /** Undefined for a dry run. */
  readonly revocation: Revocation | undefined
  /** Whether all of it was revoked before, by this revocation: then nothing was written. */
  readonly isRepeated: boolean
}

export interface Revoke {
  /** Whether a person is revoked: they get no certificate, and have no role. */
  isRevoked(holder: Holder): boolean
  /** @throws AppError `subject_revoked`, `key_revoked` where no certificate may be issued any more. */
  checkRevoked(holder: Holder, fingerprint: string): void
  /** How a certificate was revoked first, also after it has ended; undefined where it was not. */
  findRevoked(
    certificate: IssuedCertificate,
  ): Pick<Revocation, 'time' | 'by' | 'reason'> | undefined
  /** Whether a revocation of a key or a person still refuses new certificates. */
  isInForce(revocation: Revocation): boolean
  /** Newest first, below the entry `before` where it is given. */
  list(limit: number, before?: number): readonly Revocation[]
  /**
   * Resolves once the revocation is an entry, and the KRL names all it reaches; a key or a person is
   * refused from this call on. Where all of it is revoked already, answers by what and changes nothing.
   * Codes: `role_required`; `not_found` where there is nothing to revoke; `certificate_expired`;
   * `audit_unavailable`: a key or a person is refused all the same, but not beyond a restart.
   */
  revoke(order: RevokeOrder): Promise<Revoked>
  /**
   * Lets a key or a person have certificates again once that is an entry; those that were revoked
   * stay so. Codes: `not_found`, `audit_unavailable`, and `subject_revoked` for who is revoked.
   */
  unrevoke(order: UnrevokeOrder): Promise<void>
  /** Code: `overloaded` just after a start. */
  krl(): Krl
  /** Resolves once `krl` answers. */
  settle(): Promise<void>
}

/**
 * The use case. The log is the only memory: an entry says what is revoked, however many certificates
 * that is, and they are found in the log again. Orders take effect one after another, and as `issue.ts`
 * asks again right before it appends, no `allow` for a revoked key or person follows its `revoke`.
 * @throws AppError of the store
 */
export const openRevoke = async (deps: {
  readonly log: Log
  readonly store: Pick<Store, 'find' | 'findAfter'>
  readonly ring: Pick<KeyRing, 'list' | 'version'>
  readonly clock: Clock
  /** Throws while the time is in doubt. */
  readonly trustedClock: Clock
}): Promise<Revoke> => {
  const { log, store, ring, clock, trustedClock } = deps
  const now = (): number => {
    try {
      return toSeconds(trustedClock())
    } catch {
      return 0
    }
  }
  const register = await readRegister(store)
  // What this service issues itself lives no longer: the start that it wrote is among those read.
  const longestLife = await findLongestLife(store, fromSeconds(now()))
  const keeper = createKrlKeeper({ register, store, ring, now, longestLife })
  // Where this fails it is tried again when somebody asks.
  keeper.settle().catch(() => {})
  /** Refused already, and not yet in the log. */
  const pending = new Set<string>()
  /** Refused still, though the log may say that it is lifted. */
  const unsure = new Set<string>()
  let last: Promise<unknown> = Promise.resolve()

  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }
  const isBarred = (target: BarTarget): boolean =>
    register.findBar(target) !== undefined || pending.has(formatTarget(target))

  /** What the entry will say, of what the caller may revoke. */
  const toTarget = async (order: RevokeOrder): Promise<RevocationTarget> => {
    const { target, identity, checkAdmin } = order
    if (target.kind !== 'serial') {
      await checkAdmin()
      return target
    }
    const found = await findCertificate(store, target.serial)
    if (found === undefined) throw new AppError('not_found', noSuchSerial)
    const { issuer, subject } = found.identity
    if (issuer !== identity.issuer || subject !== identity.subject) await checkAdmin()
    return { ...target, ca: found.ca, validBefore: found.validBefore }
  }

  /** What a revocation of now would reach, and the one that has reached the newest of it already. */
  const look = async (target: RevocationTarget, time: string, isDryRun: boolean) => {
    const count = createCount()
    let earlier = isBar(target) ? register.findBar(target) : undefined
    // What an order reaches is counted when it has; here it is enough that there is something.
    const isEnough = () => !isDryRun && (isBar(target) || count.read().certificates > 0)
    const wanted = { target, time, seq: Number.MAX_SAFE_INTEGER }
    if (isEnough()) return { ...count.read(), earlier }
    for await (const page of walkRevoked(store, wanted, now(), longestLife)) {
      for (const certificate of page) {
        const found = register.findRevocation(certificate)
        if (found === undefined) count.add(certificate)
        else earlier ??= found
      }
      if (isEnough()) break
    }
    return { ...count.read(), earlier }
  }

  const isRevoked = ({ issuer, subject }: Holder) => isBarred({ kind: 'subject', issuer, subject })

  return Object.freeze({
    isRevoked,
    checkRevoked(holder, fingerprint) {
      if (isRevoked(holder)) throw subjectRevoked()
      if (isBarred({ kind: 'key', fingerprint })) {
        throw new AppError(
          'key_revoked',
          'This key is revoked: make a new one with "ssh-keygen -t ed25519".',
        )
      }
    },
    findRevoked(certificate) {
      const { time, by, reason } = register.findRevocation(certificate) ?? {}
      return time === undefined || by === undefined || reason === undefined
        ? undefined
        : { time, by, reason }
    },
    isInForce: ({ target, seq }) => isBar(target) && register.findBar(target)?.seq === seq,
    list: (limit, before = Number.POSITIVE_INFINITY) =>
      register
        .list()
        .filter(({ seq }) => seq < before)
        .slice(-limit)
        .reverse(),

    async revoke(order) {
      const target = await toTarget(order)
      const { identity, request, reason, isDryRun } = order
      const key = formatTarget(target)
      if (isBar(target) && !isDryRun) pending.add(key)
      return queue(async () => {
        await keeper.settle()
        const time = formatTime(clock())
        const { earlier, ...reach } = await look(target, time, isDryRun)
        const isRepeated = isBar(target)
          ? register.findBar(target) !== undefined && !unsure.has(key)
          : reach.certificates === 0
        if (isRepeated) {
          if (earlier === undefined) throw nothingToRevoke(target)
          pending.delete(key)
          return { revocation: earlier, isRepeated, certificates: 0, people: 0 }
        }
        if (isDryRun) return { revocation: undefined, isRepeated, ...reach }
        const entry: RevokeEntry = { type: 'revoke', time, request, identity, reason, target }
        const revocation = register.add((await log.append(entry)).seq, entry)
        pending.delete(key)
        unsure.delete(key)
        return { revocation, isRepeated, ...(await keeper.extend(revocation)) }
      })
    },

    async unrevoke({ identity, request, reason, target }) {
      // Else whoever holds a stolen token of an administrator would lift what was meant to stop them.
      if (isRevoked(identity)) throw subjectRevoked()
      await queue(async () => {
        await keeper.settle()
        if (!isBarred(target)) throw new AppError('not_found', notBarred[target.kind])
        const time = formatTime(clock())
        const entry: UnrevokeEntry = { type: 'unrevoke', time, request, identity, reason, target }
        const key = formatTarget(target)
        unsure.add(key)
        register.lift((await log.append(entry)).seq, entry)
        unsure.delete(key)
        pending.delete(key)
        keeper.publish()
      })
    },
    krl: keeper.read,
    settle: keeper.settle,
  } satisfies Revoke)
}

const noSuchSerial =
  'No certificate of this serial was issued: postern cert list shows which ones were.'

const notBarred = {
  key: 'This key is not revoked: postern revocations shows what is.',
  subject: 'This person is not revoked: postern revocations shows who is.',
} as const satisfies Record<BarTarget['kind'], string>

export const subjectRevoked = () =>
  new AppError(
    'subject_revoked',
    'Everything you hold is revoked: ask an administrator to lift that with "postern unrevoke".',
  )

const nothingToRevoke = ({ kind }: RevocationTarget) =>
  kind === 'serial'
    ? new AppError(
        'certificate_expired',
        'The certificate has ended, and no host takes it any more: there is nothing to revoke.',
      )
    : new AppError(
        'not_found',
        'None of the certificates this names is alive: postern cert list --status active shows those that are.',
      )
