import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Issued } from '../client/index.ts'
import { AppError } from '../errors.ts'
import { concat } from '../lib/bytes.ts'
import { type Clock, toSeconds } from '../lib/clock.ts'
import type { HeldKey } from '../ssh/agent-server.ts'
import { parseCertificate } from '../ssh/certificate.ts'
import { encodeString } from '../ssh/wire.ts'
import { type Places, replaceFile } from './places.ts'

/** What a certificate is wanted for. */
export interface Wanted {
  readonly host: string
  readonly login: string
  /** What ssh calls the host: the certificate's file is `LOGIN@NAME`. */
  readonly name: string
  readonly reason?: string
}

/** A certificate in force. */
export interface Held {
  readonly host: string
  readonly login: string
  readonly validBefore: string
  readonly rule: string
  /** The certificate's public file. */
  readonly file: string
  /** Where the service says the host is reached. */
  readonly address?: string
  readonly port?: number
  /** Lines of a known_hosts file. */
  readonly knownHosts?: string
}

/** The ephemeral keys and their certificates, in memory. */
export interface Keeper {
  /** One with life enough left, gotten where there is none. Codes: what the service says. */
  hold(wanted: Wanted): Promise<Held>
  /** Those that have not ended, as the agent lists them. */
  listKeys(): readonly HeldKey[]
  list(): readonly Held[]
  /** Forgets everything. */
  clear(): void
}

interface Entry {
  readonly id: string
  readonly held: Held
  readonly key: HeldKey
  /** Forgets the private key. */
  readonly wipe: () => void
  readonly validAfter: number
  readonly validBefore: number
}

/** So long a refusal stands before it is asked again: each ask is a line of the service's log. */
const refusalSeconds = 15

/**
 * Keeps a key of its own for each login of each host, made anew with each certificate. Asks for the
 * same at once are one ask. A certificate is renewed in the last third of its life; where the service does
 * not answer by then, the old one serves until its end.
 */
export const createKeeper = (deps: {
  readonly places: Pick<Places, 'certificates'>
  readonly clock: Clock
  /** Asks the service, with the login's token, for a certificate and its key. */
  readonly issue: (ask: Pick<Wanted, 'host' | 'login' | 'reason'>) => Promise<Issued>
}): Keeper => {
  const { places, clock, issue } = deps
  /** The newest of each login of each host; those before them serve whoever has just read their file. */
  const newest = new Map<string, Entry>()
  const entries = new Set<Entry>()
  const running = new Map<string, Promise<Held>>()
  const refusals = new Map<string, { readonly until: number; readonly error: unknown }>()
  /** How often everything was forgotten: what was asked for before is not kept. */
  let forgotten = 0
  const now = () => toSeconds(clock())

  const drop = (entry: Entry) => {
    const { id, held } = entry
    entries.delete(entry)
    entry.wipe()
    if (newest.get(id) !== entry) return
    newest.delete(id)
    rmSync(held.file, { force: true })
  }
  const dropEnded = () => {
    for (const entry of entries) if (entry.validBefore <= now()) drop(entry)
  }

  const obtain = async (id: string, wanted: Wanted): Promise<Held> => {
    const { host, login, reason, name } = wanted
    const before = forgotten
    const {
      certificate: text,
      validBefore,
      rule,
      host: place,
      key,
    } = await issue({
      host,
      login,
      ...(reason === undefined ? {} : { reason }),
    })
    if (forgotten !== before) {
      key.wipe()
      throw new AppError('not_logged_in', 'You have logged out meanwhile.', { hint: 'try again' })
    }
    const certificate = parseCertificate(text)
    mkdirSync(places.certificates, { recursive: true, mode: 0o700 })
    const file = join(places.certificates, `${login}@${name}`)
    replaceFile(file, `${text}\n`)
    const { name: _, ...reached } = place
    const held: Held = Object.freeze({ host, login, validBefore, rule, file, ...reached })
    const entry: Entry = {
      id,
      held,
      key: {
        blob: concat(certificate.signed, encodeString(certificate.signature)),
        comment: `${login}@${host}`,
        sign: key.sign,
      },
      wipe: key.wipe,
      validAfter: Number(certificate.validAfter),
      validBefore: Number(certificate.validBefore),
    }
    entries.add(entry)
    newest.set(id, entry)
    return held
  }

  const renew = async (id: string, wanted: Wanted): Promise<Held> => {
    const before = forgotten
    try {
      return await obtain(id, wanted)
    } catch (error) {
      if (forgotten !== before) throw error
      const entry = newest.get(id)
      const isDown = error instanceof AppError && error.kind === 'unavailable'
      if (isDown && entry !== undefined && entry.validBefore > now() + 5) return entry.held
      refusals.set(id, { until: now() + refusalSeconds, error })
      throw error
    }
  }

  return Object.freeze({
    async hold(wanted: Wanted) {
      dropEnded()
      const id = `${wanted.login}@${wanted.host} ${wanted.name}`
      const entry = newest.get(id)
      if (entry !== undefined) {
        const { validAfter, validBefore, held } = entry
        if (validBefore - now() >= (validBefore - validAfter) / 3) return held
      }
      const refusal = refusals.get(id)
      // With a reason it may be granted now.
      if (refusal !== undefined && refusal.until > now() && wanted.reason === undefined) {
        if (entry === undefined) throw refusal.error
        return entry.held
      }
      const already = running.get(id)
      if (already !== undefined) return already
      const work = renew(id, wanted).finally(() => {
        if (running.get(id) === work) running.delete(id)
      })
      running.set(id, work)
      return work
    },
    listKeys() {
      dropEnded()
      return [...entries].map(({ key }) => key)
    },
    list() {
      dropEnded()
      return [...newest.values()].map(({ held }) => held)
    },
    clear() {
      forgotten++
      for (const entry of entries) drop(entry)
      running.clear()
      refusals.clear()
    },
  })
}
