import type { Place, Recent } from '../audit/recent.ts'
import { AppError } from '../errors.ts'
import type { Hosts } from '../hosts/index.ts'
import type { Registry } from '../hosts/registry.ts'
import type { Identity } from '../identity/index.ts'
import {
  type Ask,
  type Decision,
  type Policy,
  proofRuleName,
  type Question,
  type RuleRef,
} from '../policy/index.ts'

/**
 * The one rule that stands in no file. It certifies a login on the host that has just enrolled, from
 * that host to itself, for a command that does nothing: so the host can try the way a certificate
 * goes before it trusts it.
 */
export const proofRule: RuleRef = Object.freeze({
  name: proofRuleName,
  file: 'built-in',
  line: 1,
})

const ttlSeconds = 60
const sentence =
  'With the token of an invitation a host may ask, once and within ten minutes, for 60 seconds as one of its own logins on itself.'
/** How long after its enrolment a host may prove its login. */
export const proofMillis = 10 * 60_000

/** What decides about an ask, and what counts the certificates it has led to. */
export type Rules = Pick<Policy, 'sha256' | 'listQuestions' | 'evaluate'> &
  Pick<Recent, 'takePlace'>

/**
 * The rules for an ask: for a host that enrols the built-in one alone, for everybody else the policy
 * alone. No identity of either kind is ever shown to the other's.
 */
export const createFindRules = (deps: {
  readonly registry: Registry
  readonly hosts: Hosts
  readonly currentPolicy: () => Policy
  readonly takePlace: Recent['takePlace']
  /** The number of the newest entry of a certificate for a host by an invitation. */
  readonly findProof: (invitation: string, host: string) => Promise<number | undefined>
}): ((identity: Identity, ask: Ask) => Rules) => {
  const { registry, currentPolicy, takePlace, findProof } = deps
  /** The enrolments that were proved, or are being so, by the number of their entry. */
  const proved = new Set<number>()

  const takeProof = async (invitation: string, host: string): Promise<Place> => {
    const seq = registry.findEnrolment(invitation, host)?.seq
    if (seq === undefined || proved.has(seq)) throw spent(invitation)
    proved.add(seq)
    const release = () => void proved.delete(seq)
    try {
      // It may have been before a restart.
      const last = await findProof(invitation, host)
      if (last !== undefined && last > seq) throw spent(invitation)
    } catch (error) {
      release()
      throw error
    }
    return { used: 1, release }
  }

  return (identity, ask) => {
    const { sha256, listQuestions, evaluate } = currentPolicy()
    if (identity.kind !== 'enrolment') return { sha256, listQuestions, evaluate, takePlace }
    return {
      sha256,
      listQuestions: () => [],
      evaluate: (question) => evaluateProof(deps, question),
      takePlace: () => takeProof(identity.subject, ask.host),
    }
  }
}

const spent = (invitation: string): AppError =>
  new AppError('policy_denied', sentence, { detail: `invitation ${invitation}: proved already` })

const evaluateProof = (
  { registry, hosts }: { readonly registry: Registry; readonly hosts: Hosts },
  { identity, ask, at }: Question,
): Decision => {
  const { host, login, ttlSeconds: wanted = ttlSeconds } = ask
  const found = registry.findEnrolment(identity.subject, host)
  const isOpen =
    found !== undefined &&
    Date.parse(found.at) + proofMillis > at.getTime() &&
    hosts.find(host)?.logins.includes(login) === true
  if (!isOpen || wanted > ttlSeconds || ask.command !== undefined) {
    return {
      kind: 'deny',
      code: 'policy_denied',
      rule: proofRule,
      reason: sentence,
      detail: `invitation ${identity.subject}, enrolled ${found?.at ?? 'not'} under this name`,
    }
  }
  return {
    kind: 'allow',
    rule: proofRule,
    grant: {
      principals: [`${login}@${host}`],
      ttlSeconds: wanted,
      outliveToken: false,
      criticalOptions: {
        'force-command': 'true',
        'source-address': '127.0.0.1/32,::1/128',
      },
      extensions: {},
    },
  }
}
