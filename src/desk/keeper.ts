import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { decodeBase64, encodeBase64, isEqual } from '../lib/bytes.ts'
import { type Clock, formatTime, fromSeconds, toSeconds } from '../lib/clock.ts'
import type { HeldKey } from '../ssh/agent-server.ts'
import { parseCertificate } from '../ssh/certificate.ts'
import { encodePublicKey } from '../ssh/native.ts'
import { encodeSignature } from '../ssh/signature.ts'
import { type Places, replaceFile } from './places.ts'
import type { ServiceRequest } from './service.ts'

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
  readonly knownHosts?: readonly string[]
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
  readonly held: Held
  readonly key: HeldKey
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
  /** To the service, with the login's token. */
  readonly send: (
    request: Omit<ServiceRequest, 'bearer'>,
  ) => Promise<Readonly<Record<string, unknown>>>
  readonly timeoutMs: number
}): Keeper => {
  const { places, clock, send, timeoutMs } = deps
  const entries = new Map<string, Entry>()
  const running = new Map<string, Promise<Held>>()
  const refusals = new Map<string, { readonly until: number; readonly error: unknown }>()
  const now = () => toSeconds(clock())

  const drop = (id: string, { held }: Entry) => {
    entries.delete(id)
    rmSync(held.file, { force: true })
  }
  const dropEnded = () => {
    for (const [id, entry] of entries) if (entry.validBefore <= now()) drop(id, entry)
  }

  const obtain = async (id: string, wanted: Wanted): Promise<Held> => {
    const { host, login, reason } = wanted
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const blob = encodePublicKey(publicKey) as Uint8Array
    const answer = await send({
      method: 'POST',
      path: '/v1/certificates',
      body: {
        publicKey: `ssh-ed25519 ${encodeBase64(blob)}`,
        host,
        login,
        ...(reason === undefined ? {} : { reason }),
      },
      timeoutMs,
    })
    const text = String(answer['certificate'])
    const certificate = checkAnswer(text, blob, now())
    mkdirSync(places.certificates, { recursive: true, mode: 0o700 })
    const file = join(places.certificates, `${login}@${wanted.name}`)
    replaceFile(file, `${text}\n`)
    const validBefore = Number(certificate.validBefore)
    const held: Held = Object.freeze({
      host,
      login,
      validBefore: formatTime(fromSeconds(validBefore)),
      rule: String(answer['rule']),
      file,
      ...readHost(answer['host']),
    })
    entries.set(id, {
      held,
      key: createKey(text, privateKey, `${login}@${host}`),
      validAfter: Number(certificate.validAfter),
      validBefore,
    })
    return held
  }

  const renew = async (id: string, wanted: Wanted): Promise<Held> => {
    try {
      return await obtain(id, wanted)
    } catch (error) {
      const entry = entries.get(id)
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
      const entry = entries.get(id)
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
      const work = renew(id, wanted).finally(() => running.delete(id))
      running.set(id, work)
      return work
    },
    listKeys() {
      dropEnded()
      return [...entries.values()].map(({ key }) => key)
    },
    list() {
      dropEnded()
      return [...entries.values()].map(({ held }) => held)
    },
    clear() {
      for (const [id, entry] of entries) drop(id, entry)
      refusals.clear()
    },
  })
}

/** A certificate that is not for our key, or not in force, is shown to no host. */
const checkAnswer = (text: string, key: Uint8Array, at: number) => {
  const refuse = (detail: string, cause?: unknown) =>
    new AppError('not_running', 'The service answered a certificate that is none of ours.', {
      detail,
      hint: 'check the address of the service: postern whoami',
      cause,
    })
  let certificate: ReturnType<typeof parseCertificate>
  try {
    certificate = parseCertificate(text)
  } catch (error) {
    throw refuse('it is no certificate', error)
  }
  if (certificate.kind !== 'user') throw refuse('it is a host certificate')
  if (!isEqual(certificate.publicKey, key)) throw refuse('it is for another key')
  if (certificate.validBefore <= BigInt(at)) throw refuse('it has ended')
  return certificate
}

const createKey = (text: string, privateKey: KeyObject, comment: string): HeldKey => {
  const blob = decodeBase64(text.split(' ')[1] ?? '')
  if (blob === undefined) throw new TypeError('the certificate has been parsed before')
  return Object.freeze({
    blob,
    comment,
    sign: (data: Uint8Array) => encodeSignature('ssh-ed25519', sign(null, data, privateKey)),
  })
}

/** What the service may say of the host, where it is what it should be. */
const readHost = (host: unknown): Pick<Held, 'address' | 'port' | 'knownHosts'> => {
  const given = (typeof host === 'object' && host !== null ? host : {}) as Record<string, unknown>
  const { address, port, knownHosts } = given
  return {
    ...(typeof address === 'string' && /^[A-Za-z0-9][A-Za-z0-9.:-]*$/.test(address)
      ? { address }
      : {}),
    ...(Number.isInteger(port) && Number(port) > 0 && Number(port) < 65536
      ? { port: Number(port) }
      : {}),
    ...(Array.isArray(knownHosts) && knownHosts.every(isLine) ? { knownHosts } : {}),
  }
}

const isLine = (line: unknown): line is string =>
  typeof line === 'string' && /^[\x20-\x7e]+$/.test(line)
