import { timingSafeEqual } from 'node:crypto'
import type { EntryIdentity, EntryRequest, Log } from './audit/index.ts'
import { AppError, describeFailure } from './errors.ts'
import type { Hosts } from './hosts/index.ts'
import type { Invitation, Registry } from './hosts/registry.ts'
import { parseInvitationToken } from './identity/enrolment.ts'
import { createAddressMatcher, parseCidr } from './lib/address.ts'
import { encodeHex, encodeUtf8, sha256 } from './lib/bytes.ts'
import { type Clock, formatTime } from './lib/clock.ts'
import { createId, type Random } from './lib/ids.ts'
import { createMatcher } from './policy/match.ts'

/** Who invites a host, or takes it off the list. */
export interface Order {
  readonly identity: EntryIdentity
  readonly request: EntryRequest
}

/** What a new invitation is to be good for; checked for shape. */
export type Wanted = Omit<Invitation, 'id' | 'hash' | 'expires'> & { readonly ttlSeconds: number }

/** A host that would enrol: what it says of itself, and the token it shows. */
export interface Enrolling {
  readonly credentials: string
  /** Where an invitation is for one name, it may be left out. */
  readonly name?: string
  readonly port: number
  /** `TYPE BASE64` each, checked. */
  readonly hostKeys: readonly string[]
  readonly request: EntryRequest
}

export interface Enrol {
  /** The token is in the answer alone: of its secret only the SHA-256 is kept. */
  invite(
    order: Order & { readonly wanted: Wanted },
  ): Promise<Invitation & { readonly token: string }>
  /**
   * Redeems a token, and answers the host's name once that is an entry. @throws AppError
   * `invalid_token`, always with the same sentence and itself an entry, for a token that is unknown,
   * spent, expired, for another name, or shown from another address.
   */
  enrol(enrolling: Enrolling): Promise<string>
  /** @throws AppError `not_found` for a host that has not enrolled. */
  remove(order: Order & { readonly name: string }): Promise<string>
  /** The invitation of a token, whatever it may still be good for. */
  findInvitation(credentials: string): Invitation | undefined
}

/**
 * The use case. Its state is what the log says of hosts (registry.ts); each change is durable before
 * it holds, and before it is answered.
 */
export const createEnrol = (deps: {
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly registry: Registry
  readonly hosts: Hosts
  /** The wire blob of the trust key in base64, which a token carries. */
  readonly trustKey: string
  /** The issuer of the identities of those that enrol: our public URL. */
  readonly issuer: string
}): Enrol => {
  const { log, clock, random, registry, hosts, trustKey, issuer } = deps
  /** The keys of hosts whose entries are being written, by their names. */
  const arriving = new Map<string, readonly string[]>()

  const findInvitation = (credentials: string): Invitation | undefined => {
    const parts = parseInvitationToken(credentials)
    if (parts === undefined || parts.key !== trustKey) return undefined
    const hash = hashSecret(parts.secret)
    const found = registry.findInvitation(hash)
    return found !== undefined && isSame(found.hash, hash) ? found : undefined
  }

  /** The name and the invitation a host enrols under, with one of its uses taken; or refuses. */
  const redeem = ({ credentials, name: said, hostKeys, request }: Enrolling, at: Date) => {
    const invitation = findInvitation(credentials)
    if (invitation === undefined) throw refused('no invitation has this token')
    const about = `invitation ${invitation.id}`
    if (Date.parse(invitation.expires) <= at.getTime()) throw refused(`${about} has expired`)
    const blocks = invitation.from?.flatMap((block) => parseCidr(block) ?? [])
    if (blocks !== undefined && !createAddressMatcher(blocks)(request.address)) {
      throw refused(`${about} is not for this address`)
    }
    const name = said === undefined ? invitation.name : hosts.resolve(said)
    if (name === undefined || !isFor(invitation, name))
      throw refused(`${about} is for another name`)
    // What the policy pins stays; and with a token for many hosts none takes another's name.
    const listed = hosts.findListed(name)?.hostKeys ?? []
    const own = [registry.enrolled.get(name)?.hostKeys, arriving.get(name)]
    const pinned = [...listed, ...(invitation.pattern === undefined ? [] : own.flatMap(orNone))]
    if (pinned.length > 0 && !hostKeys.some((key) => pinned.includes(key))) {
      throw refused(`${about}: ${name} is known by other host keys`)
    }
    if (!registry.takeUse(invitation.id)) throw refused(`${about} is spent`)
    arriving.set(name, hostKeys)
    return { name, invitation }
  }

  return Object.freeze({
    findInvitation,

    async invite({ identity, request, wanted }: Order & { readonly wanted: Wanted }) {
      const at = clock()
      const { ttlSeconds, ...rest } = wanted
      const secret = Buffer.from(random(32)).toString('base64url')
      const invitation: Invitation = {
        id: createId('inv', random),
        hash: hashSecret(secret),
        ...rest,
        expires: formatTime(new Date(at.getTime() + ttlSeconds * 1000)),
      }
      await log.append({ type: 'host-invite', time: formatTime(at), request, identity, invitation })
      registry.applyInvite(invitation)
      return { token: `${secret}.${trustKey}`, ...invitation }
    },

    async enrol(enrolling: Enrolling) {
      const { request, port, hostKeys } = enrolling
      const at = clock()
      const time = formatTime(at)
      let redeemed: ReturnType<typeof redeem>
      try {
        redeemed = redeem(enrolling, at)
      } catch (error) {
        await log.append({ time, request, ...describeFailure(error) })
        throw error
      }
      const { name, invitation } = redeemed
      const host = { name, port, logins: invitation.logins, hostKeys }
      const identity = createIdentity(issuer, invitation.id)
      try {
        const { seq } = await log.append({ type: 'host-enrol', time, request, identity, host })
        registry.applyEnrol({ ...host, enrolledAt: time }, invitation.id, seq, true)
      } catch (error) {
        registry.releaseUse(invitation.id)
        throw error
      } finally {
        if (arriving.get(name) === hostKeys) arriving.delete(name)
      }
      return name
    },

    async remove({ identity, request, name: said }: Order & { readonly name: string }) {
      const name = hosts.resolve(said)
      if (!registry.enrolled.has(name)) {
        throw new AppError(
          'not_found',
          'No host of this name has enrolled. One that the policy lists is taken out of its file.',
        )
      }
      const host = { name }
      const time = formatTime(clock())
      const { seq } = await log.append({ type: 'host-remove', time, request, identity, host })
      registry.applyRemove(name, seq)
      return name
    },
  })
}

/** The identity of a host that enrols: its invitation's. */
export const createIdentity = (issuer: string, invitation: string): EntryIdentity => ({
  kind: 'enrolment',
  issuer,
  subject: invitation,
  name: invitation,
  groups: [],
  claims: {},
  mfa: false,
})

const orNone = (keys: readonly string[] = []): readonly string[] => keys

const refused = (detail: string): AppError =>
  new AppError(
    'invalid_token',
    'The token is not accepted: ask for a new one, made by "postern host invite".',
    { detail },
  )

/** By the text of the secret, so that a second way to write its bytes is another secret. */
const hashSecret = (secret: string): string => encodeHex(sha256(encodeUtf8(secret)))

const isSame = (a: string, b: string): boolean => timingSafeEqual(encodeUtf8(a), encodeUtf8(b))

const isFor = ({ name, pattern }: Invitation, host: string): boolean =>
  name === host || (pattern !== undefined && createMatcher(pattern, { crossDots: false })(host))
