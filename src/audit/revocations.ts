import { formatTime, fromSeconds } from '../lib/clock.ts'
import {
  type CertificateFilter,
  type IssuedCertificate,
  slackSeconds,
  toCertificate,
} from './certificates.ts'
import { type LoggedEntry, parseEntry } from './entry.ts'
import type { Entry, EntryIdentity } from './index.ts'
import type { RevocationTarget, RevokeEntry, UnrevokeEntry } from './revocation-entries.ts'
import type { Row, Store } from './store.ts'

/** A revocation that stands in the log. */
export interface Revocation {
  readonly seq: number
  /** RFC 3339 UTC. */
  readonly time: string
  readonly by: string
  readonly reason: string
  readonly target: RevocationTarget
}

/** What keeps a key or a person from being given new certificates. */
export type BarTarget = Extract<RevocationTarget, { readonly kind: 'key' | 'subject' }>

export const isBar = (target: RevocationTarget): target is BarTarget =>
  target.kind === 'key' || target.kind === 'subject'

/**
 * A certificate is revoked for so long past its end: a host whose clock is behind takes it for valid
 * still.
 */
const skewSeconds = 3600

/** Whether it is over, on every host, at a time in seconds. */
export const isOver = ({ validBefore }: Pick<IssuedCertificate, 'validBefore'>, at: number) =>
  Date.parse(validBefore) / 1000 + skewSeconds <= at

/** What the log says is revoked, whatever a KRL still has to name. */
export interface Register {
  /** Takes in an entry that is newer than all before. */
  add(seq: number, entry: RevokeEntry): Revocation
  /** Takes in the end of a bar. */
  lift(seq: number, entry: UnrevokeEntry): void
  /** By which revocation a certificate was revoked first; undefined where by none. */
  findRevocation(certificate: IssuedCertificate): Revocation | undefined
  /** The revocation that keeps a key or a person from new certificates. */
  findBar(target: BarTarget): Revocation | undefined
  /** Fingerprints of the keys that get no certificate. */
  listBarredKeys(): readonly string[]
  /** Oldest first. */
  list(): readonly Revocation[]
  /** The newest entry that changed anything. */
  last(): { readonly seq: number; readonly time: string } | undefined
}

export const createRegister = (): Register => {
  const revocations: Revocation[] = []
  const byTarget = new Map<string, Revocation[]>()
  const spans: Revocation[] = []
  const bars = new Map<string, Revocation>()
  let last: { readonly seq: number; readonly time: string } | undefined

  return Object.freeze({
    add(seq: number, { time, identity, reason, target }: RevokeEntry) {
      const key = formatTarget(target)
      const revocation = Object.freeze({ seq, time, by: nameOf(identity), reason, target })
      last = { seq, time }
      revocations.push(revocation)
      if (isBar(target)) bars.set(key, revocation)
      if (target.kind === 'span') spans.push(revocation)
      else byTarget.set(key, [...(byTarget.get(key) ?? []), revocation])
      return revocation
    },
    lift(seq: number, { time, target }: UnrevokeEntry) {
      last = { seq, time }
      bars.delete(formatTarget(target))
    },
    findRevocation: (certificate: IssuedCertificate) =>
      [
        ...listTargets(certificate).flatMap((target) => byTarget.get(formatTarget(target)) ?? []),
        ...spans,
      ]
        .filter((revocation) => reaches(revocation, certificate))
        .sort((a, b) => a.seq - b.seq)[0],
    findBar: (target: BarTarget) => bars.get(formatTarget(target)),
    listBarredKeys: () =>
      [...bars.values()].flatMap(({ target }) =>
        target.kind === 'key' ? [target.fingerprint] : [],
      ),
    list: () => revocations,
    last: () => last,
  })
}

/** A target in words: `subject u-1 of https://idp.example.com`. */
export const describeTarget = (target: RevocationTarget): string => {
  switch (target.kind) {
    case 'serial':
      return `serial ${target.serial}`
    case 'key':
      return `key ${target.fingerprint}`
    case 'subject':
      return `subject ${target.subject} of ${target.issuer}`
    case 'rule':
      return `rule ${target.rule}`
    case 'host':
      return `host ${target.host}`
    case 'span':
      return [
        'issued',
        ...(target.after === undefined ? [] : [`from ${target.after}`]),
        ...(target.before === undefined ? [] : [`before ${target.before}`]),
      ].join(' ')
  }
}

/** Who an entry names, as people read it. */
export const nameOf = ({ kind, name }: EntryIdentity): string =>
  kind === 'local' ? `local:${name}` : name

/** One text for each target, and another for each other. */
export const formatTarget = (target: RevocationTarget): string => {
  switch (target.kind) {
    case 'serial':
      return `serial ${target.serial}`
    case 'key':
      return `key ${target.fingerprint}`
    case 'subject':
      return `subject ${JSON.stringify([target.issuer, target.subject])}`
    case 'rule':
      return `rule ${target.rule}`
    case 'host':
      return `host ${target.host}`
    case 'span':
      return `span ${target.after ?? ''}/${target.before ?? ''}`
  }
}

/** Every target but a span that names the certificate. */
const listTargets = (certificate: IssuedCertificate): readonly RevocationTarget[] => {
  const { serial, ca, validBefore, identity, ask, rule } = certificate
  const { issuer, subject } = identity
  return [
    { kind: 'serial', serial, ca, validBefore },
    { kind: 'key', fingerprint: ask.fingerprint },
    { kind: 'subject', issuer, subject },
    { kind: 'rule', rule: rule.name },
    { kind: 'host', host: ask.host },
  ]
}

/** Whether a target names a certificate, whenever that was issued. */
const names = (target: RevocationTarget, certificate: IssuedCertificate): boolean => {
  const { identity, ask, rule, time } = certificate
  switch (target.kind) {
    case 'serial':
      return target.serial === certificate.serial
    case 'key':
      return target.fingerprint === ask.fingerprint
    case 'subject':
      return target.issuer === identity.issuer && target.subject === identity.subject
    case 'rule':
      return target.rule === rule.name
    case 'host':
      return target.host === ask.host
    case 'span':
      // All times have one form, and so the order of their texts.
      return time >= (target.after ?? '') && (target.before === undefined || time < target.before)
  }
}

/** Whether a certificate was issued before the revocation, was not over by then, and is named by it. */
const reaches = (
  { seq, time, target }: Pick<Revocation, 'seq' | 'time' | 'target'>,
  certificate: IssuedCertificate,
): boolean =>
  certificate.seq < seq &&
  !isOver(certificate, Date.parse(time) / 1000) &&
  names(target, certificate)

const pageSize = 500

/**
 * The certificates that a revocation reaches and that are not over at a time in seconds, by pages;
 * `longestLife` is the longest that any of them can have, in seconds (certificates.ts).
 */
export async function* walkRevoked(
  store: Pick<Store, 'find'>,
  revocation: Pick<Revocation, 'seq' | 'time' | 'target'>,
  at: number,
  longestLife: number,
): AsyncGenerator<readonly IssuedCertificate[]> {
  const { target } = revocation
  const filter = formatFilter(target, at - longestLife)
  // No index knows keys: most entries are passed over before they are parsed.
  const wanted = target.kind === 'key' ? target.fingerprint : ''
  let before = revocation.seq
  for (;;) {
    const page = await store.find({ ...filter, type: 'allow' }, pageSize, before)
    const reached = page
      .filter(({ body }) => body.includes(wanted))
      .flatMap((row) => readCertificate(row) ?? [])
      .filter((one) => !isOver(one, at) && reaches(revocation, one))
    if (reached.length > 0) yield reached
    if (page.length < pageSize) return
    before = page.at(-1)?.seq ?? 0
  }
}

/** Unverified: of a hundred thousand the canonical form would take most of the time. */
const readCertificate = ({ seq, body, hash }: Row): IssuedCertificate | undefined =>
  toCertificate({ seq, hash, prev: '', entry: JSON.parse(body) as Entry })

/** @param oldest seconds since 1970: what was issued before is over by the service's own clock. */
const formatFilter = (target: RevocationTarget, oldest: number): CertificateFilter => {
  const since = formatTime(fromSeconds(Math.max(0, oldest - skewSeconds - slackSeconds)))
  switch (target.kind) {
    case 'serial':
      return { serial: target.serial }
    case 'subject':
      return { issuer: target.issuer, subject: target.subject, since }
    case 'rule':
      return { rule: target.rule, since }
    case 'host':
      return { host: target.host, since }
    case 'key':
      return { since }
    case 'span': {
      const { after = since, before } = target
      return {
        since: after > since ? after : since,
        ...(before === undefined ? {} : { until: before }),
      }
    }
  }
}

/** The entries of the log that say what is revoked, oldest first. Code: `log_corrupt` */
export const readRegister = async (
  store: Pick<Store, 'findAfter'>,
  register: Register = createRegister(),
): Promise<Register> => {
  const [revoked, lifted] = await Promise.all(
    (['revoke', 'unrevoke'] as const).map((type) => readAll(store, type)),
  )
  const entries = [...(revoked ?? []), ...(lifted ?? [])].sort((a, b) => a.seq - b.seq)
  for (const { seq, entry } of entries) {
    if (entry.type === 'revoke') register.add(seq, entry)
    if (entry.type === 'unrevoke') register.lift(seq, entry)
  }
  return register
}

const readAll = async (store: Pick<Store, 'findAfter'>, type: string) => {
  const found: LoggedEntry[] = []
  for (;;) {
    const rows = await store.findAfter({ type }, pageSize, found.at(-1)?.seq ?? 0)
    found.push(...rows.map(parseEntry))
    if (rows.length < pageSize) return found
  }
}
