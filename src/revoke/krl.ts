import type { IssuedCertificate, Revocation, Store } from '../audit/index.ts'
import { isOver, type Register, walkRevoked } from '../audit/revocations.ts'
import { isTrusted, type KeyRing } from '../ca/index.ts'
import { createRevokedSerials } from '../ca/revocation.ts'
import { AppError } from '../errors.ts'
import { toSeconds } from '../lib/clock.ts'

/** How many certificates, and of how many people. */
export interface Reach {
  readonly certificates: number
  readonly people: number
}

/** Counts certificates, and the people who hold them. */
export const createCount = () => {
  const people = new Set<string>()
  let certificates = 0
  return {
    add({ identity }: IssuedCertificate) {
      certificates++
      people.add(JSON.stringify([identity.issuer, identity.subject]))
    },
    read: (): Reach => ({ certificates, people: people.size }),
  }
}

/** A KRL, and the number of the entry that changed it last: 0 where none ever did. */
export interface Krl {
  readonly bytes: Uint8Array
  readonly version: number
  /**
   * The number of a revocation's entry while what it reaches is still being read, and not all of it is
   * named here: whoever gives this a number gives it a lower one.
   */
  readonly pending?: number
}

/** The KRL that hosts are given. */
export interface KrlKeeper {
  /** Names all that a new revocation reaches as well. Where that fails, all is read again. */
  extend(revocation: Revocation): Promise<Reach>
  /** Makes it anew of what is known, after a change that reaches no certificate. */
  publish(): void
  /** Code: `overloaded` while it is being made, just after a start. */
  read(): Krl
  /** Resolves once `read` answers. Codes: those of the store */
  settle(): Promise<void>
}

/**
 * Makes the KRL of the register's revocations and the log's certificates: in the background, so that
 * a start waits for neither. Until it is whole there is none, and hosts keep the one they have.
 */
export const createKrlKeeper = (deps: {
  readonly register: Register
  readonly store: Pick<Store, 'find'>
  /** A key of the CA that was removed revokes all that it has signed (ssh_krl_check_key of OpenSSH). */
  readonly ring: Pick<KeyRing, 'list' | 'version'>
  /** Seconds; 0 while the time is in doubt, when nothing counts as over. */
  readonly now: () => number
  /** The longest that a certificate can live, in seconds. */
  readonly longestLife: number
}): KrlKeeper => {
  const { register, store, ring, now, longestLife } = deps
  const listRemoved = () => ring.list().filter((key) => !isTrusted(key))
  let removed = 0
  let serials = createRevokedSerials()
  let published: Krl | undefined
  let pending: number | undefined
  let loading: Promise<void> | undefined

  const collect = async (revocation: Revocation): Promise<Reach> => {
    const count = createCount()
    for await (const page of walkRevoked(store, revocation, now(), longestLife)) {
      for (const certificate of page) {
        if (!serials.knows(certificate.ca)) serials.learn(certificate.ca, certificate.text)
        if (serials.add(certificate)) count.add(certificate)
      }
    }
    return count.read()
  }
  const publish = (): void => {
    const at = now()
    serials.prune((revoked) => isOver(revoked, at))
    const gone = listRemoved()
    removed = gone.length
    const { seq = 0, time = '' } = register.last() ?? {}
    const version = Math.max(seq, removed > 0 ? ring.version() : 0)
    const newest = [time, ...gone.map(({ since }) => since)].sort().at(-1) as string
    const generated = newest === '' ? 0 : toSeconds(new Date(newest))
    const keys = [...register.listBarredKeys(), ...gone.map(({ fingerprint }) => fingerprint)]
    const bytes = serials.encode({ version, generated, keys })
    published = Object.freeze({ bytes, version, ...(pending === undefined ? {} : { pending }) })
  }
  const load = async (): Promise<void> => {
    serials = createRevokedSerials()
    for (const revocation of register.list()) {
      const { target } = revocation
      if (target.kind === 'serial' && serials.knows(target.ca)) serials.add(target)
      else await collect(revocation)
    }
    pending = undefined
    publish()
  }
  const settle = async (): Promise<void> => {
    if (published !== undefined) return
    loading ??= load().finally(() => {
      loading = undefined
    })
    await loading
  }

  return Object.freeze({
    async extend(revocation: Revocation) {
      pending = revocation.seq
      if (published !== undefined) published = Object.freeze({ ...published, pending })
      try {
        const reach = await collect(revocation)
        pending = undefined
        publish()
        return reach
      } catch (error) {
        published = undefined
        throw error
      }
    },
    publish,
    read() {
      if (published !== undefined && removed !== listRemoved().length) publish()
      if (published !== undefined) return published
      // Whoever asks again finds it, or starts the next try.
      settle().catch(() => {})
      throw new AppError('overloaded', 'The revocations are being read: ask again in a second.', {
        retryAfter: 1,
      })
    },
    settle,
  })
}
