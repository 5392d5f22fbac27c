import type { Code } from '../errors.ts'
import type { Identity, MembershipQuestion, Memberships } from '../identity/index.ts'
import type { Rule } from './rule.ts'

export type { Preview } from './explain.ts'
export type { Explainer } from './explainer.ts'
export { findHostPatternFault } from './match.ts'
export type { Rule }

/** What is wanted. Every name is already canonical (lib/names.ts) when an Ask is made. */
export interface Ask {
  readonly host: string
  readonly login: string
  /** Seconds; the rule's own `ttl` where it is absent. */
  readonly ttlSeconds?: number
  /** The name of one of the rule's `commands`. */
  readonly command?: string
  readonly reason?: string
}

/**
 * Everything a decision reads, and nothing else: the same input always decides the same. What is
 * absent is not known, and meets no requirement.
 */
export interface Question {
  readonly identity: Identity
  readonly memberships: Memberships
  readonly ask: Ask
  readonly at: Date
  /** The caller's address, in the form of lib/address.ts. */
  readonly address?: string
  /** Whether the ask came with a proof of possession that verified (ca/proof.ts). */
  readonly hasProof?: boolean
}

/** Where a rule stands. */
export interface RuleRef {
  readonly name: string
  readonly file: string
  readonly line: number
}

/** The rule that stands in no file: a host that has just enrolled proves its login by it. */
export const proofRuleName = 'enrolment-proof'

/** What the certificate may contain. */
export interface Grant {
  /** 1 to 32, sorted, without duplicates. */
  readonly principals: readonly string[]
  /** Never past the end of the rule's `when`. */
  readonly ttlSeconds: number
  /** There where the ttl would have gone past the end of `when`, and was cut to it. */
  readonly shortenedBy?: 'when'
  /** Whether the certificate may end after the token does. */
  readonly outliveToken: boolean
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
}

/** Why a policy refuses, as the wire carries it. */
export const denyCodes = [
  'policy_denied',
  'mfa_required',
  'reason_required',
  'command_required',
  'ttl_too_long',
  'address_denied',
  'token_too_old',
  'proof_required',
] as const satisfies readonly Code[]

export type DenyCode = (typeof denyCodes)[number]

/**
 * Allow, with the rule and what it grants; or deny. `reason` is a sentence for the caller and
 * speaks of the caller alone; `detail` is for the log: the rule, and the `who` entry that would name
 * this person.
 */
export type Decision =
  | {
      readonly kind: 'allow'
      readonly rule: RuleRef
      readonly grant: Grant
      /** How many certificates the rule may issue in any hour; as many as are asked for where absent. */
      readonly maxPerHour?: number
      /** Whether somebody should hear of it at once. */
      readonly alert?: true
    }
  | {
      readonly kind: 'deny'
      readonly code: DenyCode
      readonly rule?: RuleRef
      readonly reason: string
      readonly detail: string
    }

/** What a rule says of a question, by the key it stands under. */
export type ConditionKey =
  | 'who'
  | 'except'
  | 'hosts'
  | 'logins'
  | 'when'
  | 'mfa'
  | 'tokenMaxAge'
  | 'callerAddresses'
  | 'sourceAddresses'
  | 'reason'
  | 'proof'
  | 'commands'
  | 'ttl'
  | 'principals'

/** One condition of a rule, looked at: `evaluate` decides by exactly these. */
export interface Condition {
  readonly key: ConditionKey
  /** Whether it says which asks the rule speaks about, or what the deciding rule asks for. */
  readonly part: 'selects' | 'requires'
  /** Of `except`: whether nobody there is this person. */
  readonly isMet: boolean
  /** What the rule wants, in words: `team acme/ops`. */
  readonly wanted: string
  /** What it was given, in words: `GitHub user 583231 (maya), in team acme/dev`. */
  readonly seen: string
  /** Of a requirement that is not met: the code of the refusal, and the sentence for the caller. */
  readonly code?: DenyCode
  readonly reason?: string
}

/** What a person may do with the service beside asking for certificates. */
export type Role = 'admin' | 'auditor'

/** A host the policy knows by name. */
export interface KnownHost {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** Other names it is asked for by. */
  readonly aliases: readonly string[]
  readonly address?: string
  readonly port?: number
  readonly logins: readonly string[]
  /** `TYPE BASE64` each, without a comment. */
  readonly hostKeys: readonly string[]
}

/** A policy is loaded whole or not at all, and never changes afterwards. */
export interface Policy {
  /** SHA-256 over the files' names and texts, lower-case hex. */
  readonly sha256: string
  /** The files as they were read, by name. */
  readonly files: Readonly<Record<string, string>>
  readonly ruleCount: number
  /** The rules in the order they are read: those that deny, then those that allow. */
  readonly rules: readonly Rule[]
  readonly hosts: readonly KnownHost[]
  /** What must be asked of GitHub before `evaluate` can decide: only what a rule that could match needs. */
  listQuestions(identity: Identity, ask: Ask, at: Date): readonly MembershipQuestion[]
  /** Decides. Pure: no clock, no input or output. */
  evaluate(question: Question): Decision
  /**
   * Says of each rule which of its conditions hold: the same conditions that `evaluate` decides by; with
   * `selects`, only of those that say which asks it speaks about.
   */
  createExaminer(question: Question): (rule: Rule, part?: 'selects') => readonly Condition[]
  /** What must be asked of GitHub before `findRoles` can answer. */
  listRoleQuestions(identity: Identity): readonly MembershipQuestion[]
  /** The roles that name this person; none where no file says so. */
  findRoles(identity: Identity, memberships: Memberships): ReadonlySet<Role>
}
