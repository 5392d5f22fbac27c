import type { EntryLookUp, Log } from '../audit/index.ts'
import { AppError } from '../errors.ts'
import { type Caller, formatIdentity, formatLookUp } from '../identity/index.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import type { Policy, Role } from '../policy/index.ts'
import { type Revoke, subjectRevoked } from '../revoke.ts'
import type { HttpContext } from './context.ts'
import { toAppError } from './errors.ts'

/** The roles of a caller by the policy in force, and what was asked to find them. */
export type FindRoles = (caller: Caller) => Promise<{
  readonly roles: ReadonlySet<Role>
  readonly lookUps: readonly EntryLookUp[]
}>

/** A revoked person has none. Codes: those of `findMemberships`. */
export const createFindRoles =
  (deps: {
    readonly currentPolicy: () => Policy
    readonly revoke: Pick<Revoke, 'isRevoked'>
  }): FindRoles =>
  async (caller) => {
    if (deps.revoke.isRevoked(caller.identity)) return { roles: new Set(), lookUps: [] }
    const policy = deps.currentPolicy()
    const questions = policy.listRoleQuestions(caller.identity)
    const memberships = await caller.findMemberships(questions)
    return {
      roles: policy.findRoles(caller.identity, memberships),
      lookUps: questions.map((question) => formatLookUp(question, memberships)),
    }
  }

/** Resolves for a caller who may use a route with this role. */
export type CheckRole = (c: HttpContext, caller: Caller, role: Role) => Promise<void>

/**
 * An admin may do all that an auditor may. Codes: `role_required`, `subject_revoked`, or those of
 * `findMemberships`: each is an entry before the caller hears of it.
 */
export const createCheckRole = (deps: {
  readonly findRoles: FindRoles
  readonly revoke: Pick<Revoke, 'isRevoked'>
  readonly log: Log
  readonly clock: Clock
}): CheckRole => {
  const { findRoles, revoke, log, clock } = deps
  return async (c, caller, role) => {
    let lookUps: readonly EntryLookUp[] = []
    try {
      // Else whoever has stolen a token of an administrator would go on, or lift what was meant to stop them.
      if (revoke.isRevoked(caller.identity)) throw subjectRevoked()
      const found = await findRoles(caller)
      lookUps = found.lookUps
      if (found.roles.has(role) || found.roles.has('admin')) return
      throw new AppError(
        'role_required',
        `This needs the role ${role}: ask an administrator to name you under roles in the policy.`,
        { detail: `${c.req.method} ${c.req.path}` },
      )
    } catch (cause) {
      const error = toAppError(cause)
      const { id, address } = c.get('facts')
      await log.append({
        type: error.kind === 'denied' ? 'deny' : 'error',
        time: formatTime(clock()),
        request: { id, address },
        identity: formatIdentity(caller.identity),
        lookUps,
        code: error.code,
        reason: error.message,
        detail: error.detail ?? '',
      })
      throw error
    }
  }
}
