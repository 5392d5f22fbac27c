import type {
  AllowEntry,
  EntryAsk,
  EntryIdentity,
  EntryLookUp,
  EntryRequest,
  Log,
} from './audit/index.ts'
import { type Place, quotaExceeded, type Recent } from './audit/recent.ts'
import { createIntent } from './ca/certificate.ts'
import type { Authority, Certified, PublicKey } from './ca/index.ts'
import { checkProof, type Proof } from './ca/proof.ts'
import { AppError, describeFailure } from './errors.ts'
import { type Caller, formatIdentity, formatLookUp, type Identity } from './identity/index.ts'
import { type Clock, formatTime, fromSeconds } from './lib/clock.ts'
import { createSerial, type Random } from './lib/ids.ts'
import type { Ask, Policy, RuleRef } from './policy/index.ts'

/** What a caller asks for, with the key to certify; checked for shape, not yet for right. */
export interface IssueRequest {
  readonly caller: Caller
  readonly ask: Ask
  readonly publicKey: PublicKey
  readonly proof?: Proof
  readonly request: EntryRequest
}

/** A certificate whose entry is durable. */
export interface Issued {
  readonly certificate: string
  readonly serial: string
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: string
  readonly validBefore: string
  readonly rule: string
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
  readonly host: { readonly name: string }
  readonly shortenedBy?: 'token' | 'when'
}

/** What decides about an ask, and what counts the certificates it has led to. */
export type Rules = Pick<Policy, 'sha256' | 'listQuestions' | 'evaluate'> &
  Pick<Recent, 'takePlace'>

export type Issue = (request: IssueRequest) => Promise<Issued>

/**
 * The use case. A certificate is released only after its entry is durable; a refusal or a failure
 * is an entry too, before the caller hears of it. Where the log cannot be written, everyone hears
 * `audit_unavailable` and nothing leaves.
 */
export const createIssue = (deps: {
  /** The rules that decide about an ask of this identity, and what counts the certificates by them. */
  readonly findRules: (identity: Identity, ask: Ask) => Rules
  /** @throws AppError `frozen` while all issuing is stopped */
  readonly checkFrozen: () => void
  /** @throws AppError `subject_revoked`, `key_revoked` */
  readonly checkRevoked: (holder: Caller['identity'], fingerprint: string) => void
  /** @throws AppError `host_unknown` where certificates are for hosts on the list alone */
  readonly checkHost: (name: string) => void
  readonly authority: Authority
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly backdateSeconds: number
  /** Proofs that were used, and how much each rule has issued. */
  readonly recent: Recent
  /** What a proof must have been made for: our public URL. */
  readonly audience: string
  /** Hears of each certificate by a rule that says `alert: true`. */
  readonly alert: (entry: AllowEntry) => void
}): Issue => {
  const { authority, log, clock, random, backdateSeconds, recent, audience } = deps

  return async ({ caller, ask, publicKey, proof, request }) => {
    const at = clock()
    const { identity } = caller
    const rules = deps.findRules(identity, ask)
    const facts: Facts = {
      time: formatTime(at),
      policy: rules.sha256,
      request,
      identity: formatIdentity(identity),
      ask: { ...ask, fingerprint: publicKey.fingerprint },
      lookUps: [],
    }
    let place: Place | undefined
    /** Asked again before the append: the signature takes its time, and what is forbidden by then is not appended. */
    const checkOrders = () => {
      deps.checkFrozen()
      deps.checkRevoked(identity, publicKey.fingerprint)
    }
    try {
      checkOrders()
      deps.checkHost(ask.host)
      if (proof !== undefined) {
        await recent.settle()
        const use = (hash: string) => recent.useProof(hash, at)
        facts.proof = checkProof({ proof, publicKey, audience, at, use })
      }
      const questions = rules.listQuestions(identity, ask, at)
      const memberships = await caller.findMemberships(questions)
      facts.lookUps = questions.map((question) => formatLookUp(question, memberships))

      const { address } = request
      const hasProof = facts.proof !== undefined
      const decision = rules.evaluate({ identity, memberships, ask, at, address, hasProof })
      if (decision.rule !== undefined) facts.rule = decision.rule
      if (decision.kind === 'deny') {
        throw new AppError(decision.code, decision.reason, { detail: decision.detail })
      }
      const { rule, grant, maxPerHour: most } = decision
      place = await rules.takePlace(rule.name, most, at)
      if (most !== undefined) facts.quota = { used: place?.used ?? most, most }
      if (place === undefined) throw quotaExceeded(rule.name, most)
      const { intent, shortenedBy } = createIntent({
        grant,
        rule,
        holder: identity,
        publicKey,
        requestId: request.id,
        serial: createSerial(random),
        at,
        backdateSeconds,
      })
      const certificate = formatCertificate(await authority.certify(intent))

      const shortened = shortenedBy === undefined ? {} : { shortenedBy }
      const entry: AllowEntry = {
        ...facts,
        type: 'allow',
        rule,
        certificate,
        ...shortened,
        ...(decision.alert === true ? { alert: true } : {}),
      }
      checkOrders()
      await log.append(entry)
      if (entry.alert === true) deps.alert(entry)
      const { ca: _, text, ...contents } = certificate
      const host = { name: ask.host }
      return { certificate: text, ...contents, rule: rule.name, host, ...shortened }
    } catch (error) {
      place?.release()
      const failure = describeFailure(error)
      // The log itself failed: there is no certificate and nothing more to write.
      if (failure.code !== 'audit_unavailable') await log.append({ ...facts, ...failure })
      throw error
    }
  }
}

/** Everything known of an ask so far: what its entry will say, however it ends. */
interface Facts {
  readonly time: string
  readonly policy: string
  readonly request: EntryRequest
  readonly identity: EntryIdentity
  readonly ask: EntryAsk
  lookUps: readonly EntryLookUp[]
  proof?: string
  rule?: RuleRef
  quota?: { readonly used: number; readonly most: number }
}

/** In the order of canonical JSON, in which it goes into the log. */
const formatCertificate = ({ ca, text, intent }: Certified) => ({
  ca,
  criticalOptions: intent.criticalOptions,
  extensions: intent.extensions,
  keyId: intent.keyId,
  principals: intent.principals,
  serial: intent.serial.toString(),
  text,
  validAfter: formatTime(fromSeconds(intent.validAfter)),
  validBefore: formatTime(fromSeconds(intent.validBefore)),
})
