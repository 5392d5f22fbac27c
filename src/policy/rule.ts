import type { Identity } from '../identity/index.ts'
import type { ConditionKey, DenyCode, Question, RuleRef } from './index.ts'
import type { AllowShape, DenyShape } from './schema.ts'
import type { Moment } from './when.ts'
import type { Who } from './who.ts'
import type { WhoShape } from './who-schema.ts'

/** A question, and what is worked out of it once for all the rules. */
export interface Facts extends Question {
  readonly moment: Moment
  readonly isNamed: (who: Who) => boolean
  /** The same for the `who` of a rule that denies: also whoever might be named, where groups are not known. */
  readonly mayBeNamed: (who: Who) => boolean
}

/** A condition of a rule as functions; what index.ts calls a Condition is one of these, asked. */
export interface Clause {
  readonly key: ConditionKey
  readonly isMet: (facts: Facts) => boolean
  readonly describe: () => string
  readonly see: (facts: Facts) => string
}

/** A clause of the deciding rule: what it says to the caller and the log where it is not met. */
export interface Requirement extends Clause {
  readonly refuse: (facts: Facts) => {
    readonly code: DenyCode
    readonly reason: string
    readonly detail: string
  }
}

/** What every rule says before it grants or refuses: the asks it speaks about. */
interface Selectors {
  readonly ref: RuleRef
  readonly who: Who
  /** The entries of `who` as their file has them; of named identities, what stands under the name. */
  readonly people: readonly WhoShape[]
  /** Patterns; groups and labels are expanded. Empty where no known host has the label. */
  readonly hosts: readonly string[]
  readonly isLogin: (login: string, identity: Identity) => boolean
  readonly when?: {
    readonly holds: (moment: Moment) => boolean
    readonly words: string
    /** The first moment after `at`, and before `until`, at which it no longer holds. */
    readonly findEnd: (at: Date, until: Date) => Date | undefined
  }
  /** Who, hosts, logins and when, as clauses. */
  readonly selectors: readonly Clause[]
}

export interface DenyRule extends Selectors {
  readonly kind: 'deny'
  readonly shape: DenyShape
  readonly sentence: string
  readonly except: Who
  /** The entries of `except`, like `people`. */
  readonly spared: readonly WhoShape[]
}

/** An allow rule: what a person it names may have. */
export interface AllowRule extends Selectors {
  readonly kind: 'allow'
  readonly shape: AllowShape
  /** The logins a person may have by it, for a hint to that person. */
  readonly listLogins: (identity: Identity) => readonly string[]
  readonly requirements: readonly Requirement[]
  readonly commands: ReadonlyMap<string, string>
  readonly ttlSeconds: number
  /** The most one may ask for: `maxTtl`, else `ttl`. */
  readonly maxTtlSeconds: number
  readonly outliveToken: boolean
  /** Values by name, sorted; a value may hold `{login}`. */
  readonly extensions: ReadonlyMap<string, string>
  /** The value of `source-address`, or that it is the caller's own. */
  readonly sourceAddresses?: 'caller' | string
  readonly principals: readonly string[]
  readonly maxPerHour?: number
  readonly alert: boolean
}

export type Rule = AllowRule | DenyRule
