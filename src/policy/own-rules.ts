import type { Identity, MembershipQuestion, Memberships } from '../identity/index.ts'
import { isLogin } from '../lib/names.ts'
import { hide } from './explain-caller.ts'
import type { Policy } from './index.ts'
import { createNaming, createNeeding, dropDoubles } from './who.ts'
import { listGates } from './who-can.ts'

/** An allow rule that names somebody, as they themselves may read it. */
export interface OwnRule {
  readonly rule: string
  /** Patterns, as the rule has them. */
  readonly hosts: readonly string[]
  readonly logins: readonly string[]
  /** When it holds, in words, where it does not always. */
  readonly when?: string
  /** What an ask must bring, in words. */
  readonly needs: readonly string[]
}

/** What must be asked before it is known which rules name somebody. */
export const listOwnQuestions = (
  { rules }: Policy,
  identity: Identity,
): readonly MembershipQuestion[] => {
  const findNeed = createNeeding(identity)
  return dropDoubles(
    rules.flatMap(({ kind, who }) => {
      const need = kind === 'allow' ? findNeed(who) : false
      return typeof need === 'boolean' ? [] : need
    }),
  )
}

/**
 * Where the rules let somebody log in, in the order in which they are read. No rule that names others alone is
 * told of, and none that denies: those speak of hosts that may be nobody's to know (ATTACKS 162).
 */
export const listOwnRules = (
  { rules }: Policy,
  identity: Identity,
  memberships: Memberships,
): readonly OwnRule[] => {
  const isNamed = createNaming(identity, memberships)
  return rules.flatMap((rule) => {
    if (rule.kind !== 'allow' || !isNamed(rule.who)) return []
    // A claim may say what no ask can, or what stands there by its name.
    const logins = [...new Set(rule.listLogins(identity))].filter(isLogin)
    if (logins.length === 0 || rule.hosts.length === 0) return []
    const { when } = rule
    return [
      {
        rule: rule.ref.name,
        hosts: rule.hosts,
        logins,
        ...(when === undefined ? {} : { when: when.words }),
        needs: listGates(rule).map((gate) => hide(gate.key, gate.describe())),
      },
    ]
  })
}
