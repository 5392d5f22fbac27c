import type { Identity, MembershipQuestion, Memberships } from '../identity/index.ts'

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

/** Everything a decision reads, and nothing else: the same input always decides the same. */
export interface Question {
  readonly identity: Identity
  readonly memberships: Memberships
  readonly ask: Ask
  readonly at: Date
}

/** Where a rule stands. */
export interface RuleRef {
  readonly name: string
  readonly file: string
  readonly line: number
}

/** What the certificate may contain. */
export interface Grant {
  /** 1 to 32, sorted, without duplicates. */
  readonly principals: readonly string[]
  readonly ttlSeconds: number
  /** Whether the certificate may end after the token does. */
  readonly outliveToken: boolean
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
}

/**
 * Allow, with the rule and what it grants; or deny. `reason` is a sentence for the caller and
 * speaks of the caller alone; `detail` is for the log: the rule, and the `who` entry that would name
 * this person.
 */
export type Decision =
  | { readonly kind: 'allow'; readonly rule: RuleRef; readonly grant: Grant }
  | {
      readonly kind: 'deny'
      readonly rule?: RuleRef
      readonly reason: string
      readonly detail: string
    }

/** A policy is loaded whole or not at all, and never changes afterwards. */
export interface Policy {
  /** SHA-256 over the files' names and texts, lower-case hex. */
  readonly sha256: string
  /** The files as they were read, by name. */
  readonly files: Readonly<Record<string, string>>
  readonly ruleCount: number
  /** What must be asked of GitHub before `evaluate` can decide: only what a rule that could match needs. */
  listQuestions(identity: Identity, ask: Ask, at: Date): readonly MembershipQuestion[]
  /** Decides. Pure: no clock, no input or output. */
  evaluate(question: Question): Decision
}
